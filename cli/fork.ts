import { availableWorkflows } from "./available_workflows.ts";
import { requireDatabase } from "./database.ts";
import { execute } from "./execution.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { requireWorkflow } from "./stored_workflow.ts";
import { UsageError } from "./usage_error.ts";

/** `fork ID`: runs a new workflow that begins with the checkpoints of another, up to a step. */
export async function fork({ operands, flags: given }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const fromStep = given.get("from")?.[0];
  if (fromStep === undefined) {
    throw new UsageError("fork wants --from STEP: the first step that runs again, such as pay or pay#000002");
  }
  const newId = given.get("id")?.[0] ?? crypto.randomUUID();
  const flags = readExecutionFlags(given);
  await requireDatabase(flags.location);
  const workflows = await availableWorkflows(flags.location, flags.modules);
  return await execute({
    flags,
    workflows,
    id: newId,
    async begin(engine) {
      await requireWorkflow(engine, id, workflows);
      return await engine.fork(id, { fromStep, newId });
    },
  });
}
