import type { Clock } from "../clock.ts";
import { StoreBusyError, StoreOpenError } from "../errors.ts";
import { randomFraction, type RandomSource } from "../random.ts";
import type { Turns } from "../turns.ts";
import type {
  Batch,
  Database,
  Liveness,
  OpenTransaction,
  Rider,
  Row,
  Statement,
  TransactionRequest,
  Write,
} from "./database.ts";
import { isBusy, type OpenSqlite, type SqliteDriver, storeError } from "./sqlite_driver.ts";
import { openBuiltin } from "./builtin_driver.ts";
import { checkSchema } from "./schema_check.ts";
import { CommitWatch } from "./commit_watch.ts";
import { closedError, CommitQueue, refuse } from "./commit_queue.ts";
import type { WriterLine } from "./writer_line.ts";
import { ProcessLocks } from "./process_lock.ts";
import { identity, KEPT_LOG_BYTES, StoreFiles } from "./store_files.ts";
import { migrate, pragma, schemaVersion } from "./migrate.ts";

/** How a SQLite file is opened. */
export interface SqliteOptions {
  /** What a commit survives: `"full"` power loss, `"normal"` the end of the process. */
  readonly durability: "full" | "normal";
  /** Which SQLite: Deno's own, or `jsr:@db/sqlite`. */
  readonly sqlite: "builtin" | "ffi";
  /** How long a file that other processes have locked is tried again, in milliseconds. */
  readonly busyTimeoutMs: number;
  /** Whether the write-ahead log is grown before the first use. */
  readonly growWal: boolean;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly random: RandomSource;
}

/** The longest pause before a file that is locked is opened again, in milliseconds. */
const MAX_OPEN_PAUSE_MS = 20;

/** Which SQLite has a file open in this process, and how often: two of them must not share one. */
const openFiles = new Map<string, { sqlite: string; count: number }>();

/**
 * Opens a SQLite file, which is made where it is missing.
 *
 * @throws {StoreOpenError} if it is not, or cannot be made, a store of this version
 * @throws {StoreBusyError} if other processes have it locked for longer than `busyTimeoutMs`
 */
export async function openSqliteDatabase(location: string, options: SqliteOptions): Promise<Database> {
  const open = await loadSqlite(options.sqlite);
  // What is relative to the current folder now is so for good.
  const path = location === ":memory:" ? location : realPath(location);
  const release = claimFile(path, location, options.sqlite);
  try {
    const driver = await openDriver(open, path, location, options);
    // Through a link to a file that was missing, it is only known by now.
    return new SqliteDatabase(
      location,
      path === ":memory:" ? path : realPath(path),
      driver,
      options,
      release,
    );
  } catch (error) {
    release();
    throw error;
  }
}

/** Loads one of the two copies of SQLite. @throws {StoreOpenError} where it cannot be loaded */
export async function loadSqlite(sqlite: SqliteOptions["sqlite"]): Promise<OpenSqlite> {
  return sqlite === "ffi" ? await (await import("./ffi_driver.ts")).loadFfi() : openBuiltin;
}

/** Opens and prepares a connection, again and again while the file is locked. */
async function openDriver(
  open: OpenSqlite,
  path: string,
  location: string,
  options: SqliteOptions,
): Promise<SqliteDriver> {
  const { clock, random, busyTimeoutMs } = options;
  // By time that passes: the clock may be set meanwhile.
  let isOutOfTime = busyTimeoutMs === 0;
  let cancel: (() => void) | undefined;
  try {
    while (true) {
      let driver: SqliteDriver | undefined;
      try {
        driver = open(path);
        await prepare(driver, location, options, open);
        return driver;
      } catch (error) {
        driver?.close();
        if (!isBusy(error)) throw openError(error, location);
        if (isOutOfTime) {
          throw new StoreBusyError(
            `Cannot open "${location}": other processes had it locked for ${busyTimeoutMs} ms`,
            { cause: error },
          );
        }
        cancel ??= clock.setTimer(busyTimeoutMs, () => isOutOfTime = true, { background: true });
        await new Promise<void>((wake) => clock.setTimer(MAX_OPEN_PAUSE_MS * randomFraction(random), wake));
      }
    }
  } finally {
    cancel?.();
  }
}

/** Sets the connection up, and reads every setting back. */
async function prepare(
  driver: SqliteDriver,
  location: string,
  options: SqliteOptions,
  open: OpenSqlite,
): Promise<void> {
  const { durability } = options;
  driver.exec("PRAGMA busy_timeout = 0");
  expectPragma(driver, location, "busy_timeout", 0);
  // Before anything is written, so that a file of somebody else is left as it is.
  schemaVersion(driver, location);
  const journal = location === ":memory:" ? "memory" : "wal";
  driver.exec(`PRAGMA journal_mode = ${journal}`);
  expectPragma(driver, location, "journal_mode", journal);
  driver.exec(`PRAGMA synchronous = ${durability}`);
  expectPragma(driver, location, "synchronous", durability === "full" ? 2 : 1);
  if (journal === "wal") driver.exec(`PRAGMA journal_size_limit = ${KEPT_LOG_BYTES}`);
  if (!migrate(driver, location)) {
    const { MIGRATIONS } = await import("./migrations.ts");
    migrate(driver, location, MIGRATIONS);
  }
  checkSchema(driver, location, open);
  if (options.growWal && journal === "wal") {
    const { growWal } = await import("./wal.ts");
    growWal(driver, durability);
    expectPragma(driver, location, "synchronous", durability === "full" ? 2 : 1);
  }
}

function expectPragma(driver: SqliteDriver, location: string, name: string, wanted: unknown): void {
  const found = pragma(driver, name);
  if (found !== wanted) {
    throw new StoreOpenError(`Cannot open "${location}": wanted PRAGMA ${name} = ${wanted}, found ${found}`);
  }
}

/** Says what is wrong with a file that cannot be opened. */
export function openError(cause: unknown, location: string): Error {
  if (cause instanceof StoreOpenError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new StoreOpenError(`Cannot open "${location}": ${explain(location, reason)}`, { cause });
}

function explain(location: string, reason: string): string {
  if (/malformed database schema/.test(reason)) {
    return `wanted a schema as Stepwell makes it, found one that SQLite cannot read (${reason}); ` +
      "restore the file from a backup";
  }
  if (/file is not a database|malformed|failed to prepare/.test(reason)) {
    return `wanted a SQLite file, found something else (${reason})`;
  }
  if (/readonly/.test(reason)) {
    return `wanted a file that can be written, found one that is read-only (${reason})`;
  }
  if (!/unable to open/.test(reason)) return reason;
  const folder = location.replace(/[/\\]?[^/\\]*$/, "") || (/^[/\\]/.test(location) ? "/" : ".");
  if (kindOf(location) === "directory") return "wanted a file, found a folder";
  if (kindOf(folder) === "missing") return `wanted a file in an existing folder, found no folder "${folder}"`;
  return `the file cannot be opened or made; the folder "${folder}" may be read-only (${reason})`;
}

function kindOf(path: string): "directory" | "missing" | "other" {
  try {
    return Deno.statSync(path).isDirectory ? "directory" : "other";
  } catch (error) {
    return error instanceof Deno.errors.NotFound ? "missing" : "other";
  }
}

/** Notes that this process uses the file through this SQLite. @returns a function that undoes it, once */
export function claimFile(path: string, location: string, sqlite: string): () => void {
  if (path === ":memory:") return () => {};
  const entry = openFiles.get(path) ?? { sqlite, count: 0 };
  if (entry.sqlite !== sqlite) {
    throw new StoreOpenError(
      `Cannot open "${location}" with sqlite: "${sqlite}": this process has it open with "${entry.sqlite}", and ` +
        `two copies of SQLite in one process break each other's locks`,
    );
  }
  entry.count++;
  openFiles.set(path, entry);
  let released = false;
  return () => {
    if (released) return;
    released = true;
    if (--entry.count === 0) openFiles.delete(path);
  };
}

/**
 * The path of a file by which all who open it know it, through whatever links: its log and the locks of its executors are
 * beside it. Of one that is not there yet, its folder's real path, and its name.
 */
export function realPath(location: string): string {
  const [, folder = "", name = location] = /^(.*[/\\])?([^/\\]*)$/.exec(location) ?? [];
  const target = readPath(location);
  if (target !== undefined && mayUse(target)) return target;
  const inFolder = readPath(folder || ".");
  // Missing or out of reach: opening it will tell why, and until then its name as it was given must do.
  return inFolder === undefined ? location : `${inFolder}/${name}`;
}

function readPath(path: string): string | undefined {
  try {
    return Deno.realPathSync(path);
  } catch (error) {
    if (error instanceof Error) return undefined;
    throw error;
  }
}

/** Whether what a link leads to may be used by its own name: the permission may be for the link alone. */
function mayUse(path: string): boolean {
  return (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
}

/** A SQLite file, or a database in memory, that is open. */
class SqliteDatabase implements Database {
  readonly #queue: CommitQueue;
  readonly #locks: ProcessLocks | undefined;
  #lines: typeof WriterLine | undefined;
  /** There is none of a database in memory, as nobody else can commit to that. */
  readonly #watch: CommitWatch | undefined;
  #closed = false;

  constructor(
    readonly location: string,
    private readonly path: string,
    private readonly driver: SqliteDriver,
    options: SqliteOptions,
    private readonly release: () => void,
  ) {
    const files = path === ":memory:" ? undefined : new StoreFiles(location, path, driver);
    this.#queue = new CommitQueue(driver, {
      location,
      files,
      joinLine: () => path === ":memory:" ? undefined : this.#joinLine(path),
      ...options,
    });
    if (files === undefined) return;
    this.#locks = new ProcessLocks(path, openBuiltin);
    this.#watch = new CommitWatch({
      clock: options.clock,
      log: `${path}-wal`,
      version: () => {
        files.rescue();
        return pragma(driver, "data_version");
      },
      ownCommits: () => this.#queue.commits,
    });
  }

  /** Joins the line of those that write to the file, which is loaded when the first other has been met. */
  #joinLine(path: string): WriterLine | undefined {
    if (this.#lines !== undefined) return this.#lines.join(path);
    // Where it cannot be loaded, a locked file is tried again after pauses.
    import("./writer_line.ts").then(({ WriterLine }) => this.#lines = WriterLine, () => {});
    return undefined;
  }

  submit(write: Write): void {
    if (this.#closed) refuse(write, closedError(this.location));
    else this.#queue.submit(write);
  }

  write(batch: Batch, stream?: number): Promise<readonly number[]> {
    return new Promise((committed, failed) => this.submit({ batch, stream, committed, failed }));
  }

  rideAlong(rider: Rider): void {
    if (!this.#closed) this.#queue.rideAlong(rider);
  }

  async begin(request: TransactionRequest): Promise<OpenTransaction> {
    if (this.#closed) throw closedError(this.location);
    return await this.#queue.begin(request);
  }

  // deno-lint-ignore require-await -- a database elsewhere has to wait, and errors are to reject
  async read({ sql, params }: Statement): Promise<Row[]> {
    if (this.#closed) throw closedError(this.location);
    try {
      return this.driver.all(sql, params);
    } catch (error) {
      throw storeError(error, this.location);
    }
  }

  watch(listener: () => void): () => void {
    return this.#closed ? () => {} : this.#watch?.listen(listener) ?? (() => {});
  }

  holdLock(executor: number): void {
    this.#lock((locks) => locks.hold(executor));
  }

  probeLock(executor: number): Liveness {
    return this.#lock((locks) => locks.probe(executor)) ?? "unknown";
  }

  listLocks(): number[] {
    return this.#lock((locks) => locks.list()) ?? [];
  }

  clearLock(executor: number): void {
    this.#lock((locks) => locks.clear(executor));
  }

  #lock<T>(act: (locks: ProcessLocks) => T): T | undefined {
    try {
      return this.#locks && act(this.#locks);
    } catch (error) {
      throw storeError(error, this.location);
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#watch?.stop();
    await this.#queue.drain();
    this.#closed = true;
    this.#locks?.drop();
    this.driver.close();
    // SQLite removes the log with the last connection.
    this.#queue.leaveLine(() => identity(`${this.path}-wal`) === undefined);
    this.release();
  }
}
