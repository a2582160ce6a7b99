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

/** How many turns begin with a message before `setImmediate` takes over. */
const MESSAGE_TURNS = 64;
/** Whether `setImmediate` takes microseconds, as it does from Deno 2.6 on, and not a millisecond. */
const isImmediateFast = !/^2\.[0-5]\./.test(Deno.version.deno);
let messageTurns = 0;

/** Whether turns need no messages any more. */
function canChain(): boolean {
  return isImmediateFast && messageTurns >= MESSAGE_TURNS;
}

/**
 * Calls back in the next turn of the event loop. `setImmediate` is the fastest way; but it takes 10 ms to load, which a program that has
 * little to do is spared by sending itself a message. A port keeps the process alive while it listens, so each
 * listens for one message only.
 */
function scheduleTurn(callback: () => void): void {
  if (canChain()) {
    setImmediate!(callback);
    return;
  }
  messageTurns++;
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    port1.close();
    port2.close();
    callback();
  };
  port2.postMessage(undefined);
}
