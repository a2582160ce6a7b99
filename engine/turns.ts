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

/**
 * Calls back in the next turn. `setImmediate` takes microseconds from Deno 2.6 on, and a millisecond before, where a
 * message to oneself is the fastest way. A port keeps the process alive while it listens, so it does so only while
 * somebody waits.
 */
const scheduleTurn: (callback: () => void) => void =
  typeof setImmediate === "function" && Number(Deno.version.deno.split(".")[1]) >= 6 ||
    !Deno.version.deno.startsWith("2.")
    ? (callback) => void setImmediate!(callback)
    : (callback) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = () => {
        port1.close();
        callback();
      };
      port2.postMessage(undefined);
    };
