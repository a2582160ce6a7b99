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
import { errorOf } from "./stored_error.ts";

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
  while (true) {
    const result = await host.runOf(id)?.result;
    if (result !== undefined && !(result instanceof Parked)) return result;
    // From before it looks, so that nothing can come unseen.
    const { promise: changed, stop } = host.changeOf(id);
    try {
      const record = await host.find(id);
      store.verifyOutcome(record);
      if (record.status === "completed") return await outputOf(store, record);
      if (hasEnded(record.status)) throw errorOf(record.errorJson!);
      if (record.status === "blocked") throw blockedError(store, record);
      await changed;
    } finally {
      stop();
    }
  }
}

async function outputOf(store: Store, { workflowId, outputJson }: WorkflowRecord): Promise<unknown> {
  return await decodeStored(
    outputJson,
    (found, cause) => store.corrupt(workflowId, "outcome", found, cause),
  );
}
