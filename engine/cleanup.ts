import type { Execution } from "./execution.ts";
import { Scope } from "./scope.ts";
import { runningRow } from "./step.ts";
import type { Checkpoint } from "./store/rows.ts";

/** The reason for which the wait for the end of a cleanup's time is given up: the cleanup has ended. */
export const CLEANED_UP = Symbol("cleaned up");

/** What a cleanup needs of the run that it is part of. */
export interface CleanupHost {
  readonly run: number;
  readonly clock: { now(): number };
  /** Has the run wait. */
  wait(row: Checkpoint, scope: Scope): void;
}

/**
 * Runs a part of a workflow that is not given up when the workflow is cancelled or out of time, within a time of its own
 * (Temporal's non-cancellable scope).
 *
 * A cleanup is a wait for the end of its time, whose row says since when it lasts: so a crash does not reset it. It completes when
 * its function has ended, or fails when the time is over; both is a part of the history, so that a replay gives it up at the same
 * place.
 *
 * @param cleanup.fn is given the scope of the cleanup
 * @returns what it does, once it is stored that the cleanup has ended
 */
export async function performCleanup<T>(
  host: CleanupHost,
  execution: Execution,
  { timeoutMs, fn }: { timeoutMs: number; fn: (scope: Scope) => T | Promise<T> },
): Promise<T> {
  const key = execution.keys.nextOf("cleanup");
  const scope = new Scope(execution.cleanups);
  const timer = new Scope();
  const over = execution.ask("cleanup", key, timer, (row) => {
    const now = host.clock.now();
    const begun = {
      ...runningRow(host, key, 1, now),
      kind: "cleanup",
      nextAttemptAt: Math.ceil(now + timeoutMs),
    } as const;
    host.wait(row ?? begun, timer);
    return undefined;
  });
  const settled = over.then(() => {}, (error) => scope.abort(error));
  try {
    return await fn(scope);
  } finally {
    timer.abort(CLEANED_UP);
    await settled;
    scope.end();
  }
}
