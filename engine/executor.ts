import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import { Agenda } from "./agenda.ts";
import { setPassingTimer } from "./passing_time.ts";
import type { StorageHealth } from "./storage_health.ts";
import { randomId, type RandomSource } from "./random.ts";
import type { Ownership } from "./store/ownership.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { Store } from "./store/store.ts";

/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;

/** What of an executor the others can see, besides its lease. */
export interface ExecutorProfile {
  /** The names and versions of the code that it has, as JSON. */
  readonly codes: string;
  /** The names of the queues that it works on, if it works on some alone. */
  queues: readonly string[] | undefined;
  /** Whether it claims what no process runs. */
  isWorking: boolean;
}

/**
 * This process, as the others on the store know it.
 *
 * Owns: its id, its lock, its lease, and the workflows it has dropped without being able to say so. Does not own: the
 * runs that rely on them.
 *
 * 1. The lock is held before the first workflow is claimed, until the engine is closed or the process ends.
 * 2. The lease is renewed while a workflow runs, each third of its length. It is long enough at every claim.
 * 3. What could not be written, a lease or a release, is tried again each second until it is.
 */
export class Executor {
  readonly id: number;
  readonly profile: ExecutorProfile;
  #registered = false;
  #startedAt: number | undefined;
  #leaseUntil = 0;
  #renewing: Promise<void> | undefined;
  #cancelHeartbeat: (() => void) | undefined;
  #busy = false;
  #retired = false;
  /** The removal of what executors have left behind that are gone. */
  #sweep: Promise<void> | undefined;
  readonly #dropped = new Set<Ownership>();
  readonly #agenda: Agenda;

  constructor(
    private readonly options: {
      store: Store;
      executors: ExecutorRegistry;
      health: StorageHealth;
      clock: Clock;
      random: RandomSource;
      leaseMs: number;
      codes: string;
      /** Called when the lease was renewed: the time to see who has lost a workflow nevertheless. */
      onBeat: () => void;
      /** Called when a workflow that was dropped has been released. */
      onReleased: (owner: Ownership) => void;
    },
  ) {
    this.id = randomId(options.random);
    this.profile = { codes: options.codes, queues: undefined, isWorking: false };
    this.#agenda = new Agenda(options.clock, () => void this.#mend());
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
    const leftMs = this.#leaseUntil - clock.now();
    // One that is longer than a lease is of before the clock was set back, and the others know it by that.
    if (leftMs >= leaseMs * 2 / 3 && leftMs <= leaseMs) return undefined;
    return this.#renewNow();
  }

  /** Writes the lease, and what others can see of this process. */
  #renewNow(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => this.#renewing = undefined);
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { executors, clock, leaseMs } = this.options;
    const now = clock.now();
    const leaseUntil = now + leaseMs;
    const { codes, queues, isWorking } = this.profile;
    const entry = {
      executor: this.id,
      pid: Deno.pid,
      startedAt: this.#startedAt ??= now,
      host: hostName(),
      codes,
      isWorking,
      queues: queues === undefined ? null : JSON.stringify(queues),
    };
    try {
      await executors.renew(entry, leaseUntil);
    } catch (error) {
      this.#mendLater();
      throw error;
    }
    this.#leaseUntil = leaseUntil;
  }

  /** Says that this process claims what no process runs. @param queues of these queues alone, if so */
  async work(queues: readonly string[] | undefined): Promise<void> {
    this.profile.isWorking = true;
    this.profile.queues = queues;
    this.#leaseUntil = 0;
    await this.prepareClaim();
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
    } else {
      this.#cancelHeartbeat?.();
      this.#cancelHeartbeat = undefined;
    }
  }

  /** Takes over a workflow whose run has ended without being able to release it, and releases it as soon as it can. */
  drop(owner: Ownership): void {
    this.#dropped.add(owner);
    this.#mendLater();
  }

  /** Whether a workflow is to be released. */
  hasDropped({ workflow, run }: Ownership): boolean {
    return [...this.#dropped].some((owner) => owner.workflow === workflow && owner.run === run);
  }

  /** How many workflows are to be released. */
  get dropped(): number {
    return this.#dropped.size;
  }

  #beatLater(): () => void {
    const { clock, leaseMs } = this.options;
    return setPassingTimer(clock, leaseMs / 3, () => {
      this.#cancelHeartbeat = this.#busy ? this.#beatLater() : undefined;
      void this.#beat();
    }, { background: true });
  }

  /**
   * Renews the lease. If the store stays as it is until the lease ends, others may take the workflows over, and the fence
   * in every write keeps this process out.
   */
  async #beat(): Promise<void> {
    if (!this.#busy) return;
    if (await this.options.health.attempt("renew the lease", () => this.#renewNow())) this.options.onBeat();
  }

  #mendLater(): void {
    if (!this.#retired && !this.#agenda.isPaused("mend")) this.#agenda.pause("mend", STORE_PAUSE_MS);
  }

  /** Writes what could not be written. */
  async #mend(): Promise<void> {
    if (this.#retired) return;
    const { health, clock } = this.options;
    if (this.#busy && this.#leaseUntil - clock.now() < this.options.leaseMs * 2 / 3) await this.#beat();
    if (this.#dropped.size === 0) return;
    const done = await health.attempt("release workflows", () => this.#releaseDropped());
    if (!done) this.#mendLater();
  }

  async #releaseDropped(): Promise<void> {
    const { store, clock, onReleased } = this.options;
    for (const owner of this.#dropped) {
      await store.release(owner, clock.now());
      this.#dropped.delete(owner);
      onReleased(owner);
    }
  }

  /** Gives up the lease and the lock. */
  async retire(): Promise<void> {
    this.#retired = true;
    this.#cancelHeartbeat?.();
    this.#agenda.clear();
    this.#busy = false;
    if (!this.#registered) return;
    await this.#sweep;
    await this.#releaseDropped();
    await this.options.executors.retire(this.id);
  }
}

/** The name of this machine; null where it would take a permission that was not given. */
function hostName(): string | null {
  try {
    return Deno.permissions.querySync({ name: "sys", kind: "hostname" }).state === "granted"
      ? Deno.hostname()
      : null;
  } catch {
    return null;
  }
}
