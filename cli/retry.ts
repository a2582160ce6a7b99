import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { executeStored } from "./stored_execution.ts";

/** `retry ID`: runs a failed workflow again, from the step that failed. */
export async function retry({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  return await executeStored(flags, { id, begin: (engine) => engine.retry(id) });
}
