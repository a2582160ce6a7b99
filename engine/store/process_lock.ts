import type { Liveness } from "./database.ts";
import { isBusy, type OpenSqlite, type SqliteDriver } from "./sqlite_driver.ts";

/**
 * The locks by which processes on one SQLite file tell a process that is gone from one that is slow.
 *
 * Each executor holds an exclusive lock on an empty file of its own beside the database. It is SQLite that takes the
 * lock: so it needs no permission but those the database needs, works the same on every system and Deno version, and
 * is dropped by the operating system together with the process, however that ends. A process that is only paused
 * keeps its lock.
 *
 * The lock is always taken through the SQLite that is built in. Two copies of SQLite in one process must not
 * share a file: on POSIX systems the one that closes it would drop the other's locks.
 */
export class ProcessLocks {
  #held = new Map<number, SqliteDriver>();

  constructor(private readonly path: string, private readonly open: OpenSqlite) {}

  hold(executor: number): void {
    if (this.#held.has(executor)) return;
    const lock = this.open(this.#file(executor));
    try {
      lock.exec("PRAGMA busy_timeout = 0");
      // Nothing is ever written, so no journal is wanted beside the file either.
      lock.exec("PRAGMA journal_mode = MEMORY");
      lock.exec("BEGIN EXCLUSIVE");
    } catch (error) {
      lock.close();
      throw error;
    }
    this.#held.set(executor, lock);
  }

  /**
   * Whether the executor's process lives: `"unknown"` where its lock's file is missing, as in a copied database, or
   * cannot be tried.
   */
  probe(executor: number): Liveness {
    const file = this.#file(executor);
    if (!exists(file)) return "unknown";
    let lock: SqliteDriver | undefined;
    try {
      lock = this.open(file);
      lock.exec("PRAGMA busy_timeout = 0");
      lock.exec("SELECT count(*) FROM sqlite_master");
      return "gone";
    } catch (error) {
      return isBusy(error) ? "alive" : "unknown";
    } finally {
      lock?.close();
    }
  }

  /** Removes the file of an executor that is gone, or of this process. */
  clear(executor: number): void {
    this.#held.get(executor)?.close();
    this.#held.delete(executor);
    try {
      Deno.removeSync(this.#file(executor));
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  /** Drops the locks that are held, as the end of the process does. */
  drop(): void {
    for (const lock of this.#held.values()) lock.close();
    this.#held.clear();
  }

  #file(executor: number): string {
    return `${this.path}-executor-${executor.toString(16).padStart(12, "0")}`;
  }
}

function exists(file: string): boolean {
  try {
    return Deno.statSync(file).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
