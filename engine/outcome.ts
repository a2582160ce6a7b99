/**
 * How a workflow ends, as it is stored.
 *
 * @module
 */

import { isEngineFailure } from "./engine_failure.ts";
import { StepAbandonedError } from "./errors.ts";
import type { Checkpoint, WorkflowOutcome } from "./store/rows.ts";
import { encodeError, errorText, type StoredError } from "./stored_error.ts";

/** How many errors are looked at, among the causes and parts of one, for the step that failed a workflow. */
const MAX_ERRORS = 100;

/** What a workflow's function did: it returned something, of which this is the text, or threw. */
export type Ended = { readonly outputJson: string | null | Promise<string> } | { readonly error: unknown };

/** A step's failure: its key, and its place in the order of completions. */
export type StepFailure = Required<Pick<StoredError, "step" | "completion">>;

/** The outcome to store, and the error that it is, if it is one. */
export interface Outcome {
  readonly stored: WorkflowOutcome;
  readonly error?: unknown;
}

/**
 * The outcome of a workflow whose function has ended. An output that cannot be stored is a failure.
 *
 * @param options.interruption how the workflow was told that it is cancelled, or out of time, if it was: then that is its
 *   outcome, whatever its function made of it
 * @param options.failures the step whose failure an error is, where it is one's
 * @param options.lastFailure the step whose failure was the last that the workflow saw, where no error tells
 * @param options.abandonedFrom the completion that the first step which still runs will get, if there is one: where no
 *   step's failure is the cause, a retry begins there
 * @throws {StoreError} if it cannot be told
 */
export async function workflowOutcome(
  ended: Ended,
  options: {
    at: number;
    /** Whether its steps have been undone. */
    isCompensated: boolean;
    interruption: { readonly error: Error; readonly isCancel: boolean } | undefined;
    failures: (error: object) => StepFailure | undefined;
    lastFailure: StepFailure | undefined;
    abandonedFrom: number | undefined;
  },
): Promise<Outcome> {
  const { at, interruption, failures, lastFailure, abandonedFrom } = options;
  let error: unknown;
  if (interruption !== undefined) {
    error = interruption.error;
  } else if ("outputJson" in ended) {
    try {
      const outputJson = await ended.outputJson;
      return { stored: { status: "completed", outputJson, errorJson: null, at } };
    } catch (thrown) {
      if (isEngineFailure(thrown)) throw thrown;
      error = thrown;
    }
  } else {
    error = ended.error;
  }
  const retryFrom = failedStep(error, failures) ?? lastFailure ?? { completion: abandonedFrom };
  const compensated = options.isCompensated && { compensated: true };
  const errorJson = JSON.stringify({ ...encodeError(error), ...retryFrom, ...compensated });
  const status = interruption?.isCancel ? "cancelled" : "failed";
  return { stored: { status, outputJson: null, errorJson, at }, error };
}

/** What a function did, for who has to know before it is stored: returning what cannot be stored is throwing. */
export async function withStorableOutput(ended: Ended): Promise<Ended> {
  if ("error" in ended) return ended;
  try {
    return { outputJson: await ended.outputJson };
  } catch (error) {
    if (isEngineFailure(error)) throw error;
    return { error };
  }
}

/** The first step whose failure an error is, is caused by, or is made of. */
function failedStep(
  error: unknown,
  failures: (error: object) => StepFailure | undefined,
): StepFailure | undefined {
  let first: StepFailure | undefined;
  const errors = [error];
  for (let i = 0; i < errors.length && i < MAX_ERRORS; i++) {
    const each = errors[i];
    const failure = isError(each) ? failures(each) : undefined;
    if (failure !== undefined && failure.completion < (first?.completion ?? Infinity)) first = failure;
    for (const part of partsOf(each).slice(0, MAX_ERRORS)) errors.push(part);
  }
  return first;
}

/** The cause of an error, and what it is made of; nothing of what is none, and where somebody's getter throws. */
function partsOf(thrown: unknown): unknown[] {
  try {
    if (!(thrown instanceof Error)) return [];
    return thrown instanceof AggregateError ? [thrown.cause, ...thrown.errors] : [thrown.cause];
  } catch {
    return [];
  }
}

/** Whether it is an error; somebody's proxy may refuse to say. */
function isError(thrown: unknown): thrown is Error {
  try {
    return thrown instanceof Error;
  } catch {
    return false;
  }
}

/** Why a workflow that has ended with an error must not be run again; undefined if it may be. */
export function retryObstacle(
  { compensated, noInput }: StoredError,
): { readonly wanted: string; readonly found: string } | undefined {
  if (compensated) return { wanted: "one whose steps have not been undone", found: "compensated" };
  if (noInput) return { wanted: "one that has an input", found: "without one, which could not be made" };
  return undefined;
}

/** The row of a step that was still running when its workflow ended. */
export function abandonedStep(row: Checkpoint, completion: number, run: number, at: number): Checkpoint {
  return {
    ...row,
    status: "failed",
    completion,
    durationMs: Math.max(0, at - row.startedAt),
    nextAttemptAt: null,
    run,
    errorJson: errorText(new StepAbandonedError(row.key)),
  };
}
