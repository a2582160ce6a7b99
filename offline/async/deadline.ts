/** Options for {@linkcode deadline}. */
export interface DeadlineOptions {
  /** Ends the wait: it rejects with the signal's reason. */
  signal?: AbortSignal;
}

/**
 * Waits for a promise, up to a time. What the promise stands for goes on when the time is up.
 *
 * @param p The promise.
 * @param ms How long to wait, in milliseconds; forever from `Number.MAX_SAFE_INTEGER` on.
 * @param options What else may end the wait.
 * @returns What the promise resolves to; rejects with a `DOMException` named `TimeoutError` when the time is up.
 */
export async function deadline<T>(p: Promise<T>, ms: number, options: DeadlineOptions = {}): Promise<T> {
  const ends = options.signal ? [options.signal] : [];
  if (ms < Number.MAX_SAFE_INTEGER) ends.push(AbortSignal.timeout(ms));
  const end = AbortSignal.any(ends);
  const { promise: ended, reject } = Promise.withResolvers<never>();
  const abort = () => reject(end.reason);
  if (end.aborted) abort();
  end.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([ended, p]);
  } finally {
    end.removeEventListener("abort", abort);
  }
}
