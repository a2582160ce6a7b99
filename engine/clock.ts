/** Where an engine's time comes from: everything it measures, waits for and writes down goes through one of these. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /**
   * Calls `wake` once, when `delayMs` has passed.
   *
   * @param delayMs 0 or more; any length
   * @param options.background whether the process may end while this is all it waits for
   * @returns a function that calls it off
   */
  setTimer(delayMs: number, wake: () => void, options?: { background?: boolean }): () => void;
}

/** The longest delay that `setTimeout` takes; a longer one is made of several. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
/** For how long a background timer may keep the process alive. */
const MAX_HOLD_MS = 500;

/** The clock of the machine. */
export const systemClock: Clock = {
  now(): number {
    return Date.now();
  },

  setTimer(delayMs, wake, { background = false } = {}): () => void {
    if (!background) return setForegroundTimer(delayMs, wake);
    let cancelled = false;
    let cancel = (): void => {
      cancelled = true;
    };
    // What is being done just now matters more, and the first signal takes a millisecond to load.
    queueMicrotask(() => {
      if (!cancelled) cancel = setBackgroundTimer(delayMs, wake);
    });
    return () => cancel();
  },
};

/**
 * `setTimeout` takes 5 ms to load, which a program that has little to do is spared: it has ended before the time of a
 * signal is over. What a signal cannot do is let the process end sooner.
 */
function setBackgroundTimer(delayMs: number, wake: () => void): () => void {
  const holdMs = Math.min(delayMs, MAX_HOLD_MS);
  const signal = AbortSignal.timeout(holdMs);
  let cancel = () => signal.removeEventListener("abort", proceed);
  const proceed = () => {
    if (delayMs === holdMs) return wake();
    cancel = setForegroundTimer(delayMs - holdMs, wake, Deno.unrefTimer);
  };
  signal.addEventListener("abort", proceed);
  return () => cancel();
}

function setForegroundTimer(
  delayMs: number,
  wake: () => void,
  adjust?: (timer: number) => void,
): () => void {
  let timer: ReturnType<typeof setTimeout>;
  const arm = (restMs: number) => {
    const partMs = Math.min(restMs, MAX_TIMEOUT_MS);
    timer = setTimeout(() => restMs > partMs ? arm(restMs - partMs) : wake(), partMs);
    adjust?.(timer as unknown as number);
  };
  arm(delayMs);
  return () => clearTimeout(timer);
}
