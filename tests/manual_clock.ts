import type { Clock } from "@stepwell/stepwell";
import { eventually } from "./eventually.ts";

interface Timer {
  readonly at: number;
  readonly wake: () => void;
  readonly background: boolean;
}

/** What nobody waits for to end. */
const NEVER_MS = 1_000_000_000_000;

/**
 * A clock that stands still until a test moves it. What is due at once is called at once.
 *
 * A background timer that comes due more than once while the clock moves is called once: days have a great many of the
 * milliseconds after which a store is looked at again.
 */
export class ManualClock implements Clock {
  #now: number;
  readonly #timers = new Set<Timer>();
  #movingUntil: number | undefined;

  constructor(now: number = Date.UTC(2030, 0, 1)) {
    this.#now = now;
  }

  now(): number {
    return this.#now;
  }

  /** Where a test sets the clock, this does not go with it. */
  monotonic(): number {
    return this.#now;
  }

  setTimer(delayMs: number, wake: () => void, { background = false } = {}): () => void {
    const soonest = background && this.#movingUntil !== undefined ? this.#movingUntil + 1 : 0;
    const timer = { at: Math.max(this.#now + delayMs, soonest), wake, background };
    this.#timers.add(timer);
    if (delayMs <= 0) queueMicrotask(() => this.advance(0));
    return () => void this.#timers.delete(timer);
  }

  /** How long it is until each of the timers that keep a process alive, the soonest first; without those that never end. */
  get timers(): number[] {
    return [...this.#timers].filter(({ background }) => !background).map(({ at }) => at - this.#now)
      .filter((delayMs) => delayMs < NEVER_MS).sort((a, b) => a - b);
  }

  /** Moves on, and calls the timers that come due, in their order, each at its time. */
  advance(ms: number): void {
    const until = this.#now + ms;
    this.#movingUntil = until;
    for (let timer = this.#due(until); timer !== undefined; timer = this.#due(until)) {
      this.#timers.delete(timer);
      this.#now = Math.max(this.#now, timer.at);
      timer.wake();
    }
    this.#now = until;
    this.#movingUntil = undefined;
  }

  #due(until: number): Timer | undefined {
    let due: Timer | undefined;
    for (const timer of this.#timers) {
      if (timer.at <= until && (due === undefined || timer.at < due.at)) due = timer;
    }
    return due;
  }

  /** Waits until something waits for a time. @returns how long it is until then, in whole milliseconds */
  async nextTimer(): Promise<number> {
    await eventually(() => this.timers.length > 0);
    return Math.ceil(this.timers[0]!);
  }
}
