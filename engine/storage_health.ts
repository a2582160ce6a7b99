import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { StoreEvent } from "./events.ts";

/** How long it takes until an error that lasts is told again, in milliseconds. */
const TELL_INTERVAL_MS = 60_000;

/** Something that the engine does by itself, and that fails just now. */
interface Failing {
  readonly since: number;
  error: StoreError;
  /** Whether it is to be told at the next failure: it was not, or a minute has passed since. */
  mustTell: boolean;
  cancelTimers: () => void;
}

/**
 * Tells of storage errors in what the engine does by itself: no caller is there to be rejected with them.
 *
 * Owns: which of it fails, and since when. Does not own: when it is tried again.
 *
 * 1. The first failure of each kind is told, again each minute while it lasts, and when it is over.
 * 2. Nothing else is caught: an error that is not the store's goes on to the caller.
 */
export class StorageHealth {
  readonly #failing = new Map<string, Failing>();
  #giveUp: { readonly afterMs: number; readonly give: (error: StoreError) => void } | undefined;
  #closed = false;

  constructor(
    private readonly options: {
      readonly clock: Clock;
      readonly emit: (event: StoreEvent) => void;
    },
  ) {}

  /**
   * Does something that nobody waits for.
   *
   * @param doing what it is, for people, such as `look for work`: it is known by that
   * @returns whether it was done: not for an error of the store, which was told
   */
  async attempt(doing: string, act: () => Promise<unknown>): Promise<boolean> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.failed(doing, error);
      return false;
    }
    this.worked(doing);
    return true;
  }

  /** Something has failed. */
  failed(doing: string, error: StoreError): void {
    if (this.#closed) return;
    const { clock, emit } = this.options;
    let failing = this.#failing.get(doing);
    if (failing === undefined) {
      failing = { since: clock.now(), error, mustTell: true, cancelTimers: this.#giveUpLater(doing) };
      this.#failing.set(doing, failing);
    }
    failing.error = error;
    if (!failing.mustTell) return;
    failing.mustTell = false;
    const { cancelTimers } = failing;
    const cancel = clock.setTimer(TELL_INTERVAL_MS, () => failing.mustTell = true, { background: true });
    failing.cancelTimers = () => {
      cancel();
      cancelTimers();
    };
    emit({ type: "storageFailed", at: new Date(clock.now()), doing, error, since: new Date(failing.since) });
  }

  /** Something has worked. */
  worked(doing: string): void {
    const failing = this.#failing.get(doing);
    if (failing === undefined) return;
    failing.cancelTimers();
    this.#failing.delete(doing);
    const { clock, emit } = this.options;
    const { error, since } = failing;
    emit({ type: "storageRecovered", at: new Date(clock.now()), doing, error, since: new Date(since) });
  }

  /**
   * Calls back once something has failed for so long without a break.
   *
   * @returns a function that calls it off
   */
  giveUpAfter(afterMs: number, give: (error: StoreError) => void): () => void {
    this.#giveUp = { afterMs, give };
    return () => this.#giveUp = undefined;
  }

  #giveUpLater(doing: string): () => void {
    if (this.#giveUp === undefined) return () => {};
    const { afterMs, give } = this.#giveUp;
    return this.options.clock.setTimer(afterMs, () => {
      const failing = this.#failing.get(doing);
      if (failing !== undefined && this.#giveUp?.give === give) give(failing.error);
    });
  }

  /** Tells no more. */
  close(): void {
    this.#closed = true;
    for (const { cancelTimers } of this.#failing.values()) cancelTimers();
    this.#failing.clear();
  }
}
