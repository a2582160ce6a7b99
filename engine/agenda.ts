import type { Clock } from "./clock.ts";
import { DueTimes } from "./due_times.ts";

/**
 * Knows every time at which something is to be looked at again, and rings at each of them.
 *
 * Owns: the times, and the timers for them. Does not own: what is looked at.
 *
 * 1. No time is forgotten because another one is sooner: it stays until it has come, or is taken back under its key.
 * 2. A time is one by the clock. A pause is over once so much time has passed, whatever the clock is set to meanwhile.
 * 3. Once it is closed it takes nothing more: what was under way then leaves no timer behind.
 */
export class Agenda {
  readonly #times = new DueTimes<string>();
  readonly #pauses = new Map<string, () => void>();
  #nextAt = Infinity;
  #cancel: (() => void) | undefined;
  #closed = false;

  /** @param ring is given the keys of what has come */
  constructor(private readonly clock: Clock, private readonly ring: (keys: readonly string[]) => void) {}

  /** Rings at this time. It takes the place of the time that its key had before; undefined takes that back. */
  setTime(key: string, at: number | undefined): void {
    if (this.#closed) return;
    this.#times.set(key, at ?? Infinity);
    this.#arm();
  }

  /** Rings at this time at the latest: a sooner one that its key has is kept. */
  setLatest(key: string, at: number): void {
    if (at < this.#times.of(key)) this.setTime(key, at);
  }

  /** Rings once so much time has passed. It takes the place of the pause that its key had before. */
  pause(key: string, delayMs: number): void {
    if (this.#closed) return;
    this.#pauses.get(key)?.();
    const cancel = this.clock.setTimer(delayMs, () => {
      this.#pauses.delete(key);
      this.ring([key]);
    }, { background: true });
    this.#pauses.set(key, cancel);
  }

  /** Whether the pause of a key is not over. */
  isPaused(key: string): boolean {
    return this.#pauses.has(key);
  }

  /** How many pauses are not over. */
  get paused(): number {
    return this.#pauses.size;
  }

  /** Ends a pause, and does not ring for it. */
  endPause(key: string): void {
    this.#pauses.get(key)?.();
    this.#pauses.delete(key);
  }

  /** Sets the timer for the first of the times, unless one is set that rings by then. */
  #arm(): void {
    const at = this.#times.earliest;
    if (at >= this.#nextAt) return;
    this.#cancel?.();
    this.#nextAt = at;
    this.#cancel = this.clock.setTimer(Math.max(0, at - this.clock.now()), () => {
      this.#cancel = undefined;
      this.#nextAt = Infinity;
      const due = this.#times.dueBy(this.clock.now());
      for (const key of due) this.#times.delete(key);
      this.#arm();
      if (due.length > 0) this.ring(due);
    });
  }

  /** Forgets all of it. */
  clear(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#nextAt = Infinity;
    this.#times.clear();
    for (const cancel of this.#pauses.values()) cancel();
    this.#pauses.clear();
  }

  /** Forgets all of it, for good. */
  close(): void {
    this.#closed = true;
    this.clear();
  }
}
