import type { Clock } from "./clock.ts";
import type { Scope } from "./scope.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { Publications } from "./store/publications.ts";

/** What reading from workflows needs of the engine. */
export interface FollowHost {
  readonly clock: Clock;
  readonly publications: Publications;
  /** The workflow of an id. @throws {WorkflowNotFoundError | EngineClosedError} if there is none, or no way to it any more */
  find(id: string): Promise<WorkflowRecord>;
  /** Waits until something may have happened to a workflow, here or in another process; `stop()` must be called. */
  changeOf(id: string): { readonly promise: Promise<void>; readonly stop: () => void };
}

/**
 * Looks for something of a workflow, now and whenever something has happened to it, until it is there, nothing more can
 * come, or the search is given up.
 *
 * @param look what it looks for; it is asked after the workflow's status was read, so that a workflow which has ended has
 *   nothing left that it does not see
 * @param giveUp ends the search when it is aborted
 * @returns undefined if there is nothing
 */
export async function follow<T>(
  host: FollowHost,
  id: string,
  { look, giveUp }: { look: (record: WorkflowRecord) => Promise<T | undefined>; giveUp: Scope },
): Promise<T | undefined> {
  while (true) {
    // From before it looks, so that nothing can come unseen.
    const { promise: changed, stop } = host.changeOf(id);
    try {
      const record = await host.find(id);
      const found = await look(record);
      if (found !== undefined || giveUp.aborted || hasEnded(record.status)) return found;
      await new Promise<void>((wake) => {
        giveUp.onabort = wake;
        void changed.then(wake);
      });
    } finally {
      stop();
    }
    if (giveUp.aborted) return undefined;
  }
}
