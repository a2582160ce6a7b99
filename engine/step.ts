import type { Clock } from "./clock.ts";
import { StepInterruptedError, StepTimeoutError } from "./errors.ts";
import type { EventDetail } from "./events.ts";
import { randomFraction, type RandomSource } from "./random.ts";
import { mayRetry, retryDelayMs, type RetryPolicy } from "./retry.ts";
import { Scope } from "./scope.ts";
import { encodeValue } from "./serialize.ts";
import type { Checkpoint } from "./store/rows.ts";
import { encodeError } from "./stored_error.ts";
import type { StepFunction, StepInfo } from "./workflow.ts";

/** A step that is to be run. */
export interface StepTask {
  readonly key: string;
  readonly fn: StepFunction<unknown>;
  readonly policy: RetryPolicy;
  /** The longest time for an attempt. */
  readonly timeoutMs: number | undefined;
  readonly atMostOnce: boolean;
  /** The part of the workflow that the step belongs to. */
  readonly scope: Scope;
}

/** What a step needs of the run that it is part of. */
export interface StepHost {
  readonly workflowId: string;
  readonly run: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly maxValueBytes: number;
  readonly observed: boolean;
  tell(detail: EventDetail): void;
  /** Whether the run is to stop at its last checkpoint: no further attempt is begun. */
  readonly stopping: boolean;
  /** Notes that the step only waits for its next attempt (1), or does no more (-1). */
  idle(change: 1 | -1): void;
  /** Commits a row that says the step is running. Never returns where the run is over. */
  saveRunning(row: Checkpoint): Promise<void>;
  /** Lets such a row ride along with the next commit. @returns a function that takes it back */
  saveRunningSoon(row: Checkpoint): () => void;
}

/** The outcome of a step; the run gives it its place in the order of completions. */
export type StepOutcome = Omit<Checkpoint, "completion"> & { readonly status: "completed" | "failed" };

/**
 * Runs a step until it has succeeded, or failed for good.
 *
 * @param interrupted its row, where a run before this one had begun it
 * @returns the outcome, which is not stored yet; what the step threw is in it
 */
export async function performStep(
  host: StepHost,
  task: StepTask,
  interrupted: Checkpoint | undefined,
): Promise<StepOutcome> {
  const { clock } = host;
  const { key, scope, policy } = task;
  let attempt = interrupted?.attempt ?? 1;
  if (interrupted !== undefined) {
    if (interrupted.nextAttemptAt !== null) await pause(host, scope, interrupted.nextAttemptAt);
    else if (task.atMostOnce) {
      return failed(host, task, attempt, interrupted.startedAt, new StepInterruptedError(key));
    }
  }
  while (true) {
    const startedAt = clock.now();
    if (scope.aborted) return failed(host, task, attempt, startedAt, scope.reason);
    const row = runningRow(host, key, attempt, startedAt);
    const takeBack = task.atMostOnce ? void (await host.saveRunning(row)) : host.saveRunningSoon(row);
    if (host.observed) host.tell({ type: "stepStarted", key, attempt });
    let error: unknown;
    try {
      const value = await callOnce(host, task, attempt);
      takeBack?.();
      if (host.observed) host.tell({ type: "stepReturned", key, attempt });
      return await completed(host, task, attempt, startedAt, value);
    } catch (thrown) {
      takeBack?.();
      error = thrown;
    }
    if (scope.aborted) return failed(host, task, attempt, startedAt, error);
    let again: boolean;
    try {
      again = mayRetry(policy, attempt, error);
    } catch (thrown) {
      return failed(host, task, attempt, startedAt, thrown);
    }
    if (!again) return failed(host, task, attempt, startedAt, error);

    const nextAttemptAt = clock.now() + retryDelayMs(policy, attempt, randomFraction(host.random));
    const errorJson = JSON.stringify(encodeError(error));
    await host.saveRunning({ ...runningRow(host, key, attempt + 1, startedAt), nextAttemptAt, errorJson });
    if (host.observed) {
      const { maxAttempts } = policy;
      host.tell({
        type: "stepRetried",
        key,
        attempt,
        maxAttempts,
        error,
        nextAttemptAt: new Date(nextAttemptAt),
      });
    }
    await pause(host, scope, nextAttemptAt);
    attempt++;
  }
}

/** Calls the step's function, and waits for it, but not longer than its time. */
async function callOnce(host: StepHost, task: StepTask, attempt: number): Promise<unknown> {
  const { key, fn, timeoutMs } = task;
  const scope = new Scope(task.scope);
  let cancelTimer: (() => void) | undefined;
  try {
    const result = fn(new Info(`${host.workflowId}/${key}`, attempt, scope));
    if (timeoutMs === undefined || !isThenable(result)) return await result;
    const timedOut = new Promise<never>((_, reject) => {
      cancelTimer = host.clock.setTimer(timeoutMs, () => {
        const error = new StepTimeoutError(key, timeoutMs);
        scope.abort(error);
        reject(error);
      });
    });
    return await Promise.race([result, timedOut]);
  } finally {
    cancelTimer?.();
    scope.end();
  }
}

function isThenable(value: unknown): boolean {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}

/** What the function is told. Its signal is only made when it is asked for. */
class Info implements StepInfo {
  readonly #scope: Scope;

  constructor(readonly idempotencyKey: string, readonly attempt: number, scope: Scope) {
    this.#scope = scope;
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }
}

/** Waits for a time, or for the scope to be aborted; forever where the run stops meanwhile. */
async function pause(host: StepHost, scope: Scope, until: number): Promise<void> {
  const delayMs = until - host.clock.now();
  if (delayMs > 0 && !scope.aborted) {
    host.idle(1);
    await new Promise<void>((resolve) => {
      const waiting = new Scope(scope);
      const cancelTimer = host.clock.setTimer(delayMs, () => {
        waiting.end();
        resolve();
      });
      waiting.onabort = () => {
        cancelTimer();
        resolve();
      };
    });
    host.idle(-1);
  }
  if (host.stopping) await new Promise<never>(() => {});
}

async function completed(
  host: StepHost,
  task: StepTask,
  attempt: number,
  startedAt: number,
  value: unknown,
): Promise<StepOutcome> {
  const durationMs = Math.max(0, host.clock.now() - startedAt);
  let outputJson: string | null | Promise<string>;
  try {
    outputJson = encodeValue(value, `the output of step "${task.key}"`, host.maxValueBytes);
    if (outputJson instanceof Promise) outputJson = await outputJson;
  } catch (error) {
    // The function has done its work; doing it again would not make its result one that can be stored.
    return outcome(host, task, {
      attempt,
      startedAt,
      durationMs,
      outputJson: null,
      errorJson: errorText(error),
    });
  }
  return outcome(host, task, { attempt, startedAt, durationMs, outputJson, errorJson: null });
}

function failed(
  host: StepHost,
  task: StepTask,
  attempt: number,
  startedAt: number,
  error: unknown,
): StepOutcome {
  const durationMs = Math.max(0, host.clock.now() - startedAt);
  return outcome(host, task, {
    attempt,
    startedAt,
    durationMs,
    outputJson: null,
    errorJson: errorText(error),
  });
}

function outcome(
  host: StepHost,
  { key }: StepTask,
  result: Pick<StepOutcome, "attempt" | "startedAt" | "durationMs" | "outputJson" | "errorJson">,
): StepOutcome {
  return {
    key,
    kind: "step",
    status: result.errorJson === null ? "completed" : "failed",
    attempt: result.attempt,
    startedAt: result.startedAt,
    durationMs: result.durationMs,
    nextAttemptAt: null,
    run: host.run,
    outputJson: result.outputJson,
    errorJson: result.errorJson,
  };
}

function errorText(error: unknown): string {
  return JSON.stringify(encodeError(error));
}

function runningRow(host: StepHost, key: string, attempt: number, startedAt: number): Checkpoint {
  return {
    key,
    kind: "step",
    status: "running",
    completion: null,
    attempt,
    startedAt,
    durationMs: null,
    nextAttemptAt: null,
    run: host.run,
    outputJson: null,
    errorJson: null,
  };
}
