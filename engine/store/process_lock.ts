import { StoreError } from "../errors.ts";
import { hexadecimal } from "../ids.ts";
import type { Liveness } from "./database.ts";
import { isBusy, type OpenSqlite, type SqliteDriver } from "./sqlite_driver.ts";

/** What stands between a database's path and an executor's id in the name of its lock's file. */
const INFIX = "-executor-";
/** How often a lock is tried to be taken. */
const MAX_TRIES = 100;

/**
 * The locks by which processes on one SQLite file tell a process that is gone from one that is slow.
 *
 * Each executor holds an exclusive lock on an empty file of its own beside the database. It is SQLite that takes the
 * lock: so it needs no permission but those the database needs, works the same on every system and Deno version, and
 * is dropped by the operating system together with the process, however that ends. A process that is only paused
 * keeps its lock.
 *
 * Only such a file is opened, and none through a link: SQLite would take what else is there for a database, set that up as
 * one of ours and lock it.
 *
 * The lock is always taken through the SQLite that is built in. Two copies of SQLite in one process must not
 * share a file: on POSIX systems the one that closes it would drop the other's locks.
 */
export class ProcessLocks {
  #held = new Map<number, SqliteDriver>();

  constructor(private readonly path: string, private readonly open: OpenSqlite) {}

  hold(executor: number): void {
    if (this.#held.has(executor)) return;
    for (let tries = 1;; tries++) {
      const lock = this.#take(executor);
      // Whoever sweeps up may have found the file before it was locked, and removed it.
      if (lock !== undefined && isLockFile(this.#file(executor))) {
        this.#held.set(executor, lock);
        return;
      }
      lock?.close();
      if (tries === MAX_TRIES) {
        throw new StoreError(`Cannot lock "${this.#file(executor)}": it is removed again and again`);
      }
    }
  }

  /**
   * Whether the executor's process lives: `"unknown"` where its lock's file is missing, as in a copied database, is something
   * else, or cannot be tried.
   */
  probe(executor: number): Liveness {
    const file = this.#file(executor);
    if (!isLockFile(file)) return "unknown";
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

  /** The executors of which there is a lock's file. */
  list(): number[] {
    const [, folder = "", name = ""] = /^(.*[/\\])?([^/\\]*)$/.exec(this.path) ?? [];
    const executors: number[] = [];
    for (const entry of Deno.readDirSync(folder || ".")) {
      if (!entry.name.startsWith(name + INFIX)) continue;
      const id = entry.name.slice(name.length + INFIX.length);
      if (/^[0-9a-f]{12}$/.test(id)) executors.push(parseInt(id, 16));
    }
    return executors;
  }

  /**
   * Removes the file of this process, or of one that is gone: under its lock, so that nobody else comes by it. What else has
   * such a name is left alone.
   */
  clear(executor: number): void {
    const file = this.#file(executor);
    const lock = this.#held.get(executor) ?? (isLockFile(file) ? this.#take(executor) : undefined);
    if (lock === undefined) return;
    this.#held.delete(executor);
    try {
      if (Deno.build.os === "windows") lock.close();
      for (const path of [file, `${file}-journal`]) if (isLockFile(path)) remove(path);
    } finally {
      if (Deno.build.os !== "windows") lock.close();
    }
  }

  /** Drops the locks that are held, as the end of the process does. */
  drop(): void {
    for (const lock of this.#held.values()) lock.close();
    this.#held.clear();
  }

  /** Takes an executor's lock. @returns undefined if somebody else has it just now */
  #take(executor: number): SqliteDriver | undefined {
    const file = this.#file(executor);
    make(file);
    if (!isLockFile(file)) {
      // It may have been removed just now; then it is tried again.
      if (isMissing(file)) return undefined;
      throw new StoreError(`Cannot lock "${file}": wanted an empty file, found something else in its place`);
    }
    const lock = this.open(file);
    try {
      lock.exec("PRAGMA busy_timeout = 0");
      // Nothing is ever written, so no journal is wanted beside the file either.
      lock.exec("PRAGMA journal_mode = MEMORY");
      lock.exec("BEGIN EXCLUSIVE");
      return lock;
    } catch (error) {
      lock.close();
      if (isBusy(error)) return undefined;
      throw error;
    }
  }

  #file(executor: number): string {
    return this.path + INFIX + hexadecimal(executor);
  }
}

function remove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Makes a file, unless something is there: a link is not followed. */
function make(file: string): void {
  try {
    Deno.openSync(file, { write: true, createNew: true }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

/** Whether what is there can be a lock's file: a file itself, with nothing in it. */
function isLockFile(path: string): boolean {
  const found = look(path);
  return found !== undefined && found.isFile && found.size === 0;
}

function isMissing(path: string): boolean {
  return look(path) === undefined;
}

/** What is at a path, a link itself; undefined if nothing is. */
function look(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
