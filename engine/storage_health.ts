import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { StoreEvent } from "./events.ts";

/** How long it takes until an error that lasts is told again, in milliseconds. */
const TELL_INTERVAL_MS = 60_000;

/** Something that the engine does by itself, and that fails just now. */
interface Failing {
  readonly since: number;
  /** Whether it concerns one workflow, queue or schedule, and not the store. */
  readonly ofOne: boolean;
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
 * 2. What fails for one workflow, queue or schedule is told likewise, and is no reason to give up the others.
 * 3. Nothing else is caught: an error that is not the store's goes on to the caller.
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
   * @param options.ofOne whether it is for one workflow, queue or schedule
   * @returns whether it was done: not for an error of the store, which was told
   */
  async attempt(doing: string, act: () => Promise<unknown>, options?: { ofOne?: boolean }): Promise<boolean> {
    try {
      await act();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.failed(doing, error, options);
      return false;
    }
    this.worked(doing);
    return true;
  }

  /** Something has failed. @param options see {@linkcode attempt} */
  failed(doing: string, error: StoreError, { ofOne = false }: { ofOne?: boolean } = {}): void {
    if (this.#closed) return;
    const { clock, emit } = this.options;
    let failing = this.#failing.get(doing);
    if (failing === undefined) {
      failing = { since: clock.now(), ofOne, error, mustTell: true, cancelTimers: () => {} };
      this.#giveUpLater(doing, failing);
      this.#failing.set(doing, failing);
    }
    failing.error = error;
    if (!failing.mustTell) return;
    failing.mustTell = false;
    addTimer(failing, clock.setTimer(TELL_INTERVAL_MS, () => failing.mustTell = true, { background: true }));
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
    // What fails already is not waited for any longer than what begins to.
    for (const [doing, failing] of this.#failing) this.#giveUpLater(doing, failing);
    return () => {
      if (this.#giveUp?.give === give) this.#giveUp = undefined;
    };
  }

  #giveUpLater(doing: string, failing: Failing): void {
    if (this.#giveUp === undefined || failing.ofOne) return;
    const { afterMs, give } = this.#giveUp;
    const cancel = this.options.clock.setTimer(afterMs, () => {
      if (this.#failing.get(doing) === failing && this.#giveUp?.give === give) give(failing.error);
    });
    addTimer(failing, cancel);
  }

  /** Tells no more. */
  close(): void {
    this.#closed = true;
    for (const { cancelTimers } of this.#failing.values()) cancelTimers();
    this.#failing.clear();
  }
}

function addTimer(failing: Failing, cancel: () => void): void {
  const { cancelTimers } = failing;
  failing.cancelTimers = () => {
    cancel();
    cancelTimers();
  };
}
