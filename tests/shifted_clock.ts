import { type Clock, systemClock } from "@stepwell/stepwell";

/** A clock that is ahead of the machine's, and goes as it does: for a process among others that have the machine's. */
export class ShiftedClock implements Clock {
  /** By how much it is ahead, in milliseconds. */
  shiftMs = 0;

  now(): number {
    return systemClock.now() + this.shiftMs;
  }

  /** By which it is ahead has passed for it. */
  monotonic(): number {
    return systemClock.monotonic() + this.shiftMs;
  }

  setTimer(delayMs: number, wake: () => void, options?: { background?: boolean }): () => void {
    return systemClock.setTimer(delayMs, wake, options);
  }
}
