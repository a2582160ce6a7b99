import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { executeStored } from "./stored_execution.ts";

/** `resume ID`: goes on with a workflow from its last checkpoint. */
export async function resume({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  return await executeStored(flags, { id, begin: (engine) => engine.resume(id) });
}
