import { type Clock, holdProcess } from "./clock.ts";
import type { Store } from "./store/store.ts";

/** Waits for something to happen to a workflow; must be stopped. */
export interface Following {
  /** Settled when something may have happened. */
  readonly promise: Promise<void>;
  readonly stop: () => void;
}

/**
 * Who waits for something to happen to a workflow: here, or in another process.
 *
 * The process is held alive for them.
 */
export class Followers {
  readonly #wakes = new Map<string, Set<() => void>>();

  constructor(private readonly store: Store, private readonly clock: Clock) {}

  /** Waits until something happens to a workflow here, or another process changes the store. */
  follow(workflowId: string): Following {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakes = this.#wakes.get(workflowId) ?? new Set();
    this.#wakes.set(workflowId, wakes.add(resolve));
    const stopWatching = this.store.watch(resolve);
    const release = holdProcess(this.clock);
    const stop = () => {
      stopWatching();
      release();
      wakes.delete(resolve);
      if (wakes.size === 0) this.#wakes.delete(workflowId);
    };
    return { promise, stop };
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
