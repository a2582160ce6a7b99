import type { Clock } from "./clock.ts";
import { StepInterruptedError, StepTimeoutError, StoreError } from "./errors.ts";
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
  /** Whether the run is over, or is to stop at its last checkpoint: no further attempt is begun. */
  readonly stopping: boolean;
  /** Notes that the step only waits for its next attempt (1), or does no more (-1). */
  idle(change: 1 | -1): void;
  /** Calls a step's function. */
  call<T>(key: string, fn: () => T): T;
  /** Commits a row that says the step is running. Never returns where the run is over. */
  saveRunning(row: Checkpoint): Promise<void>;
  /** Lets such a row ride along with the next commit, unless the step has an outcome by then. */
  saveRunningSoon(key: string, attempt: number, startedAt: number): void;
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
    // However far away it is by the clock of then, it is no longer than the longest pause.
    const latest = clock.now() + policy.maxMs;
    if (interrupted.nextAttemptAt !== null) {
      await pause(host, scope, Math.min(interrupted.nextAttemptAt, latest));
    } else if (task.atMostOnce) {
      return failed(host, task, attempt, interrupted.startedAt, new StepInterruptedError(key));
    }
  }
  while (true) {
    const startedAt = clock.now();
    if (scope.aborted) return failed(host, task, attempt, startedAt, scope.reason);
    if (task.atMostOnce) await host.saveRunning(runningRow(host, key, attempt, startedAt));
    else host.saveRunningSoon(key, attempt, startedAt);
    const info = new Info(host.workflowId, task, attempt);
    if (host.observed) host.tell({ type: "stepStarted", key, attempt });
    let value: unknown;
    let error: unknown;
    let returned = false;
    try {
      const result = host.call(key, () => task.fn(info));
      value = task.timeoutMs === undefined ? await result : await withinTime(host, task, info, result);
      returned = true;
    } catch (thrown) {
      error = thrown;
    }
    info.end();
    if (returned) {
      if (host.observed) host.tell({ type: "stepReturned", key, attempt });
      return completed(host, task, attempt, startedAt, value);
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

/** Waits for what the step's function has returned, but not longer than the step's time. */
async function withinTime(host: StepHost, task: StepTask, info: Info, result: unknown): Promise<unknown> {
  const { key, timeoutMs = Infinity } = task;
  if (!isThenable(result)) return result;
  let cancelTimer: (() => void) | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    cancelTimer = host.clock.setTimer(timeoutMs, () => {
      const error = new StepTimeoutError(key, timeoutMs);
      info.abort(error);
      reject(error);
    });
  });
  // Once the run is over nobody waits for the time, and it must not keep the process alive.
  const waiting = new Scope(task.scope);
  waiting.onabort = () => host.stopping && cancelTimer?.();
  try {
    return await Promise.race([result, timedOut]);
  } finally {
    waiting.end();
    cancelTimer?.();
  }
}

function isThenable(value: unknown): boolean {
  return typeof (value as PromiseLike<unknown> | undefined)?.then === "function";
}

/** What the function is told. Its signal is only made when it is asked for. */
class Info implements StepInfo {
  readonly attempt: number;
  readonly #workflowId: string;
  readonly #task: StepTask;
  #scope: Scope | undefined;

  constructor(workflowId: string, task: StepTask, attempt: number) {
    this.attempt = attempt;
    this.#workflowId = workflowId;
    this.#task = task;
  }

  get idempotencyKey(): string {
    // The last slash parts the two, whatever the workflow's id.
    return `${this.#workflowId}/${this.#task.key.replace(/[%/]/g, encodeURIComponent)}`;
  }

  get signal(): AbortSignal {
    this.#scope ??= new Scope(this.#task.scope);
    return this.#scope.signal;
  }

  /** Aborts this attempt alone. */
  abort(reason: unknown): void {
    this.#scope ??= new Scope(this.#task.scope);
    this.#scope.abort(reason);
  }

  /** The attempt is over. */
  end(): void {
    this.#scope?.end();
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
    if (host.stopping) await new Promise<never>(() => {});
    host.idle(-1);
  }
}

/** The outcome of a step whose function has returned; a promise only for a result that is not plain. */
function completed(
  host: StepHost,
  task: StepTask,
  attempt: number,
  startedAt: number,
  value: unknown,
): StepOutcome | Promise<StepOutcome> {
  const durationMs = Math.max(0, host.clock.now() - startedAt);
  const result = { attempt, startedAt, durationMs, outputJson: null, errorJson: null };
  // The function has done its work; doing it again would not make its result one that can be stored.
  const refused = (error: unknown) => {
    if (error instanceof StoreError) throw error;
    return outcome(host, task, { ...result, errorJson: errorText(error) });
  };
  try {
    const outputJson = encodeValue(value, `the output of step "${task.key}"`, host.maxValueBytes);
    if (!(outputJson instanceof Promise)) return outcome(host, task, { ...result, outputJson });
    return outputJson.then((outputJson) => outcome(host, task, { ...result, outputJson }), refused);
  } catch (error) {
    return refused(error);
  }
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

/** The row of a step that runs. */
export function runningRow(
  host: { readonly run: number },
  key: string,
  attempt: number,
  startedAt: number,
): Checkpoint {
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
