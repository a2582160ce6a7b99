import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import { randomId, type RandomSource } from "./random.ts";
import type { Ownership } from "./store/ownership.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { Store } from "./store/store.ts";

/**
 * This process, as the others on the store know it.
 *
 * Owns: its id, its lock, its lease, and the workflows it has dropped without being able to say so. Does not own: the
 * runs that rely on them.
 *
 * 1. The lock is held before the first workflow is claimed, until the engine is closed or the process ends.
 * 2. The lease is renewed while a workflow runs, each third of its length. It is long enough at every claim.
 */
export class Executor {
  readonly id: number;
  #registered = false;
  #startedAt: number | undefined;
  #leaseUntil = 0;
  #renewing: Promise<void> | undefined;
  #cancelHeartbeat: (() => void) | undefined;
  #busy = false;
  /** The removal of what executors have left behind that are gone. */
  #sweep: Promise<void> | undefined;
  readonly #dropped = new Set<Ownership>();

  /** @param options.onBeat called when the lease was renewed: the time to see who has lost a workflow nevertheless */
  constructor(
    private readonly options: {
      store: Store;
      executors: ExecutorRegistry;
      clock: Clock;
      random: RandomSource;
      leaseMs: number;
      onBeat: () => void;
    },
  ) {
    this.id = randomId(options.random);
  }

  /**
   * Makes sure that others see this process alive, for as long as a claim takes to be made.
   *
   * @returns settled once the lease is written down: in the same commit as what is written right after this; undefined if it
   *   is already
   */
  prepareClaim(): Promise<void> | undefined {
    const { executors, clock, leaseMs } = this.options;
    if (!this.#registered) {
      executors.holdLock(this.id);
      this.#registered = true;
    }
    if (this.#leaseUntil - clock.now() >= leaseMs * 2 / 3) return undefined;
    this.#renewing ??= this.#renew().finally(() => this.#renewing = undefined);
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { executors, clock, leaseMs } = this.options;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    await executors.renew(
      { executor: this.id, pid: Deno.pid, startedAt: this.#startedAt ??= now },
      leaseUntil,
    );
    this.#leaseUntil = leaseUntil;
  }

  /** Says whether a workflow runs: the lease is renewed for as long as one does. */
  set busy(busy: boolean) {
    this.#busy = busy;
    if (busy) {
      this.#cancelHeartbeat ??= this.#beatLater();
      // What is left over is swept up by the next executor.
      this.#sweep ??= this.options.executors.removeGone(this.id).catch((error) => {
        if (!(error instanceof StoreError)) throw error;
      });
    } else if (this.#dropped.size === 0) {
      this.#cancelHeartbeat?.();
      this.#cancelHeartbeat = undefined;
    }
  }

  /** Takes over a workflow whose run has ended without being able to release it, to release it later. */
  drop(owner: Ownership): void {
    this.#dropped.add(owner);
    this.#cancelHeartbeat ??= this.#beatLater();
  }

  #beatLater(): () => void {
    const { clock, leaseMs } = this.options;
    return clock.setTimer(leaseMs / 3, () => {
      this.#cancelHeartbeat = undefined;
      this.#beat().catch((error) => {
        // A store that cannot be written to now is tried again at the next beat; if it stays so until the lease
        // ends, others may take the workflows over, and the fence in every write keeps this process out.
        if (!(error instanceof StoreError)) throw error;
      });
      if (this.#busy || this.#dropped.size > 0) this.#cancelHeartbeat ??= this.#beatLater();
    }, { background: true });
  }

  async #beat(): Promise<void> {
    if (this.#busy) {
      await this.#renew();
      this.options.onBeat();
    }
    await this.#releaseDropped();
  }

  async #releaseDropped(): Promise<void> {
    const { store, clock } = this.options;
    for (const owner of this.#dropped) {
      await store.release(owner, clock.now());
      this.#dropped.delete(owner);
    }
  }

  /** Gives up the lease and the lock. */
  async retire(): Promise<void> {
    this.#cancelHeartbeat?.();
    this.#busy = false;
    if (!this.#registered) return;
    await this.#sweep;
    await this.#releaseDropped();
    await this.options.executors.retire(this.id);
  }
}
