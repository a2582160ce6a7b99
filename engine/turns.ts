/**
 * Turns: the pieces in which the engine's work is done. Between one and the next, what the code has set off comes to rest.
 *
 * Owns: when the engine's own work runs, relative to the workflows' code. Does not own: what that work is.
 *
 * 1. A task runs in a turn of its own, after every microtask of the code before it: what one completion sets off in
 *    a workflow has come to rest before the workflow sees the next.
 * 2. Work that profits from waiting (a commit, which all that is ready by then can share) runs once no task is left,
 *    and after {@linkcode MAX_TURNS_HELD} turns at the latest.
 * 3. Turns that follow from each other may share a turn of the event loop, which costs more than all the rest of a quick
 *    step; but the event loop goes on every {@linkcode MAX_CHAIN_MS} milliseconds. What comes from outside begins with a
 *    turn of the event loop, so that all that it brings at a time is there.
 *
 * @module
 */

import { type Clock, systemClock } from "./clock.ts";

/** How many turns a commit waits, at most, for more to share it. */
const MAX_TURNS_HELD = 256;
/** How many turns, and for how long, may share one turn of the event loop: after that it sees to other things first. */
const MAX_CHAIN = 64;
const MAX_CHAIN_MS = 4;

/** Runs tasks turn by turn; a task must not throw. */
export class Turns {
  #next: (() => void)[] = [];
  #quiet: (() => void)[] = [];
  #scheduled = false;
  /** Whether what this turn has set off is still to come to rest. */
  #resting = false;
  /** How many turns have shared this turn of the event loop, and when it began. */
  #chained = 0;
  #chainBegan = 0;
  #held = 0;
  #number = 0;

  constructor(private readonly clock: Pick<Clock, "now"> = systemClock) {}

  /** The number of the turn that this is. */
  get number(): number {
    return this.#number;
  }

  /** Runs `task` in the next turn, together with the others of that turn. */
  next(task: () => void): void {
    this.#next.push(task);
    this.#schedule();
  }

  /** Runs `task` in the first turn for which nothing else is left to run. */
  whenQuiet(task: () => void): void {
    this.#quiet.push(task);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    if (!this.#resting) scheduleTurn(this.#begin);
  }

  /** Begins a turn of the event loop. */
  #begin = (): void => {
    this.#chained = 0;
    this.#chainBegan = this.clock.now();
    this.#turn();
  };

  /** Everything has come to rest: goes on with what it has left to do. */
  #goOn = (): void => {
    this.#resting = false;
    if (!this.#scheduled) return;
    this.#chained++;
    const ms = this.clock.now() - this.#chainBegan;
    if (this.#chained < MAX_CHAIN && ms < MAX_CHAIN_MS) this.#turn();
    else scheduleTurn(this.#begin);
  };

  #turn(): void {
    this.#scheduled = false;
    this.#number++;
    this.#resting = canChain();
    if (this.#resting) queueMicrotask(this.#afterMicrotask);
    const wait = this.#next.length > 0 && this.#held < MAX_TURNS_HELD;
    let tasks: (() => void)[];
    if (wait) {
      tasks = this.#next;
      this.#next = [];
      if (this.#quiet.length > 0) this.#held++;
    } else {
      tasks = this.#quiet;
      this.#quiet = [];
      this.#held = 0;
    }
    for (const task of tasks) task();
    if (this.#next.length + this.#quiet.length > 0) this.#schedule();
  }

  /** A tick that is asked for in a microtask comes once no microtask is left; in another tick, it would come before them. */
  #afterMicrotask = (): void => process.nextTick(this.#goOn);
}

declare const process: { nextTick(callback: () => void): void };
declare const setImmediate: ((callback: () => void) => unknown) | undefined;

/** How many turns begin with a compilation before `setImmediate` takes over. */
const COMPILED_TURNS = 64;
/** The smallest module there is: eight bytes of header. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
/** Whether `setImmediate` takes microseconds, as it does from Deno 2.6 on, and not a millisecond. */
const isImmediateFast = !/^2\.[0-5]\./.test(Deno.version.deno);
let compiledTurns = 0;

/** Whether turns begin in the fastest way by now. */
function canChain(): boolean {
  return isImmediateFast && compiledTurns >= COMPILED_TURNS;
}

/**
 * Calls back in the next turn, in the way that is cheapest by now. `setImmediate` is the fastest; but it takes 5 ms to
 * load, which a program that has little to do is spared by having V8 compile nothing.
 */
function scheduleTurn(callback: () => void): void {
  if (!isImmediateFast) return sendMessage(callback);
  // V8 without a compiler (`--jitless`) has no WebAssembly.
  if (compiledTurns >= COMPILED_TURNS || typeof WebAssembly === "undefined") {
    setImmediate!(callback);
    return;
  }
  compiledTurns++;
  compileNothing(callback);
}

/**
 * Calls back when V8 has compiled an empty module: it tells so in a task of its own, in 0.1 ms from the first time on.
 * Only where it is told to do everything in one thread is it done at once, which is no turn.
 */
function compileNothing(callback: () => void): void {
  // In a microtask, since none is left when V8 turns from them to its tasks. Code that Deno calls may leave some.
  queueMicrotask(() => {
    let isAtOnce = true;
    void WebAssembly.compile(EMPTY_MODULE).then(() => isAtOnce ? setImmediate!(callback) : callback());
    queueMicrotask(() => isAtOnce = false);
  });
}

/** Calls back with a message. A port keeps the process alive while it listens, so each listens for one message only. */
function sendMessage(callback: () => void): void {
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    port2.close();
    callback();
  };
  port2.postMessage(undefined);
}
