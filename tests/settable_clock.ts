import { ManualClock } from "./manual_clock.ts";

/** A timer of up to so many milliseconds is over when they have passed, whatever the clock says: see `Clock.setTimer()`. */
const SHORT_MS = 60_000;

/** A clock that stands still until a test moves it, and that somebody may set, as one sets the clock of a machine. */
export class SettableClock extends ManualClock {
  #offsetMs = 0;

  override now(): number {
    return super.now() + this.#offsetMs;
  }

  override setTimer(delayMs: number, wake: () => void, options?: { background?: boolean }): () => void {
    if (delayMs <= SHORT_MS) return super.setTimer(delayMs, wake, options);
    // A long one is made of short ones, and over when the clock says so.
    const until = this.now() + delayMs;
    let cancel: () => void;
    const arm = () => {
      const leftMs = until - this.now();
      if (leftMs <= 0) return wake();
      cancel = super.setTimer(Math.min(leftMs, SHORT_MS), arm, options);
    };
    arm();
    return () => cancel();
  }

  /** Sets the clock forth, or back. No time passes. */
  jump(ms: number): void {
    this.#offsetMs += ms;
  }
}
