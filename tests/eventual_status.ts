import type { Handle, WorkflowStatus } from "@stepwell/stepwell";
import { eventually } from "./eventually.ts";

/** Waits until a workflow has a status. */
export async function eventualStatus(handle: Handle, status: WorkflowStatus): Promise<void> {
  await eventually(async () => await handle.status() === status);
}
