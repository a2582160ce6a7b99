import { LimitExceededError } from "./errors.ts";
import type { RunningRows } from "./running_rows.ts";
import type { Ownership } from "./store/ownership.ts";
import type { ListedWorkflow } from "./store/records.ts";
import type { Store } from "./store/store.ts";

/** How many changes one workflow may ask for. */
const MAX_PATCHES = 10_000;

/** The place in a workflow at which a change is asked for. */
export interface Place {
  /** Whether nothing that is done there counts any more. */
  readonly dropped: boolean;
  /**
   * Whether all that is stored of the workflow has been asked for: what it does from here on is new.
   *
   * @param begun the keys of what is stored as begun
   */
  isAtEnd(begun: readonly string[]): boolean;
  /** Whether it has asked for nothing that it has not been given. */
  readonly hasAsked: boolean;
}

/** What patches need of their run. */
export interface PatchesHost {
  readonly owner: Ownership;
  readonly clock: { now(): number };
  readonly rows: RunningRows;
  /** Whether something is being done or written for the workflow. */
  readonly isBusy: boolean;
  loseLease(doing: string): void;
  stopFor(error: unknown): Promise<void>;
}

/**
 * Which changes of its code a workflow has taken up: the answers of `ctx.patched()`.
 *
 * Owns: the answers, and the markers by which later runs give the same. Does not own: whether the workflow is where it
 * has not been before (run.ts).
 *
 * 1. A change has one answer in a workflow, the first: in a loop that began without the change, it stays without. Every
 *    later run comes to the same: where there is a marker the answer is yes, and where there is none, what the first
 *    run found in the history is there still.
 * 2. A marker is committed before any checkpoint of what the workflow asks for after it: they are in one stream.
 * 3. Where another outcome may be committed before the marker, so that a crash could turn the answer, no step begins
 *    before the marker is in the store.
 */
export class Patches {
  readonly #answers = new Map<string, boolean>();
  /** How many markers there are on their way that have to be in the store first. */
  #awaited = 0;
  #deferred: (() => void)[] = [];

  /** @param writes whether markers are written */
  constructor(
    private readonly store: Store,
    private readonly host: PatchesHost,
    private readonly writes: boolean,
  ) {}

  /** Reads the markers. @throws {CorruptCheckpointError} if one is not as it was written */
  async load(record: ListedWorkflow): Promise<void> {
    for (const { changeId } of await this.store.patches(record)) this.#answers.set(changeId, true);
  }

  /** Whether the workflow takes the change up. @throws {LimitExceededError} if it has asked for too many */
  answer(changeId: string, place: Place): boolean {
    const known = this.#answers.get(changeId);
    if (known !== undefined) return known;
    if (place.dropped) return false;
    if (this.#answers.size >= MAX_PATCHES) {
      throw new LimitExceededError("patches of a workflow", MAX_PATCHES, `ask for the change "${changeId}"`);
    }
    const isNew = place.isAtEnd(this.host.rows.left().map(({ key }) => key));
    this.#answers.set(changeId, isNew);
    if (isNew && this.writes) this.#write(changeId, place);
    return isNew;
  }

  #write(changeId: string, place: Place): void {
    const { host, store } = this;
    const awaited = place.hasAsked || host.isBusy;
    if (awaited) this.#awaited++;
    const patch = { changeId, run: host.owner.run, at: host.clock.now() };
    store.submit({
      batch: [store.patchStatement(host.owner, patch)],
      stream: host.owner.run,
      committed: ([written]) => {
        if (written !== 1) return host.loseLease(`record the change "${changeId}"`);
        if (!awaited || --this.#awaited > 0) return;
        for (const proceed of this.#deferred.splice(0)) proceed();
      },
      failed: (error) => void host.stopFor(error),
    });
  }

  /** Puts off what would begin before a marker is in the store. @returns whether it has to be */
  defer(proceed: () => void): boolean {
    if (this.#awaited === 0) return false;
    this.#deferred.push(proceed);
    return true;
  }
}
