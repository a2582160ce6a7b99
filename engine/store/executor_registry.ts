import type { Clock } from "../clock.ts";
import { StoreError } from "../errors.ts";
import type { Database, Liveness } from "./database.ts";
import {
  type ExecutorEntry,
  removeExecutor,
  renewLease,
  selectExecutors,
  selectExecutorUse,
} from "./executor_statements.ts";
import { LeaseWatch } from "./lease_watch.ts";
import { textOrNull } from "./rows.ts";
import type { CodeName } from "./workflow_statements.ts";

/** An executor as the store has it. */
export interface ExecutorRecord {
  readonly executor: number;
  readonly leaseUntil: number;
  /** Null for one of an older version, likewise below. */
  readonly pid: number | null;
  readonly startedAt: number | null;
  readonly host: string | null;
  /** The code that it has; undefined for one of an older version. */
  readonly codes: readonly CodeName[] | undefined;
  /** Whether it claims what no process runs. */
  readonly isWorking: boolean;
  /** The names of the queues that it works on, and on nothing else; undefined for all that there is. */
  readonly queues: readonly string[] | undefined;
  /** How many workflows it runs. */
  readonly running: number;
  readonly liveness: Liveness;
}

/** How many executors are looked at, at most. */
const MAX_EXECUTORS = 1_000;

/** An executor that owns workflows: null where its lease is not written down, as it is about to be. */
export type Leased = Pick<ExecutorRecord, "executor"> & { readonly leaseUntil: number | null };

/**
 * The executors of a store: their leases, which are written down, and their locks, which tell whether they live.
 *
 * Owns: the one rule by which an executor has lost what it owns ({@linkcode ExecutorRegistry.judge}). Does not own: what
 * comes of that.
 */
export class ExecutorRegistry {
  readonly #leases: LeaseWatch;
  /** Owners that were found to be gone. They held their lock before they owned anything, so they never come back. */
  readonly #gone = new Set<number>();

  /** @param leaseMs how long the leases of this process are */
  constructor(private readonly database: Database, private readonly clock: Clock, leaseMs: number) {
    this.#leases = new LeaseWatch(clock, leaseMs);
  }

  /** Registers an executor, or renews its lease. */
  async renew(entry: ExecutorEntry, leaseUntil: number): Promise<void> {
    await this.database.write([renewLease(entry, leaseUntil)]);
  }

  /** The executors that are registered, the oldest first. */
  async list(): Promise<ExecutorRecord[]> {
    const rows = await this.database.read(selectExecutorUse(MAX_EXECUTORS));
    return rows.map((row) => ({
      executor: row.executor as number,
      leaseUntil: row.lease_until as number,
      pid: row.pid as number | null,
      startedAt: row.started_at as number | null,
      host: textOrNull(row.host),
      codes: readCodes(row.codes),
      isWorking: row.is_working === 1,
      queues: readTexts(row.queues),
      running: row.running as number,
      liveness: this.liveness(row.executor as number),
    }));
  }

  /** Strikes an executor off that owns nothing any more, and removes its lock. */
  async retire(executor: number): Promise<void> {
    await this.database.write([removeExecutor(executor)]);
    this.clearLock(executor);
  }

  /** Strikes off the executors whose process is gone, and removes their locks. */
  async removeGone(self: number): Promise<void> {
    const rows = await this.database.read(selectExecutors(MAX_EXECUTORS));
    const executors = new Set([...rows.map((row) => row.executor as number), ...this.database.listLocks()]);
    for (const executor of executors) {
      if (executor !== self && this.liveness(executor) === "gone") await this.retire(executor);
    }
  }

  /** Removes the lock of an executor that is struck off; what cannot be removed hurts nobody. */
  clearLock(executor: number): void {
    try {
      this.database.clearLock(executor);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Takes the lock that shows that this executor's process lives. */
  holdLock(executor: number): void {
    this.database.holdLock(executor);
  }

  /**
   * Whether what an executor owns may be taken over: its process is gone, or lives but does not renew its lease (`"slow"`);
   * otherwise until when it may not.
   */
  judge({ executor, leaseUntil }: Leased): "gone" | "slow" | { readonly busyUntil: number } {
    const liveness = this.ownerLiveness(executor);
    if (liveness === "gone" || leaseUntil === null && liveness === "unknown") return "gone";
    // It lives, and its lease is not written down: it will be with its next heartbeat.
    if (leaseUntil === null) return { busyUntil: this.clock.now() + this.#leases.leaseMs };
    // One reading of the clock: of two, the second may be later.
    const now = this.clock.now();
    const leftMs = this.#leases.leftMs(executor, leaseUntil, now);
    return leftMs <= 0 ? "slow" : { busyUntil: now + leftMs };
  }

  /** Whether what an executor owns may be taken over: see {@linkcode ExecutorRegistry.judge}. */
  isLost(owner: Leased): boolean {
    return typeof this.judge(owner) === "string";
  }

  /** Whether the process of an executor that owns workflows lives: asked once, where it is gone. */
  ownerLiveness(executor: number): Liveness {
    if (this.#gone.has(executor)) return "gone";
    const liveness = this.liveness(executor);
    if (liveness === "gone" && this.#gone.size < MAX_EXECUTORS) this.#gone.add(executor);
    return liveness;
  }

  /** Whether an executor's process lives. */
  liveness(executor: number): Liveness {
    return this.database.probeLock(executor);
  }

  /** Watches no more leases. */
  close(): void {
    this.#leases.close();
  }
}

/** Whether one of some executors has code, as far as is known: one of an older version does not say. */
export function hasCode(executors: readonly ExecutorRecord[], code: CodeName): boolean {
  return executors.some(({ codes }) =>
    codes === undefined ||
    codes.some(({ name, version }) => name === code.name && version === code.version)
  );
}

/** The names and versions of code; undefined where nothing of the kind is stored. */
function readCodes(json: unknown): CodeName[] | undefined {
  const codes = readJson(json);
  if (!Array.isArray(codes)) return undefined;
  return codes.flatMap((code) => {
    const [name, version] = Array.isArray(code) ? code : [];
    if (typeof name !== "string") return [];
    return typeof version === "string" && version !== "" ? { name, version } : { name };
  });
}

function readTexts(json: unknown): string[] | undefined {
  const texts = readJson(json);
  return Array.isArray(texts) ? texts.filter((text) => typeof text === "string") : undefined;
}

function readJson(json: unknown): unknown {
  try {
    return typeof json === "string" ? JSON.parse(json) : undefined;
  } catch {
    return undefined;
  }
}
