import { checkOptions, optionNames } from "../engine/known_options.ts";
import { found } from "../engine/quote.ts";
import { setImmediate } from "node:timers";
import type { Clock } from "../engine/clock.ts";
import { type Duration, durationMs } from "../engine/duration.ts";

/** How a {@linkcode JumpingClock} is made. */
export interface JumpingClockOptions {
  /** What it shows at first, in milliseconds since 1970. The first of January 2030 by default. */
  start?: number;
  /** For how long, in real time, it waits for something that runs before it takes it for something that waits. 100 ms. */
  patience?: Duration;
  /** Settled when there is nothing left to do but wait. At once by default. */
  settled?: () => Promise<void>;
}

interface Timer {
  readonly at: number;
  readonly wake: () => void;
  readonly background: boolean;
  /** Whether the clock jumps to it. */
  readonly awaited: boolean;
}

const OPTIONS = optionNames<JumpingClockOptions>({ start: true, patience: true, settled: true });

/** For how many turns of the event loop nothing has to happen before it jumps. */
const QUIET_TURNS = 5;
/** What nobody waits for to end. */
const NEVER_MS = 1_000_000_000_000;

/**
 * A clock on which waiting takes no time. It stands still while anything happens, and once nothing has happened for a few
 * turns of the event loop, it jumps to the next timer by itself.
 *
 * Owns: its time and its timers. Does not own: who uses them.
 *
 * 1. Timers are called in the order of their times, each at its time.
 * 2. It jumps to no background timer: those that are due by the time it jumps to are called once each, however often
 *    they would have come due.
 * 3. While a step's function runs it does not jump, unless nothing happens for the time of its patience: then the function is
 *    one that waits to be stopped by its time-out.
 *
 * @example
 * ```ts
 * import { JumpingClock } from "@stepwell/stepwell/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const clock = new JumpingClock({ start: 0 });
 * await clock.sleep("3d");
 * assertEquals(clock.now(), 3 * 24 * 60 * 60 * 1000);
 * ```
 */
export class JumpingClock implements Clock {
  /** Whether it jumps by itself. While it does not, only {@linkcode JumpingClock.advance} moves it. */
  jumping = true;
  #now: number;
  readonly #patienceMs: number;
  readonly #settled: () => Promise<void>;
  readonly #timers = new Set<Timer>();
  /** How many of them it jumps to. */
  #awaited = 0;
  #movingUntil: number | undefined;
  /** Counts what happens. */
  #activity = 0;
  /** How many functions run, and how many of them wait for this clock. */
  #running = 0;
  #sleeping = 0;
  #watching = false;
  /** Ends the turn that is waited for, once nobody waits for a time any more. */
  #endTurn: (() => void) | undefined;
  #stopped = false;

  /**
   * A clock that stands still, until somebody waits for it.
   *
   * @throws {TypeError | RangeError} if an option is not as {@linkcode JumpingClockOptions} says
   */
  constructor(options: JumpingClockOptions = {}) {
    checkOptions(options, OPTIONS, "make a clock");
    const { start = Date.UTC(2030, 0, 1), patience = 100, settled = () => Promise.resolve() } = options;
    if (!Number.isFinite(start)) {
      throw new TypeError(`Cannot start a clock: wanted milliseconds since 1970, found ${found(start)}`);
    }
    this.#now = start;
    this.#patienceMs = durationMs(patience, "patience of a clock");
    this.#settled = settled;
  }

  /** Milliseconds since 1970, by this clock. */
  now(): number {
    return this.#now;
  }

  /** The same: nobody sets this clock, it only passes. */
  monotonic(): number {
    return this.#now;
  }

  /** Calls `wake` once, when the clock has come so far: see {@linkcode Clock}. */
  setTimer(delayMs: number, wake: () => void, options: { background?: boolean } = {}): () => void {
    const { background = false } = options;
    this.stir();
    const soonest = background && this.#movingUntil !== undefined ? this.#movingUntil + 1 : 0;
    const awaited = !background && delayMs > 0 && delayMs < NEVER_MS;
    const timer = { at: Math.max(this.#now + delayMs, soonest), wake, background, awaited };
    this.#timers.add(timer);
    if (delayMs <= 0) queueMicrotask(() => this.#move(this.#now));
    if (awaited) {
      this.#awaited++;
      this.#watch();
    }
    return () => {
      if (this.#delete(timer)) this.stir();
    };
  }

  /** Waits by this clock. For the functions of steps: the clock jumps while all that run are waiting so. */
  async sleep(duration: Duration): Promise<void> {
    const ms = durationMs(duration, "duration of a sleep");
    this.#sleeping++;
    await new Promise<void>((wake) => this.setTimer(ms, wake));
    this.#sleeping--;
  }

  /**
   * Moves on, and calls the timers that come due.
   *
   * @throws {TypeError | RangeError} if it is no duration
   */
  advance(duration: Duration): void {
    this.#move(this.#now + durationMs(duration, "duration to advance a clock by"));
  }

  /** How long it is until each of the timers that are waited for, the soonest first, in milliseconds. */
  get timers(): number[] {
    return [...this.#timers].filter(({ awaited }) => awaited)
      .map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** @ignore Something happens: the clock does not jump just now. */
  stir(): void {
    this.#activity++;
  }

  /** @ignore A function begins to run. @returns a function to be called once it has ended */
  begin(): () => void {
    this.#running++;
    this.stir();
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#running--;
      this.stir();
    };
  }

  /** @ignore Jumps no more, and calls no timer. */
  stop(): void {
    this.#stopped = true;
    this.#timers.clear();
    this.#awaited = 0;
    this.#endTurn?.();
  }

  #delete(timer: Timer): boolean {
    if (!this.#timers.delete(timer)) return false;
    if (timer.awaited && --this.#awaited === 0) this.#endTurn?.();
    return true;
  }

  #watch(): void {
    if (this.#watching || this.#stopped) return;
    this.#watching = true;
    void this.#jumpWhenQuiet();
  }

  /** Jumps, each time that nothing has happened for a while, as long as there is somewhere to jump to. */
  async #jumpWhenQuiet(): Promise<void> {
    let seen = this.#activity;
    let quietTurns = 0;
    let quietSince = performance.now();
    while (this.#awaited > 0) {
      await this.#settled();
      await this.#turn(quietTurns + 1 >= QUIET_TURNS);
      if (this.#activity !== seen) {
        seen = this.#activity;
        quietTurns = 0;
        quietSince = performance.now();
        continue;
      }
      quietTurns++;
      const isPatient = this.#running > this.#sleeping && performance.now() - quietSince < this.#patienceMs;
      if (quietTurns < QUIET_TURNS || isPatient || !this.jumping) continue;
      let next = Infinity;
      for (const { at, awaited } of this.#timers) if (awaited) next = Math.min(next, at);
      if (next !== Infinity) this.#move(Math.max(next, this.#now));
    }
    this.#watching = false;
  }

  /**
   * Waits for a turn of the event loop. The last one before a jump is of a millisecond, in which what other threads do for
   * this one comes to its end.
   */
  async #turn(isLast: boolean): Promise<void> {
    if (this.#awaited === 0) return;
    await new Promise<void>((next) => {
      if (!isLast) return void setImmediate(next);
      const timer = setTimeout(next, 1);
      this.#endTurn = () => {
        clearTimeout(timer);
        next();
      };
    });
    this.#endTurn = undefined;
  }

  #move(until: number): void {
    this.stir();
    this.#movingUntil = until;
    for (let timer = this.#due(until); timer !== undefined; timer = this.#due(until)) {
      this.#delete(timer);
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
}
