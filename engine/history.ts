import { NonDeterminismError } from "./errors.ts";
import { loadDecoder } from "./serialize.ts";
import type { Checkpoint } from "./store/rows.ts";
import type { Seen } from "./store/ownership.ts";
import type { Store } from "./store/store.ts";

/** How many completions are held in memory at a time. */
const PAGE = 1_000;
/** How many completions, and keys asked for, are shown where the code and the history part. */
const SHOWN = 8;

/** The keys that the code has asked for and not been given yet. */
export interface AskedKeys {
  has(key: string): boolean;
}

/**
 * The completions that a workflow has seen before, in their order: what a replay gives it again.
 *
 * Owns: the place in that order, and what was passed by without being asked for. Does not own: who asks, and when to
 * go on.
 *
 * 1. Every completion it shows has been found as it was written, and none before it is missing.
 * 2. It holds a page at a time, however long the history is.
 * 3. What is passed by is set aside, and given when it is asked for after all. What followed a failure that has been
 *    retried may stay there; anything else there, at the end, means that the code has changed.
 */
export class History {
  #page: Checkpoint[] = [];
  #next = 0;
  #last = 0;
  #complete: boolean;
  #loading: Promise<void> | undefined;
  #aside: Map<string, Checkpoint> | undefined;
  /** The last completions that were gone by, in a ring. */
  readonly #passed: Checkpoint[] = [];
  /** The last keys that were asked for, in a ring. */
  readonly #asked: string[] = [];
  #asks = 0;

  /** @param record the workflow, or undefined for one that has just begun and has no history */
  constructor(
    private readonly store: Store,
    private readonly workflowId: string,
    private readonly record: (Seen & { workflowId: string }) | undefined,
  ) {
    this.#complete = record === undefined;
  }

  /** Whether {@linkcode History.load} must be awaited before {@linkcode History.peek}. */
  get mustLoad(): boolean {
    return this.#next === this.#page.length && !this.#complete;
  }

  /** Reads the next page. @throws {CorruptCheckpointError} if a row of it is missing or not as it was written */
  load(): Promise<void> {
    this.#loading ??= this.#load().finally(() => this.#loading = undefined);
    return this.#loading;
  }

  async #load(): Promise<void> {
    const page = await this.store.completions(this.record!, this.#last, PAGE);
    for (const { outputJson } of page) await loadDecoder(outputJson);
    this.#page = page;
    this.#next = 0;
    this.#complete = page.length < PAGE;
  }

  /** The next completion; undefined after the last. */
  peek(): Checkpoint | undefined {
    return this.#page[this.#next];
  }

  /** The number of the last completion that was gone by. */
  get last(): number {
    return this.#last;
  }

  /** Goes on to the completion after the next. */
  advance(): void {
    const passed = this.#page[this.#next++]!;
    this.#last = passed.completion!;
    this.#passed[passed.completion! % SHOWN] = passed;
  }

  /** Goes on, and keeps what is gone by for when it is asked for. */
  setAside(): void {
    const next = this.peek()!;
    this.advance();
    if (next.status !== "retried") (this.#aside ??= new Map()).set(next.key, next);
  }

  /** Sets aside what was not asked for, up to what was. */
  async setAsideUnasked(asked: AskedKeys): Promise<void> {
    while (true) {
      if (this.mustLoad) await this.load();
      const next = this.peek();
      if (next === undefined || next.kind === "cancel" || asked.has(next.key)) return;
      this.setAside();
    }
  }

  /** Notes that a key is asked for. @returns its completion, if that was set aside */
  ask(key: string): Checkpoint | undefined {
    this.#asked[this.#asks++ % SHOWN] = key;
    const checkpoint = this.#aside?.get(key);
    if (checkpoint !== undefined) this.#aside!.delete(key);
    return checkpoint;
  }

  /** The first completion that was set aside and has to be asked for. */
  unasked(): Checkpoint | undefined {
    for (const checkpoint of this.#aside?.values() ?? []) if (mustBeAsked(checkpoint)) return checkpoint;
    return undefined;
  }

  /** The first completion in all of the history that has to be asked for and was not. */
  async unaskedToTheEnd(asked: AskedKeys): Promise<Checkpoint | undefined> {
    const unasked = this.unasked();
    if (unasked !== undefined) return unasked;
    while (true) {
      if (this.mustLoad) await this.load();
      const next = this.peek();
      if (next === undefined || mustBeAsked(next) && !asked.has(next.key)) return next;
      this.advance();
    }
  }

  /** The error for code that asks for another history than this one. */
  divergence(reason: string): NonDeterminismError {
    const ahead = this.#page.slice(this.#next, this.#next + SHOWN).map(describe);
    return new NonDeterminismError(
      this.workflowId,
      reason,
      [...unrolled(this.#passed, this.#last + 1).map(describe), ...ahead],
      unrolled(this.#asked, this.#asks),
    );
  }
}

function mustBeAsked({ kind, status }: Checkpoint): boolean {
  return kind !== "cancel" && (status === "completed" || status === "failed");
}

function describe({ completion, kind, key }: Checkpoint): string {
  return `${completion}. ${kind} ${key}`;
}

/** The entries of a ring, the oldest first. */
function unrolled<T>(ring: readonly T[], next: number): T[] {
  const first = next % SHOWN;
  return [...ring.slice(first), ...ring.slice(0, first)].filter((entry) => entry !== undefined);
}
