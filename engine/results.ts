/**
 * What workflows come to, for those who wait for it.
 *
 * @module
 */

import { blockedError } from "./claim.ts";
import type { FollowHost } from "./follow.ts";
import type { Run } from "./run.ts";
import { Parked } from "./run_result.ts";
import { decodeStored } from "./serialize.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import { decodeError } from "./stored_error.ts";

/** What it takes to wait for a workflow. */
export interface ResultHost extends FollowHost {
  readonly store: Store;
  /** The run of a workflow, if it has one in this process. */
  runOf(id: string): Run | undefined;
}

/**
 * The output of a workflow, whether it runs here, in another process, or not at all: then this waits until it does.
 *
 * @throws its error, why it is blocked, or why its run here has stopped
 */
export async function resultOf(host: ResultHost, id: string): Promise<unknown> {
  const { store } = host;
  refuseOwnStep(host.runOf(id));
  while (true) {
    const result = await host.runOf(id)?.result;
    if (result !== undefined && !(result instanceof Parked)) return result;
    // From before it looks, so that nothing can come unseen.
    const { promise: changed, stop } = host.changeOf(id);
    try {
      const record = await host.find(id);
      store.verifyOutcome(record);
      if (record.status === "completed") return await outputOf(store, record);
      if (hasEnded(record.status)) throw decodeError(store.outcomeError(record));
      if (record.status === "blocked") throw blockedError(store, record);
      await changed;
    } finally {
      stop();
    }
  }
}

/**
 * Refuses to wait for a workflow in the function of one of its own steps, which it ends after. That can be told only before
 * the function has awaited anything.
 *
 * @param run the run of the workflow, if it has one here
 * @throws {TypeError} if it is asked for there
 */
export function refuseOwnStep(run: Run | undefined): void {
  if (run?.calling === undefined) return;
  throw new TypeError(
    `Cannot wait for the result of workflow "${run.workflowId}" in the function of its own step "${run.calling}": ` +
      `the workflow ends only after that`,
  );
}

async function outputOf(store: Store, { workflowId, outputJson }: WorkflowRecord): Promise<unknown> {
  return await decodeStored(
    outputJson,
    (found, cause) => store.corrupt(workflowId, "outcome", found, cause),
  );
}
