import { StoreError, StoreOpenError } from "../errors.ts";
import type { Database, Liveness, OpenTransaction, Row, Statement, Write } from "./database.ts";
import { closedError, refuse } from "./commit_queue.ts";
import { pragma, schemaVersion } from "./migrate.ts";
import { checkSchema } from "./schema_check.ts";
import { SCHEMA_VERSION } from "./schema.ts";
import { claimFile, loadSqlite, openError, realPath, type SqliteOptions } from "./sqlite_database.ts";
import { type SqliteDriver, storeError } from "./sqlite_driver.ts";

/** How long a file that is locked while it is opened is waited for, in milliseconds. */
const BUSY_TIMEOUT_MS = 2_000;

/**
 * Opens a SQLite file to be read, as it is at this instant: what others commit from then on is not seen. Nothing is
 * written to it, and no lock is taken that stops anybody from writing; a file in WAL mode that nobody has open may get the
 * empty `-wal` and the `-shm` beside it by which SQLite reads.
 *
 * @throws {StoreOpenError} if it is not there, or no store of this version
 */
export async function openReadOnlySqlite(
  location: string,
  { sqlite }: Pick<SqliteOptions, "sqlite">,
): Promise<Database> {
  const open = await loadSqlite(sqlite);
  const path = realPath(location);
  if (!isThere(path)) throw new StoreOpenError(`Cannot open "${location}": wanted a file, found none`);
  const release = claimFile(path, location, sqlite);
  let driver: SqliteDriver | undefined;
  try {
    driver = open(path, { readOnly: true });
    prepare(driver, location);
    checkSchema(driver, location, open);
    return new ReadOnlyDatabase(location, driver, release);
  } catch (error) {
    driver?.close();
    release();
    throw openError(error, location);
  }
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function prepare(driver: SqliteDriver, location: string): void {
  driver.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  driver.exec("PRAGMA query_only = 1");
  // What is read from here on is of one instant.
  driver.exec("BEGIN");
  const version = schemaVersion(driver, location);
  if (version === SCHEMA_VERSION) return;
  throw new StoreOpenError(
    `Cannot read "${location}": wanted a store of schema version ${SCHEMA_VERSION}, found ` +
      (version === 0
        ? `none (${pragma(driver, "page_count")} pages)`
        : `version ${version}: a copy is brought up to date when an engine opens it`),
  );
}

/** A SQLite file that is only read: every write is refused. */
class ReadOnlyDatabase implements Database {
  #closed = false;

  constructor(
    readonly location: string,
    private readonly driver: SqliteDriver,
    private readonly release: () => void,
  ) {}

  submit(write: Write): void {
    refuse(write, this.#refusal());
  }

  write(): Promise<readonly number[]> {
    return Promise.reject(this.#refusal());
  }

  begin(): Promise<OpenTransaction> {
    return Promise.reject(this.#refusal());
  }

  /** Nothing is committed that it could ride along with. */
  rideAlong(): void {}

  // deno-lint-ignore require-await -- errors are to reject
  async read({ sql, params }: Statement): Promise<Row[]> {
    if (this.#closed) throw closedError(this.location);
    try {
      return this.driver.all(sql, params);
    } catch (error) {
      throw storeError(error, this.location);
    }
  }

  /** What others change is not seen. */
  watch(): () => void {
    return () => {};
  }

  holdLock(): void {
    throw this.#refusal();
  }

  probeLock(): Liveness {
    return "unknown";
  }

  listLocks(): number[] {
    return [];
  }

  clearLock(): void {
    throw this.#refusal();
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#closed = true;
      this.driver.close();
      this.release();
    }
    return Promise.resolve();
  }

  #refusal(): StoreError {
    return new StoreError(`Cannot write to "${this.location}": it is open to be read`);
  }
}
