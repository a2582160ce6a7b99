import type { Clock } from "./clock.ts";
import { isEngineFailure } from "./engine_failure.ts";
import { StepInterruptedError, StepTimeoutError } from "./errors.ts";
import type { EventDetail } from "./events.ts";
import { randomFraction, type RandomSource } from "./random.ts";
import { mayRetry, retryDelayMs, type RetryPolicy } from "./retry.ts";
import { Scope } from "./scope.ts";
import { Encoded, encodeValue } from "./serialize.ts";
import type { Statement } from "./store/database.ts";
import type { Checkpoint, CheckpointKind, Publication } from "./store/rows.ts";
import { errorText } from "./stored_error.ts";
import type { StepFunction, StepInfo } from "./workflow.ts";

/** A step that is to be run. */
export interface StepTask {
  /** A step of the workflow, what undoes one, or a transaction on the store. */
  readonly kind: "step" | "compensation" | "transaction";
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
  /** Waits for the next attempt, or for the scope to be aborted; forever where the run stops meanwhile. */
  pause(key: string, until: number, scope: Scope): Promise<void>;
  /** Calls a step's function. */
  call(key: string, fn: StepFunction<unknown>, info: StepInfo): unknown;
  /** Commits a row that says the step is running. Never returns where the run is over. */
  saveRunning(row: Checkpoint): Promise<void>;
  /** Lets such a row ride along with the next commit, unless the step has an outcome by then. */
  saveRunningSoon(kind: CheckpointKind, key: string, attempt: number, startedAt: number): void;
}

/** What a step has come to: it has failed where there is the text of an error. The run makes a checkpoint of it. */
export interface StepOutcome
  extends Pick<Checkpoint, "attempt" | "startedAt" | "durationMs" | "outputJson" | "errorJson"> {
  /** What is shown to the outside, in the commit of that checkpoint. */
  readonly publication?: Publication;
  /** The transaction that the checkpoint is to be committed with, if it is the outcome of one. */
  readonly transaction?: OutcomeTransaction;
}

/** A transaction that is open, and has come to its outcome. It must be ended. */
export interface OutcomeTransaction {
  /** Commits it with the checkpoint. @param failed called with the text of an error if that has become its outcome instead */
  commit(checkpoint: Statement, on: { committed(): void; failed(errorJson: string): void }): void;
  /** Undoes it: nobody wants its outcome any more. */
  rollback(): void;
}

/**
 * Runs a step until it has succeeded, or failed for good.
 *
 * @param interrupted its row, where a run before this one had begun it
 * @returns the outcome, which is not stored yet; what the step threw is in it. A promise only where something has to be
 *   waited for: what many functions return is there at once.
 */
export function performStep(
  host: StepHost,
  task: StepTask,
  interrupted: Checkpoint | undefined,
): StepOutcome | Promise<StepOutcome> {
  if (interrupted !== undefined) return resume(host, task, interrupted);
  if (task.atMostOnce || task.scope.aborted) return perform(host, task, 1);
  const first = callFunction(host, task, 1, host.clock.now());
  if (!first.threw && !first.isThenable) return returned(host, task, first, first.result);
  host.saveRunningSoon(task.kind, task.key, 1, first.startedAt);
  return perform(host, task, 1, first);
}

/** Goes on with a step where a run before this one was interrupted. */
async function resume(host: StepHost, task: StepTask, interrupted: Checkpoint): Promise<StepOutcome> {
  const { attempt, startedAt, nextAttemptAt } = interrupted;
  if (nextAttemptAt !== null) {
    // However far away it is by the clock of then, it is no longer than the longest pause.
    const until = Math.min(nextAttemptAt, host.clock.now() + task.policy.maxMs);
    await pause(host, task, until);
  } else if (task.atMostOnce) {
    return failed(host, { number: attempt, startedAt }, new StepInterruptedError(task.key));
  }
  return await perform(host, task, attempt);
}

/** @param begun the first of the attempts, if its function has been called already */
async function perform(
  host: StepHost,
  task: StepTask,
  number: number,
  begun?: Attempt,
): Promise<StepOutcome> {
  const { clock } = host;
  const { kind, key, scope, policy } = task;
  while (true) {
    let attempt = begun;
    if (attempt === undefined) {
      const startedAt = clock.now();
      if (scope.aborted) return failed(host, { number, startedAt }, scope.reason);
      if (task.atMostOnce) {
        await host.saveRunning({ ...runningRow(host, key, number, startedAt), kind });
        // It may have been given up while that was written.
        if (scope.aborted) return failed(host, { number, startedAt }, scope.reason);
      } else {
        host.saveRunningSoon(kind, key, number, startedAt);
      }
      attempt = callFunction(host, task, number, startedAt);
    }
    begun = undefined;
    let value: unknown;
    let { threw, error } = attempt;
    if (!threw) {
      try {
        value = attempt.isThenable
          ? await (task.timeoutMs === undefined ? attempt.result : withinTime(host, task, attempt))
          : attempt.result;
      } catch (thrown) {
        threw = true;
        error = thrown;
      }
    }
    if (!threw) return returned(host, task, attempt, value);
    attempt.info.end();
    if (scope.aborted) return failed(host, attempt, error);
    let again: boolean;
    try {
      again = mayRetry(policy, key, number, error);
    } catch (thrown) {
      return failed(host, attempt, thrown);
    }
    if (!again) return failed(host, attempt, error);

    const nextAttemptAt = clock.now() + retryDelayMs(policy, number, randomFraction(host.random));
    const errorJson = errorText(error);
    number++;
    await host.saveRunning({
      ...runningRow(host, key, number, attempt.startedAt),
      kind,
      nextAttemptAt,
      errorJson,
    });
    if (host.observed) tellRetry(host, task, attempt, error, nextAttemptAt);
    await pause(host, task, nextAttemptAt);
  }
}

/** An attempt whose function has been called. */
interface Attempt {
  /** From 1. */
  readonly number: number;
  readonly startedAt: number;
  readonly info: Info;
  /** What the function has returned, a promise maybe. */
  readonly result: unknown;
  readonly isThenable: boolean;
  readonly threw: boolean;
  readonly error: unknown;
}

function callFunction(host: StepHost, task: StepTask, number: number, startedAt: number): Attempt {
  const info = new Info(host.workflowId, task, number);
  if (host.observed) host.tell({ type: "stepStarted", key: task.key, attempt: number });
  try {
    const result = host.call(task.key, task.fn, info);
    // What looking at it throws is the function's, too.
    return {
      number,
      startedAt,
      info,
      result,
      isThenable: isThenable(result),
      threw: false,
      error: undefined,
    };
  } catch (error) {
    return { number, startedAt, info, result: undefined, isThenable: false, threw: true, error };
  }
}

function tellRetry(
  host: StepHost,
  { key, policy: { maxAttempts } }: StepTask,
  { number }: Attempt,
  error: unknown,
  nextAttemptAt: number,
): void {
  host.tell({
    type: "stepRetried",
    key,
    attempt: number,
    maxAttempts,
    error,
    nextAttemptAt: new Date(nextAttemptAt),
  });
}

/** Waits for what the step's function has returned, but not longer than the step's time. */
async function withinTime(
  host: StepHost,
  task: StepTask,
  { info, result }: Attempt,
): Promise<unknown> {
  const { key, timeoutMs = Infinity } = task;
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
    // The race tells of it a little later than it is there: too late for a value that somebody goes on changing.
    return await Promise.race([Encoded.of(result, outputOf(task), host.maxValueBytes), timedOut]);
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

/** Waits for the next attempt, or for the step to be given up. */
async function pause(host: StepHost, { key, scope }: StepTask, until: number): Promise<void> {
  if (until > host.clock.now() && !scope.aborted) await host.pause(key, until, scope);
}

/** The outcome of an attempt whose function has returned; a promise only for a result that is not plain. */
function returned(
  host: StepHost,
  task: StepTask,
  attempt: Attempt,
  value: unknown,
): StepOutcome | Promise<StepOutcome> {
  const { number, startedAt, info } = attempt;
  info.end();
  if (host.observed) host.tell({ type: "stepReturned", key: task.key, attempt: number });
  const durationMs = Math.max(0, host.clock.now() - startedAt);
  // The function has done its work; doing it again would not make its result one that can be stored.
  const refused = (error: unknown) => {
    if (isEngineFailure(error)) throw error;
    return { attempt: number, startedAt, durationMs, outputJson: null, errorJson: errorText(error) };
  };
  try {
    const outputJson = value instanceof Encoded
      ? value.text
      : encodeValue(value, outputOf(task), host.maxValueBytes);
    if (!(outputJson instanceof Promise)) {
      return { attempt: number, startedAt, durationMs, outputJson, errorJson: null };
    }
    return outputJson.then(
      (outputJson) => ({ attempt: number, startedAt, durationMs, outputJson, errorJson: null }),
      refused,
    );
  } catch (error) {
    return refused(error);
  }
}

/** Names the output of a step in errors. */
export function outputOf({ key }: { readonly key: string }): string {
  return `the output of step "${key}"`;
}

function failed(
  host: StepHost,
  { number, startedAt }: Pick<Attempt, "number" | "startedAt">,
  error: unknown,
): StepOutcome {
  const durationMs = Math.max(0, host.clock.now() - startedAt);
  return { attempt: number, startedAt, durationMs, outputJson: null, errorJson: errorText(error) };
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
