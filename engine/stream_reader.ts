import { follow, type FollowHost } from "./follow.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import { decodeRead } from "./read_published.ts";
import { Scope } from "./scope.ts";
import { emittedKey, type EmittedRow } from "./store/publications.ts";

/** Where a stream is read from. */
export interface StreamOptions {
  /** The position of the first entry: 0, the default, for all. */
  from?: number;
}

const OPTIONS = optionNames<StreamOptions>({ from: true });

/** One entry of a stream. */
export interface StreamEntry<T = unknown> {
  /** Its place in the stream, from 0, without gaps: who begins again begins at the next one. */
  readonly position: number;
  /** What was emitted. */
  readonly value: T;
}

/** How many entries are read at a time, and how many bytes in all, but for the last of them. */
const PAGE = { rows: 100, bytes: 1_000_000 };

/**
 * The entries of a stream, from a position to the end of its workflow.
 *
 * Owns: how far it has been read, and one page of what comes next. Does not own: when there is more (follow.ts).
 *
 * 1. Each entry is given once, in the order of their positions, however many ask for the next one at a time.
 * 2. While nobody asks for an entry, nothing is held: no process, no timer, no watch.
 */
export class StreamReader implements AsyncIterableIterator<StreamEntry> {
  readonly #host: FollowHost;
  readonly #id: string;
  readonly #stream: string;
  readonly #giveUp = new Scope();
  /** The entries that were read and not given yet, the next one last. */
  #page: EmittedRow[] = [];
  #from: number;
  #completion = 0;
  /** Settled when all who have asked for an entry so far have got one. */
  #turn: Promise<unknown> = Promise.resolve();

  /**
   * @throws {TypeError | RangeError} if the name is not one, or the position is not an integer from 0
   */
  constructor(host: FollowHost, id: string, stream: string, options: StreamOptions = {}) {
    checkName(stream, "a stream's name");
    checkOptions(options, OPTIONS, "read stream", stream);
    const { from = 0 } = options;
    if (!(Number.isSafeInteger(from) && from >= 0)) {
      throw new RangeError(`Cannot read stream "${stream}": wanted a position from 0, found ${found(from)}`);
    }
    this.#host = host;
    this.#id = id;
    this.#stream = stream;
    this.#from = from;
  }

  next(): Promise<IteratorResult<StreamEntry, undefined>> {
    const next = this.#turn.then(() => this.#next());
    this.#turn = next.catch(() => {});
    return next;
  }

  async #next(): Promise<IteratorResult<StreamEntry, undefined>> {
    try {
      if (!this.#giveUp.aborted && this.#page.length === 0) await this.#readPage();
      const row = this.#giveUp.aborted ? undefined : this.#page.pop();
      if (row === undefined) {
        this.#end();
        return { done: true, value: undefined };
      }
      const { position, valueJson } = row;
      const key = emittedKey(this.#stream, position);
      const value = await decodeRead(this.#host, valueJson, { workflowId: this.#id, key });
      return { done: false, value: { position, value } };
    } catch (error) {
      this.#end();
      throw error;
    }
  }

  async #readPage(): Promise<void> {
    const page = await follow(this.#host, this.#id, {
      giveUp: this.#giveUp,
      look: async (record) => {
        const after = { from: this.#from, completion: this.#completion };
        const entries = await this.#host.publications.entries(record, this.#stream, after, PAGE);
        return entries.length === 0 ? undefined : entries;
      },
    });
    if (page === undefined) return;
    const { position, completion } = page.at(-1)!;
    this.#from = position + 1;
    this.#completion = completion;
    this.#page = page.reverse();
  }

  #end(): void {
    this.#page = [];
    this.#giveUp.abort(undefined);
  }

  /** Ends it: also for those who wait for an entry. */
  return(): Promise<IteratorResult<StreamEntry, undefined>> {
    this.#end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
