import { availableWorkflows, selectWorkflow } from "./available_workflows.ts";
import { execute } from "./execution.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { readJson } from "./json_flag.ts";

/** The workflow that is run where none is named. */
const DEFAULT_WORKFLOW = "onboarding";

/** `run [WORKFLOW]`: starts a workflow, or resumes it where its id is there already. */
export async function run(
  { operands: [name = DEFAULT_WORKFLOW], flags: given }: Invocation,
): Promise<ExitStatus> {
  const flags = readExecutionFlags(given);
  const id = given.get("workflow-id")?.[0];
  const json = given.get("input")?.[0];
  const input = json === undefined ? undefined : await readJson("input", json);
  const workflows = await availableWorkflows(flags.location, flags.modules);
  const workflow = selectWorkflow(workflows, name);
  const options = json === undefined ? { id } : { id, input };
  return await execute({
    flags,
    workflows,
    id,
    workflow: workflow.name,
    begin: (engine) => engine.start(workflow, options),
  });
}
