import { StoreError } from "../errors.ts";
import type { Database, Liveness } from "./database.ts";
import {
  type ExecutorEntry,
  removeExecutor,
  renewLease,
  selectExecutors,
  selectExecutorUse,
} from "./executor_statements.ts";

/** An executor as the store has it. */
export interface ExecutorRecord {
  readonly executor: number;
  readonly leaseUntil: number;
  /** Null for one of an older version, likewise below. */
  readonly pid: number | null;
  readonly startedAt: number | null;
  /** How many workflows it runs. */
  readonly running: number;
  readonly liveness: Liveness;
}

/** How many executors are looked at, at most. */
const MAX_EXECUTORS = 1_000;

/** The executors of a store: their leases, which are written down, and their locks, which tell whether they live. */
export class ExecutorRegistry {
  constructor(private readonly database: Database) {}

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

  /** Whether what an executor owns may be taken over: its process is gone, or does not renew its lease. */
  isLost({ executor, leaseUntil }: { executor: number; leaseUntil: number | null }, now: number): boolean {
    if (leaseUntil !== null && leaseUntil <= now) return true;
    const liveness = this.liveness(executor);
    return liveness === "gone" || leaseUntil === null && liveness === "unknown";
  }

  /** Whether an executor's process lives. */
  liveness(executor: number): Liveness {
    return this.database.probeLock(executor);
  }
}
