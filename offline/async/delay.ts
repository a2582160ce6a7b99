/** The longest time that one timer takes, in milliseconds; a longer one fires at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Options for {@linkcode delay}. */
export interface DelayOptions {
  /** Ends the delay: it rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Whether the delay keeps the process running; `true` by default. */
  persistent?: boolean;
}

/**
 * Waits.
 *
 * @param ms How long, in milliseconds; less than zero counts as zero.
 * @param options What may end the delay.
 * @returns A promise that resolves after that time.
 */
export function delay(ms: number, options: DelayOptions = {}): Promise<void> {
  const { signal, persistent = true } = options;
  if (signal?.aborted) return Promise.reject(signal.reason);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  let remainingMs = Math.max(0, Math.trunc(ms) || 0);
  let timer: ReturnType<typeof setTimeout> | undefined;
  const wait = () => {
    const partMs = Math.min(remainingMs, LONGEST_TIMER_MS);
    remainingMs -= partMs;
    timer = setTimeout(remainingMs > 0 ? wait : done, partMs);
    if (!persistent) Deno.unrefTimer(Number(timer));
  };
  const done = () => {
    signal?.removeEventListener("abort", abort);
    resolve();
  };
  const abort = () => {
    clearTimeout(timer);
    reject(signal?.reason);
  };
  signal?.addEventListener("abort", abort, { once: true });
  wait();
  return promise;
}
