import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { request } from "./request.ts";

/** `cancel ID`: has a workflow cancelled, its steps undone. */
export async function cancel(invocation: Invocation): Promise<ExitStatus> {
  return await request(invocation, (engine, id) => engine.cancel(id), {
    done: ["cancelled", "cancelled"],
    pending: "is cancelled as soon as its code runs",
  });
}
