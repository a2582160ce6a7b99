import { StoreError } from "../errors.ts";
import { pragma } from "./migrate.ts";
import type { SqliteDriver } from "./sqlite_driver.ts";

/** The size from which the write-ahead log is begun anew at the next opportunity, in bytes: four times what SQLite lets it be. */
const MAX_LOG_BYTES = 16 * 1024 * 1024;
/** How much the log has to grow before that is tried again, where readers keep it from being begun anew. */
const LOG_STEP_BYTES = 4 * 1024 * 1024;
/** What is left of a log that was larger, once it is begun anew. Twice what it usually has, so that it never has to grow again. */
export const KEPT_LOG_BYTES = 8 * 1024 * 1024;

/** The sizes of the headers of a write-ahead log and of a frame in it. */
const LOG_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/**
 * The files of a SQLite database that is open: they are to be the ones of their names still, since SQLite would go on
 * writing to those that were removed, and all that is committed then is gone with the process.
 *
 * Owns: what was found when the database was opened, and how large the log may get. Does not own: when a look is taken.
 */
export class StoreFiles {
  readonly #main: string | undefined;
  readonly #log: string | undefined;
  readonly #index: string | undefined;
  /** Whether the files beside the database may be looked at: no permission is asked for because of that. */
  readonly #looksAtLog: boolean;
  #logBytes = 0;
  #nextRestartBytes = MAX_LOG_BYTES;
  #isSaved = false;

  constructor(
    private readonly location: string,
    private readonly path: string,
    private readonly driver: SqliteDriver,
  ) {
    this.#main = identity(path);
    this.#looksAtLog = [`${path}-wal`, `${path}-shm`].every(mayStat);
    if (!this.#looksAtLog) return;
    this.#log = identity(`${path}-wal`);
    this.#index = identity(`${path}-shm`);
  }

  /** @throws {StoreError} if a file was removed, replaced or cut off, which it names */
  check(): void {
    const { path } = this;
    if (identity(path) !== this.#main) throw this.#error("the file that was opened", "removed or replaced");
    if (!this.#looksAtLog) return;
    const log = stat(`${path}-wal`);
    if (identityOf(log) !== this.#log) {
      if (log === undefined) this.#save();
      throw this.#error(`its log "${path}-wal"`, "removed or replaced");
    }
    if (identity(`${path}-shm`) !== this.#index) {
      throw this.#error(`the index of its log "${path}-shm"`, "removed or replaced");
    }
    const size = log?.size ?? 0;
    const isSmaller = size < this.#logBytes;
    if (isSmaller && this.#isCutOff(size)) throw this.#error(`its log "${path}-wal"`, "cut off");
    this.#logBytes = size;
  }

  /** Brings what is committed into the database, where the log was removed: while nothing is written, too. */
  rescue(): void {
    if (this.#looksAtLog && this.#log !== undefined && stat(`${this.path}-wal`) === undefined) this.#save();
  }

  /**
   * Has the log begun anew, if it has become larger than SQLite lets it be: where several processes write, each checkpoint
   * finds that another one has committed meanwhile, and the log grows without end. Nothing is waited for.
   */
  boundLog(): void {
    if (this.#logBytes < this.#nextRestartBytes) return;
    let isDone = false;
    try {
      const [result] = this.driver.all("PRAGMA wal_checkpoint(RESTART)", []);
      isDone = result?.busy === 0;
    } catch {
      // The disk may be full. All that was committed is safe in the log.
    }
    this.#nextRestartBytes = isDone ? MAX_LOG_BYTES : this.#logBytes + LOG_STEP_BYTES;
    this.#logBytes = 0;
  }

  /** What is in the log that was removed is in reach of this process still: brings it into the database. */
  #save(): void {
    if (this.#isSaved) return;
    try {
      const [result] = this.driver.all("PRAGMA wal_checkpoint(FULL)", []);
      this.#isSaved = result?.busy === 0;
    } catch {
      // Locked, or in a transaction: another time. What keeps anything from being written is told by then.
    }
  }

  /** Whether a log that is smaller than before lacks something of what is in force. Older SQLites cannot tell. */
  #isCutOff(size: number): boolean {
    const [version] = this.driver.all("SELECT sqlite_version() AS version", []);
    const [major, minor] = String(version!.version).split(".").map(Number);
    if (major! < 3 || major === 3 && minor! < 51) return false;
    const [result] = this.driver.all("PRAGMA wal_checkpoint(NOOP)", []);
    const frameBytes = FRAME_HEADER_BYTES + Number(pragma(this.driver, "page_size"));
    const frames = Number(result?.log ?? 0);
    return frames > 0 && size < LOG_HEADER_BYTES + frames * frameBytes;
  }

  #error(what: string, happened: string): StoreError {
    return new StoreError(`Cannot write to "${this.location}": ${what} has been ${happened}`);
  }
}

function mayStat(path: string): boolean {
  return Deno.permissions.querySync({ name: "read", path }).state === "granted";
}

/** Tells a file from another of the same name, where the system does. */
export function identity(path: string): string | undefined {
  return identityOf(stat(path));
}

function identityOf(info: Deno.FileInfo | undefined): string | undefined {
  return info && `${info.dev} ${info.ino}`;
}

function stat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
