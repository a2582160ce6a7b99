import { loadDecoder } from "./serialize.ts";
import type { Checkpoint } from "./store/rows.ts";
import type { Store, WorkflowRecord } from "./store/store.ts";

/** How many completions are held in memory at a time. */
const PAGE = 1_000;
/** How many completions on either side are shown where the code and the history part. */
const SHOWN = 6;

/**
 * The completions that a workflow has seen before, in their order: what a replay gives it again.
 *
 * Owns: the place in that order. Does not own: who asks for them.
 *
 * 1. Every completion it shows has been found as it was written, and none before it is missing.
 * 2. It holds a page at a time, however long the history is.
 */
export class History {
  #page: Checkpoint[] = [];
  #next = 0;
  #after = 0;
  #complete = false;
  #loading: Promise<void> | undefined;
  readonly #shown: string[] = [];

  /** @param record the workflow, or undefined for one that has just begun and has no history */
  constructor(private readonly store: Store, private readonly record: WorkflowRecord | undefined) {
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
    this.#page = await this.store.completions(this.record!, this.#after, PAGE);
    this.#next = 0;
    this.#after += this.#page.length;
    this.#complete = this.#page.length < PAGE;
    for (const { outputJson } of this.#page) await loadDecoder(outputJson);
  }

  /** The next completion; undefined after the last. */
  peek(): Checkpoint | undefined {
    return this.#page[this.#next];
  }

  /** Goes on to the one after it. */
  advance(): void {
    this.#shown.push(describe(this.#page[this.#next]!));
    if (this.#shown.length > SHOWN) this.#shown.shift();
    this.#next++;
  }

  /** The completions around the place, for a person. */
  surroundings(): string[] {
    return [...this.#shown, ...this.#page.slice(this.#next, this.#next + SHOWN).map(describe)];
  }
}

function describe({ completion, kind, key }: Checkpoint): string {
  return `${completion}. ${kind} ${key}`;
}
