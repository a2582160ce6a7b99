/** Where an engine's time comes from: everything it measures, waits for and writes down goes through one of these. */
export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. */
  now(): number;
  /**
   * Calls `wake` once, when `delayMs` has passed; where that is more than a minute, by {@linkcode Clock.now}.
   *
   * @param delayMs 0 or more; any length
   * @param options.background whether the process may end while this is all it waits for
   * @returns a function that calls it off
   */
  setTimer(delayMs: number, wake: () => void, options?: { background?: boolean }): () => void;
  /**
   * Milliseconds since some instant of the clock's own, which pass as time does: setting {@linkcode Clock.now} forth or back
   * changes nothing here. By it the engine tells a clock that was set from time that has passed. A clock without it is as good:
   * the engine then counts what passes by its timers.
   */
  monotonic?(): number;
}

/** Holds the process alive until it is called off, however long that takes. @returns a function that calls it off */
export function holdProcess(clock: Clock): () => void {
  return clock.setTimer(FOREVER_MS, () => {});
}

const FOREVER_MS = 9_000_000_000_000;
/**
 * A delay longer than this is made of several, and over when the clock says so: whoever sets the clock, or suspends the
 * machine, is found out within that time.
 */
const MAX_PART_MS = 60_000;
/** For how long a background timer may keep the process alive. */
const MAX_HOLD_MS = 500;
/** A background timer that is shorter than this is one of many. */
const MIN_HOLD_MS = 50;
/** Whether `setTimeout` has been used. */
let isLoaded = false;

/** The clock of the machine. */
export const systemClock: Required<Clock> = {
  now(): number {
    return Date.now();
  },

  monotonic(): number {
    return performance.now();
  },

  setTimer(delayMs, wake, { background = false } = {}): () => void {
    if (!background) return setLongTimeout(delayMs, wake);
    if (isLoaded || delayMs < MIN_HOLD_MS) return setLongTimeout(delayMs, wake, Deno.unrefTimer);
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
    cancel = setLongTimeout(delayMs - holdMs, wake, Deno.unrefTimer);
  };
  signal.addEventListener("abort", proceed);
  return () => cancel();
}

function setLongTimeout(delayMs: number, wake: () => void, adjust?: (timer: number) => void): () => void {
  isLoaded = true;
  const until = Date.now() + delayMs;
  let timer: ReturnType<typeof setTimeout>;
  let isCancelled = false;
  const arm = (restMs: number) => {
    timer = setTimeout(() => {
      // Deno 2.4 rings one that was called off when it was due already.
      if (isCancelled) return;
      const leftMs = delayMs > MAX_PART_MS ? until - Date.now() : 0;
      if (leftMs > 0) arm(leftMs);
      else wake();
    }, Math.min(restMs, MAX_PART_MS));
    adjust?.(timer as unknown as number);
  };
  arm(delayMs);
  return () => {
    isCancelled = true;
    clearTimeout(timer);
  };
}
