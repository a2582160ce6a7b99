import { Again } from "./again.ts";
import { type Clock, holdProcess } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { Store } from "./store/store.ts";

/** Waits for something to happen to a workflow; must be stopped. */
export interface Following {
  /** Settled when something may have happened. */
  readonly promise: Promise<void>;
  readonly stop: () => void;
}

/** How many workflows are looked at at a time. */
const PAGE = 500;
/** How long nobody looks after each of these but the first, in milliseconds: looking at very many must leave time for the rest. */
const PAUSE_MS = 10;

/**
 * Who waits for something to happen to a workflow: here, or in another process. The process is held alive for them.
 *
 * Owns: who waits, and how each workflow was when it was looked at last. Does not own: what they wait for (follow.ts).
 *
 * 1. When another process has committed, one look finds out which workflows that was about: those who wait for others are
 *    left alone, however many there are.
 * 2. Nobody misses anything: a workflow that is looked at for the first time is taken for changed, and what was seen of it
 *    at a look is older than what anybody reads of it after that.
 */
export class Followers {
  readonly #wakes = new Map<string, Set<() => void>>();
  #states: ReadonlyMap<string, string> = new Map();
  /** Ends the watch and lets the process end; there while anybody waits. */
  #end: (() => void) | undefined;
  #endPause: (() => void) | undefined;
  readonly #looking = new Again(() => this.#look());

  constructor(private readonly store: Store, private readonly clock: Clock) {}

  /** Waits until something happens to a workflow, here or in another process. */
  follow(workflowId: string): Following {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakes = this.#wakes.get(workflowId) ?? new Set();
    this.#wakes.set(workflowId, wakes.add(resolve));
    this.#end ??= this.#begin();
    const stop = () => {
      wakes.delete(resolve);
      if (wakes.size > 0 || this.#wakes.get(workflowId) !== wakes) return;
      this.#wakes.delete(workflowId);
      if (this.#wakes.size > 0) return;
      this.#end?.();
      this.#end = undefined;
    };
    return { promise, stop };
  }

  /** Whether anybody waits for something to happen to a workflow. */
  has(workflowId: string): boolean {
    return this.#wakes.has(workflowId);
  }

  #begin(): () => void {
    this.#states = new Map();
    const stopWatching = this.store.watch(() => this.#looking.ask());
    const release = holdProcess(this.clock);
    return () => {
      stopWatching();
      release();
      this.#endPause?.();
    };
  }

  /** Wakes those whose workflow is not as it was. */
  async #look(): Promise<void> {
    const ids = [...this.#wakes.keys()];
    const states = new Map<string, string>();
    try {
      for (let from = 0; from < ids.length; from += PAGE) {
        if (from > 0) await this.#pause();
        if (this.#end === undefined) return;
        const page = ids.slice(from, from + PAGE);
        const found = await this.store.states(page);
        for (const id of page) {
          const state = found.get(id) ?? "";
          states.set(id, state);
          if (this.#states.get(id) !== state) this.wake(id);
        }
      }
      this.#states = states;
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // They find out themselves.
      this.wakeAll();
    }
  }

  #pause(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.clock.setTimer(PAUSE_MS, resolve, { background: true });
    this.#endPause = () => {
      cancel();
      resolve();
    };
    return promise;
  }

  /** Tells those who wait for a workflow that something has happened to it here. */
  wake(workflowId: string): void {
    for (const wake of this.#wakes.get(workflowId) ?? []) wake();
  }

  /** Tells all. */
  wakeAll(): void {
    for (const workflowId of [...this.#wakes.keys()]) this.wake(workflowId);
  }
}
