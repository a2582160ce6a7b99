import type { Clock } from "./clock.ts";

/** How long each of the timers is by which passing time is counted, in milliseconds. */
const TICK_MS = 500;
/** For how many of them it is counted on after it was last asked for. */
const TICKS_KEPT = 120;
/** A timer of up to so many milliseconds is over when they have passed, whatever the clock says: see {@linkcode Clock}. */
const MAX_TIMER_MS = 60_000;

/**
 * Time as it passes, whoever sets the clock: by the clock's own `monotonic()`, or, where it has none, by its timers.
 *
 * Those tell it to {@linkcode PassingTime.exactMs}, and only while it is asked for: before that, what the clock says is
 * taken for what has passed.
 */
export class PassingTime {
  /** What has passed by the timers that have rung. */
  #passed = 0;
  #lastAt = 0;
  #ticksLeft = 0;
  #cancelTick: (() => void) | undefined;

  constructor(private readonly clock: Clock) {}

  /** How many milliseconds later it may be than {@linkcode PassingTime.now} says. */
  get exactMs(): number {
    return this.clock.monotonic === undefined ? TICK_MS : 0;
  }

  /** Milliseconds since some instant. */
  now(): number {
    const { clock } = this;
    if (clock.monotonic !== undefined) return clock.monotonic();
    this.#ticksLeft = TICKS_KEPT;
    if (this.#cancelTick === undefined) {
      this.#passed += Math.max(0, clock.now() - this.#lastAt);
      this.#tickLater();
    }
    return this.#passed;
  }

  #tickLater(): void {
    this.#lastAt = this.clock.now();
    this.#cancelTick = this.clock.setTimer(TICK_MS, () => {
      const ms = this.clock.now() - this.#lastAt;
      // A timer may ring late; but what is far from it was set.
      this.#passed += ms >= TICK_MS && ms < 2 * TICK_MS ? ms : TICK_MS;
      if (--this.#ticksLeft > 0) return this.#tickLater();
      this.#lastAt = this.clock.now();
      this.#cancelTick = undefined;
    }, { background: true });
  }

  /** Counts no more. */
  stop(): void {
    this.#cancelTick?.();
    this.#cancelTick = undefined;
    this.#lastAt = this.clock.now();
  }
}

/** `clock.setTimer()` for time that passes: also a long timer rings when it has, whoever sets the clock meanwhile. */
export function setPassingTimer(
  clock: Clock,
  delayMs: number,
  wake: () => void,
  options?: { background?: boolean },
): () => void {
  if (delayMs <= MAX_TIMER_MS) return clock.setTimer(delayMs, wake, options);
  let cancel: () => void;
  const arm = (leftMs: number) => {
    const partMs = Math.min(leftMs, MAX_TIMER_MS);
    cancel = clock.setTimer(partMs, () => leftMs > partMs ? arm(leftMs - partMs) : wake(), options);
  };
  arm(delayMs);
  return () => cancel();
}
