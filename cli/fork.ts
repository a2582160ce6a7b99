import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { executeStored } from "./stored_execution.ts";
import { UsageError } from "./usage_error.ts";

/** `fork ID`: runs a new workflow that begins with the checkpoints of another, up to a step. */
export async function fork({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const fromStep = flags.get("from")?.[0];
  if (fromStep === undefined) {
    throw new UsageError("fork wants --from STEP: the first step that runs again, such as pay or pay#000002");
  }
  const newId = flags.get("id")?.[0] ?? crypto.randomUUID();
  return await executeStored(flags, {
    id,
    runsAs: newId,
    begin: (engine) => engine.fork(id, { fromStep, newId }),
  });
}
