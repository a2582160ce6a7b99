import type { Clock } from "../engine/clock.ts";

/** The clock of one life of an engine: its timers end with it. */
export class LifeClock implements Clock {
  readonly #cancels = new Set<() => void>();
  #over = false;

  constructor(private readonly clock: Clock) {}

  now(): number {
    return this.clock.now();
  }

  monotonic(): number {
    return this.clock.monotonic?.() ?? this.clock.now();
  }

  setTimer(delayMs: number, wake: () => void, options?: { background?: boolean }): () => void {
    if (this.#over) return () => {};
    const cancel = this.clock.setTimer(delayMs, () => {
      this.#cancels.delete(cancel);
      wake();
    }, options);
    this.#cancels.add(cancel);
    return () => {
      this.#cancels.delete(cancel);
      cancel();
    };
  }

  /** No timer rings any more. */
  end(): void {
    this.#over = true;
    for (const cancel of this.#cancels) cancel();
    this.#cancels.clear();
  }
}
