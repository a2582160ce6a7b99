import type { Clock } from "./clock.ts";

/** Rings once at the earliest of the times that it is set to. */
export class Alarm {
  #at = Infinity;
  #cancel: (() => void) | undefined;

  constructor(private readonly clock: Clock, private readonly ring: () => void) {}

  /** Has it ring at this time at the latest. */
  set(at: number): void {
    if (at >= this.#at) return;
    this.#cancel?.();
    this.#at = at;
    this.#cancel = this.clock.setTimer(Math.max(0, at - this.clock.now()), () => {
      this.#at = Infinity;
      this.#cancel = undefined;
      this.ring();
    });
  }

  /** Calls it off. */
  clear(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#at = Infinity;
  }
}
