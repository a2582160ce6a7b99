import type { Liveness } from "../engine/store/database.ts";

/** Which executors on the data of a test live, as the locks of real processes tell. */
export class Executors {
  /** By id; whether its life goes on. */
  readonly #isAlive = new Map<number, () => boolean>();

  /** @param isAlive whether the life goes on that it belongs to */
  hold(executor: number, isAlive: () => boolean): void {
    this.#isAlive.set(executor, isAlive);
  }

  /** Whether an executor lives. */
  probe(executor: number): Liveness {
    const isAlive = this.#isAlive.get(executor);
    if (isAlive === undefined) return "unknown";
    return isAlive() ? "alive" : "gone";
  }

  /** Those that are, or were, alive. */
  list(): number[] {
    return [...this.#isAlive.keys()];
  }

  /** Forgets one. */
  clear(executor: number): void {
    this.#isAlive.delete(executor);
  }
}
