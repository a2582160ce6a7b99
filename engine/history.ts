import { NonDeterminismError } from "./errors.ts";
import { loadDecoder } from "./serialize.ts";
import { PAGE_LIMITS, type PageLimits } from "./store/pages.ts";
import type { Checkpoint } from "./store/rows.ts";
import type { Seen } from "./store/ownership.ts";
import type { Store } from "./store/store.ts";

/** How many completions, and keys asked for, are shown where the code and the history part. */
const SHOWN = 8;

/** A completion without what it has brought: that may be large. */
export type PassedCompletion = Pick<Checkpoint, "key" | "kind" | "status" | "completion">;

/** A completion that was set aside: as it is, or to be read again. */
export type AsideCompletion = { readonly checkpoint: Checkpoint } | {
  readonly read: () => Promise<Checkpoint>;
};

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
 * 2. It holds a page at a time, however long the history is, and no more than another page of what was set aside.
 * 3. What is passed by is set aside, and given when it is asked for after all. What followed a failure that has been
 *    retried may stay there; anything else there, at the end, means that the code has changed.
 */
export class History {
  #page: readonly Checkpoint[] = [];
  #next = 0;
  #last = 0;
  #complete: boolean;
  #loading: Promise<void> | undefined;
  #aside: Map<string, Checkpoint | PassedCompletion> | undefined;
  /** How many more bytes, about, may be kept of what is set aside. */
  #asideBytes: number;
  /** The last completions that were gone by, in a ring. */
  readonly #passed: PassedCompletion[] = [];
  /** The last keys that were asked for, in a ring. */
  readonly #asked: string[] = [];
  #asks = 0;

  /** @param record the workflow, or undefined for one that has just begun and has no history */
  constructor(
    private readonly store: Store,
    private readonly workflowId: string,
    private readonly record: (Seen & { workflowId: string }) | undefined,
    private readonly limits: PageLimits = PAGE_LIMITS,
  ) {
    this.#complete = record === undefined;
    this.#asideBytes = limits.bytes;
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
    // Not kept while the next one is read: a page may be large.
    this.#page = [];
    this.#next = 0;
    const { completions, more } = await this.store.completions(this.record!, this.#last, this.limits);
    for (const { outputJson } of completions) await loadDecoder(outputJson);
    this.#page = completions;
    this.#complete = !more;
  }

  /** Whether all of it has been gone by, and asked for. */
  get isExhausted(): boolean {
    return this.#complete && this.#next === this.#page.length && this.unasked() === undefined;
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
    const { key, kind, status, completion } = this.#page[this.#next++]!;
    this.#last = completion!;
    this.#passed[completion! % SHOWN] = { key, kind, status, completion };
  }

  /** Goes on, and keeps what is gone by for when it is asked for. */
  setAside(): void {
    const next = this.peek()!;
    this.advance();
    if (next.status === "retried") return;
    const size = (next.outputJson?.length ?? 0) + (next.errorJson?.length ?? 0);
    const isKept = size <= this.#asideBytes;
    if (isKept) this.#asideBytes -= size;
    const { key, kind, status, completion } = next;
    (this.#aside ??= new Map()).set(key, isKept ? next : { key, kind, status, completion });
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
  ask(key: string): AsideCompletion | undefined {
    this.#asked[this.#asks++ % SHOWN] = key;
    const aside = this.#aside?.get(key);
    if (aside === undefined) return undefined;
    this.#aside!.delete(key);
    if ("attempt" in aside) return { checkpoint: aside };
    return {
      read: async () => {
        const checkpoint = await this.store.completion(this.record!, aside);
        await loadDecoder(checkpoint.outputJson);
        return checkpoint;
      },
    };
  }

  /** The first completion that was set aside and has to be asked for. */
  unasked(): PassedCompletion | undefined {
    for (const checkpoint of this.#aside?.values() ?? []) if (mustBeAsked(checkpoint)) return checkpoint;
    return undefined;
  }

  /** The first completion in all of the history that has to be asked for and was not. */
  async unaskedToTheEnd(asked: AskedKeys): Promise<PassedCompletion | undefined> {
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

function mustBeAsked({ kind, status }: PassedCompletion): boolean {
  return kind !== "cancel" && (status === "completed" || status === "failed");
}

function describe({ completion, kind, key }: PassedCompletion): string {
  return `${completion}. ${kind} ${key}`;
}

/** The entries of a ring, the oldest first. */
function unrolled<T>(ring: readonly T[], next: number): T[] {
  const first = next % SHOWN;
  return [...ring.slice(first), ...ring.slice(0, first)].filter((entry) => entry !== undefined);
}
