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

/** The clock of the machine. */
export const systemClock: Clock = {
  now: () => Date.now(),

  setTimer(delayMs, wake, { background = false } = {}) {
    let timer: ReturnType<typeof setTimeout>;
    const arm = (restMs: number) => {
      const partMs = Math.min(restMs, MAX_TIMEOUT_MS);
      timer = setTimeout(() => restMs > partMs ? arm(restMs - partMs) : wake(), partMs);
      if (background) Deno.unrefTimer(timer);
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};
