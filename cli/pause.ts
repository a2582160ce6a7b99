import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { request } from "./request.ts";

/** `pause ID`: stops a workflow at its next checkpoint, until it is resumed. */
export async function pause(invocation: Invocation): Promise<ExitStatus> {
  return await request(invocation, (engine, id) => engine.pause(id), {
    done: ["blocked", "paused"],
    pending: "is paused at its next checkpoint",
  });
}
