import { availableWorkflows } from "./available_workflows.ts";
import { requireDatabase } from "./database.ts";
import { execute } from "./execution.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { requireWorkflow } from "./stored_workflow.ts";

/** `resume ID`: goes on with a workflow from its last checkpoint. */
export async function resume({ operands, flags: given }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const flags = readExecutionFlags(given);
  await requireDatabase(flags.location);
  const workflows = await availableWorkflows(flags.location, flags.modules);
  return await execute({
    flags,
    workflows,
    id,
    async begin(engine) {
      await requireWorkflow(engine, id, workflows);
      return await engine.resume(id);
    },
  });
}
