import { StoreError } from "../errors.ts";
import type { Database, Liveness } from "./database.ts";
import { removeExecutor, renewLease, selectExecutors } from "./executor_statements.ts";

/** How many executors are looked at, at most, when those that are gone are struck off. */
const MAX_SWEPT = 1_000;
/** The executors of a store: their leases, which are written down, and their locks, which tell whether they live. */
export class ExecutorRegistry {
  constructor(private readonly database: Database) {}

  /** Renews an executor's lease. */
  async renew(executor: number, leaseUntil: number): Promise<void> {
    await this.database.write([renewLease(executor, leaseUntil)]);
  }

  /** Strikes an executor off that owns nothing any more, and removes its lock. */
  async retire(executor: number): Promise<void> {
    await this.database.write([removeExecutor(executor)]);
    this.clearLock(executor);
  }

  /** Strikes off the executors whose process is gone, and removes their locks. */
  async removeGone(self: number): Promise<void> {
    const rows = await this.database.read(selectExecutors(MAX_SWEPT));
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

  /** Whether an executor's process lives. */
  liveness(executor: number): Liveness {
    return this.database.probeLock(executor);
  }
}
