import { availableWorkflows } from "./available_workflows.ts";
import { requireDatabase } from "./database.ts";
import { execute } from "./execution.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { requireWorkflow } from "./stored_workflow.ts";

/** `retry ID`: runs a failed workflow again, from the step that failed. */
export async function retry({ operands, flags: given }: Invocation): Promise<ExitStatus> {
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
      return await engine.retry(id);
    },
  });
}
