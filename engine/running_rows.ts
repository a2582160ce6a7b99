import type { Batch, Rider } from "./store/database.ts";
import type { Checkpoint } from "./store/rows.ts";
import type { Ownership } from "./store/ownership.ts";
import type { Store } from "./store/store.ts";

/** How many rows go with one commit. */
const MAX_ROWS = 500;

/**
 * The rows that say a step is running: they show people what is going on, and tell the next run what this one had
 * begun.
 *
 * Owns: which steps have such a row in the store, and which are to get one. Does not own: when a step ends.
 *
 * 1. A step that ends before the next commit costs no row: its row rides along with a commit, and it has got off by then.
 * 2. There is one row a step: what is written next for the step replaces it.
 */
export class RunningRows implements Rider {
  readonly stream: number;
  /** By key, as those that follow; most runs never have one. */
  #begun: Map<string, () => Checkpoint> | undefined;
  #stored: Map<string, Checkpoint> | undefined;
  #riding = false;
  #closed = false;

  constructor(
    private readonly store: Store,
    private readonly owner: Ownership,
    private readonly on: { lost(): void; failed(error: Error): void },
  ) {
    this.stream = owner.run;
  }

  /** Notes a row that is in the store, or on its way there. */
  stored(row: Checkpoint): void {
    this.#begun?.delete(row.key);
    (this.#stored ??= new Map()).set(row.key, row);
  }

  /** The row of a step, if there is one in the store. */
  get(key: string): Checkpoint | undefined {
    return this.#stored?.get(key);
  }

  /** Lets a step's row ride along with the next commit. */
  begin(key: string, row: () => Checkpoint): void {
    if (this.#closed) return;
    (this.#begun ??= new Map()).set(key, row);
    this.#ride();
  }

  /** The step has ended. @returns whether it has a row in the store, which its outcome replaces */
  end(key: string): boolean {
    this.#begun?.delete(key);
    return this.#stored?.delete(key) ?? false;
  }

  /** Lets no further row ride along, for good. */
  close(): void {
    this.#begun = undefined;
    this.#closed = true;
  }

  /** The rows that are in the store. */
  left(): Checkpoint[] {
    return [...this.#stored?.values() ?? []];
  }

  board(): Batch {
    this.#riding = false;
    const rows: Checkpoint[] = [];
    for (const row of this.#begun?.values() ?? []) {
      if (rows.length === MAX_ROWS) break;
      rows.push(row());
    }
    const batch = rows.map((row) => {
      const replaces = this.get(row.key) !== undefined;
      this.stored(row);
      return this.store.checkpointStatement(this.owner, row, replaces);
    });
    if (this.#begun?.size) this.#ride();
    return batch;
  }

  #ride(): void {
    if (this.#riding) return;
    this.#riding = true;
    this.store.rideAlong(this);
  }

  committed(counts: readonly number[]): void {
    if (counts.includes(0)) this.on.lost();
  }

  failed(error: Error): void {
    this.on.failed(error);
  }
}
