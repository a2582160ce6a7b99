/**
 * Turns of the event loop.
 *
 * Owns: when the engine's own work runs, relative to the workflows' code. Does not own: what that work is.
 *
 * 1. A task runs in a turn of its own, after every microtask of the code before it: what one completion sets off in
 *    a workflow has come to rest before the workflow sees the next.
 * 2. Work that profits from waiting (a commit, which all that is ready by then can share) runs once no task is left,
 *    and after {@linkcode MAX_TURNS_HELD} turns at the latest.
 *
 * @module
 */

/** How many turns a commit waits, at most, for more to share it. */
const MAX_TURNS_HELD = 256;

/** Runs tasks turn by turn; a task must not throw. */
export class Turns {
  #next: (() => void)[] = [];
  #quiet: (() => void)[] = [];
  #scheduled = false;
  #held = 0;
  #number = 0;

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
    scheduleTurn(this.#turn);
  }

  #turn = (): void => {
    this.#scheduled = false;
    this.#number++;
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
  };
}

declare const setImmediate: ((callback: () => void) => unknown) | undefined;

/** How many turns begin with a compilation before `setImmediate` takes over. */
const COMPILED_TURNS = 64;
/** The smallest module there is: eight bytes of header. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
/** Whether `setImmediate` takes microseconds, as it does from Deno 2.6 on, and not a millisecond. */
const isImmediateFast = !/^2\.[0-5]\./.test(Deno.version.deno);
let compiledTurns = 0;

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
