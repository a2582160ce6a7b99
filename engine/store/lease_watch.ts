import type { Clock } from "../clock.ts";
import { PassingTime } from "../passing_time.ts";

/** How many leases are known at a time. */
const MAX_KNOWN = 1_000;
/** By how much more than time passes the clock may go before it counts as set, in milliseconds; less for short leases. */
const MAX_DRIFT_MS = 1_000;

/**
 * When the leases of executors that live are over.
 *
 * A lease is written down as a time by the clock, and that may be set, or go on while the machine sleeps. So, beside the clock,
 * what counts is how much time has passed:
 *
 * 1. Right after the clock was set forth, a lease that has run out by it counts for the time of a heartbeat: its executor, whose
 *    clock is the same one or not, has that time to renew it.
 * 2. A lease that was seen, and is not renewed, is over once so much time has passed as it had left then, also where the clock was
 *    set back meanwhile.
 */
export class LeaseWatch {
  readonly #passing: PassingTime;
  readonly #driftMs: number;
  readonly #graceMs: number;
  /** By how much the clock is ahead of what has passed, at the last look. */
  #ahead: number | undefined;
  /** Until when, by what passes, the clock counts as just set. */
  #graceUntil = -Infinity;
  /** When each lease is over, by what passes, as it was when it was seen first. */
  readonly #known = new Map<number, { readonly leaseUntil: number; readonly overAt: number }>();

  /** @param leaseMs how long the leases of this process are: three heartbeats */
  constructor(private readonly clock: Clock, readonly leaseMs: number) {
    this.#passing = new PassingTime(clock);
    this.#driftMs = Math.min(MAX_DRIFT_MS, leaseMs / 10);
    // A little more, so that what is written at that very heartbeat is there.
    this.#graceMs = leaseMs / 3 + this.#driftMs;
    // Where it costs no timers, also what is set before the first look is noticed.
    if (clock.monotonic !== undefined) this.#look(this.#passing.now());
  }

  /** For how long a lease still lasts, in milliseconds: 0 or less if it is over. @param now what the clock says */
  leftMs(executor: number, leaseUntil: number, now: number = this.clock.now()): number {
    const passed = this.#passing.now();
    const leftByClock = leaseUntil - now;
    this.#look(passed);
    let known = this.#known.get(executor);
    if (known?.leaseUntil !== leaseUntil) {
      // A little later, so that it is the clock that counts where nobody sets it.
      const overAt = passed + Math.max(0, leftByClock) + this.#passing.exactMs + this.#driftMs;
      known = { leaseUntil, overAt };
      this.#known.delete(executor);
      this.#known.set(executor, known);
      if (this.#known.size > MAX_KNOWN) this.#known.delete(this.#known.keys().next().value!);
    }
    return Math.max(Math.min(leftByClock, known.overAt - passed), this.#graceUntil - passed);
  }

  /** Finds out whether the clock was set forth since the last look. */
  #look(passed: number): void {
    const ahead = this.clock.now() - passed;
    if (this.#ahead !== undefined && ahead - this.#ahead > this.#driftMs + this.#passing.exactMs) {
      this.#graceUntil = passed + this.#graceMs;
    }
    this.#ahead = ahead;
  }

  /** Counts no more what passes. */
  close(): void {
    this.#passing.stop();
  }
}
