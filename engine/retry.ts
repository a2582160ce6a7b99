import { type Duration, durationMs } from "./duration.ts";
import { NonRetryableError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { found } from "./quote.ts";

/** How a step that fails is tried again. */
export interface RetryOptions {
  /** How often the step is tried in all: an integer from 1, or `Infinity`. 1 by default: it is not tried again. */
  maxAttempts?: number;
  /** The pause before the second attempt. `"1s"` by default. */
  initialInterval?: Duration;
  /** By how much each pause is longer than the one before it, at least 1. 2 by default. */
  backoff?: number;
  /** The longest pause. `"1m"` by default, or the initial interval if that is longer. */
  maxInterval?: Duration;
  /** Which part of a pause is left to chance, from 0 to 1, so that many do not come back at once. 0.2 by default. */
  jitter?: number;
  /**
   * Whether another attempt makes sense after this error; a {@linkcode NonRetryableError} ends the step in any case. It must
   * say so at once: where it returns a promise, which would always count as true, the step fails with a `TypeError`.
   */
  retryable?: (error: unknown) => boolean;
}

const OPTIONS = optionNames<RetryOptions>({
  maxAttempts: true,
  initialInterval: true,
  backoff: true,
  maxInterval: true,
  jitter: true,
  retryable: true,
});

/** {@linkcode RetryOptions}, checked and complete. */
export interface RetryPolicy {
  readonly maxAttempts: number;
  readonly initialMs: number;
  readonly backoff: number;
  readonly maxMs: number;
  readonly jitter: number;
  readonly retryable: (error: unknown) => boolean;
}

const NO_RETRY: RetryPolicy = {
  maxAttempts: 1,
  initialMs: 1_000,
  backoff: 2,
  maxMs: 60_000,
  jitter: 0.2,
  retryable: () => true,
};

/**
 * The policy of these options.
 *
 * @param act what they are options of, for the message, such as `run step`
 * @param thing its name
 * @throws {TypeError | RangeError} if one of them is not as {@linkcode RetryOptions} says
 */
export function retryPolicy(
  options: RetryOptions | undefined,
  act = "retry a step",
  thing?: string,
): RetryPolicy {
  if (options === undefined) return NO_RETRY;
  checkOptions(options, OPTIONS, act, thing, "retry");
  const { maxAttempts = NO_RETRY.maxAttempts, backoff = NO_RETRY.backoff, jitter = NO_RETRY.jitter } =
    options;
  if (maxAttempts !== Infinity && !(Number.isSafeInteger(maxAttempts) && maxAttempts >= 1)) {
    throw new RangeError(
      `Cannot use retry.maxAttempts: wanted an integer from 1 or Infinity, found ${found(maxAttempts)}`,
    );
  }
  if (!(Number.isFinite(backoff) && backoff >= 1)) {
    throw new RangeError(`Cannot use retry.backoff: wanted a number from 1, found ${found(backoff)}`);
  }
  if (!(typeof jitter === "number" && jitter >= 0 && jitter <= 1)) {
    throw new RangeError(`Cannot use retry.jitter: wanted a number from 0 to 1, found ${found(jitter)}`);
  }
  const { retryable = NO_RETRY.retryable, initialInterval = NO_RETRY.initialMs } = options;
  if (typeof retryable !== "function") {
    throw new TypeError(`Cannot use retry.retryable: wanted a function, found ${typeof retryable}`);
  }
  const initialMs = durationMs(initialInterval, "retry.initialInterval");
  const { maxInterval = Math.max(NO_RETRY.maxMs, initialMs) } = options;
  return {
    maxAttempts,
    backoff,
    jitter,
    retryable,
    initialMs,
    maxMs: durationMs(maxInterval, "retry.maxInterval"),
  };
}

/**
 * Whether a step is tried again.
 *
 * @param key of the step, for messages
 * @param attempt the attempt that failed, from 1
 * @throws what `retryable` throws
 * @throws {TypeError} if that returns a promise
 */
export function mayRetry(policy: RetryPolicy, key: string, attempt: number, error: unknown): boolean {
  if (attempt >= policy.maxAttempts || error instanceof NonRetryableError) return false;
  const answer: unknown = policy.retryable(error);
  if (typeof (answer as PromiseLike<unknown> | null | undefined)?.then !== "function") return Boolean(answer);
  // Nothing waits for it.
  Promise.resolve(answer).catch(() => {});
  throw new TypeError(
    `Cannot tell whether step "${key}" is to be tried again: wanted true or false of retry.retryable, ` +
      `found a promise`,
    { cause: error },
  );
}

/**
 * The pause after an attempt, in whole milliseconds: exponential backoff with jitter (Brooker, "Exponential Backoff
 * And Jitter", 2015).
 *
 * @param attempt the attempt that failed, from 1
 * @param fraction a random number, at least 0 and less than 1
 */
export function retryDelayMs(policy: RetryPolicy, attempt: number, fraction: number): number {
  const { initialMs, maxMs, backoff, jitter } = policy;
  if (initialMs === 0) return 0;
  const delay = Math.min(maxMs, initialMs * backoff ** Math.min(attempt - 1, 1_000));
  return Math.round(delay * (1 - jitter * fraction));
}
