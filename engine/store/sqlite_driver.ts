import { StoreBusyError, StoreError } from "../errors.ts";
import type { Row, SqlParameter, SqlValue } from "./database.ts";

/** A connection to SQLite: what the two libraries have in common, with the errors of neither. */
export interface SqliteDriver {
  /** Runs statements that give no rows and take no parameters. */
  exec(sql: string): void;
  /** Runs one statement. @returns the number of rows it changed, if it is one that changes rows */
  run(sql: string, params: readonly SqlValue[]): number;
  /** The key of the row that the last `run()` inserted; what is no safe integer is a text, as in `all()`, which binds as it is. */
  lastKey(): number;
  /** The rows of one query. A number that JavaScript cannot hold, which nobody of ours has written, comes as text. */
  all(sql: string, params: readonly SqlValue[]): Row[];
  /** Prepares a statement of a user's own. It must be finalized. */
  prepare(sql: string): UserStatement;
  close(): void;
}

/** A statement of a user's own, which may take and give more than the engine's do. */
export interface UserStatement {
  /** @returns the number of rows it changed, if it is one that changes rows */
  run(params: readonly SqlParameter[]): number;
  /** Its rows. An integer that is not safe as a number comes as a bigint. It is run once, whatever it gives. */
  all(params: readonly SqlParameter[]): Row[];
  finalize(): void;
}

/** Opens a connection to a file, which is made where it is missing, or to `":memory:"`; or only to read a file. */
export type OpenSqlite = (path: string, options?: { readOnly?: boolean }) => SqliteDriver;

/** How many prepared statements a connection keeps. The engine has fewer than that. */
const MAX_STATEMENTS = 256;

/** The statements a connection has prepared, by their text. */
export class StatementCache<S> {
  #statements = new Map<string, S>();

  constructor(readonly prepare: (sql: string) => S) {}

  get(sql: string): S {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      if (this.#statements.size >= MAX_STATEMENTS) this.#statements.clear();
      statement = this.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

/** A row without big integers: one that is a number is made one, any other a text. */
export function withoutBigInts(row: Row): Row {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value !== "bigint") continue;
    row[column] = Number.isSafeInteger(Number(value)) ? Number(value) : String(value);
  }
  return row;
}

/**
 * The key of the row that was inserted last. A file may have one in it that is beyond what JavaScript can hold, and all that
 * come after it are then: cut to a number, it would be that of another row.
 *
 * @param key as a library gives it, which may be rounded
 * @param all runs a query
 */
export function exactKey(key: number | bigint, all: SqliteDriver["all"]): number {
  if (Number.isSafeInteger(Number(key))) return Number(key);
  return all("SELECT last_insert_rowid() AS key", [])[0]!.key as number;
}

/** A row with numbers in the place of big integers, where they can be. */
export function withSafeNumbers(row: Row): Row {
  for (const [column, value] of Object.entries(row)) {
    if (typeof value === "bigint" && Number.isSafeInteger(Number(value))) row[column] = Number(value);
  }
  return row;
}

/**
 * The store's error for an error of SQLite. The libraries agree on little but SQLite's own messages, so these tell
 * what has happened.
 *
 * @param cause what a driver threw
 * @param location the file, for the message
 */
export function storeError(cause: unknown, location: string): StoreError {
  if (cause instanceof StoreError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  const Kind = isBusy(cause) ? StoreBusyError : StoreError;
  return new Kind(`Cannot use "${location}": ${reason}`, { cause });
}

/** Whether an error is of the file or the machine, and not of the statement that has met it. */
export function isStoreFailure(error: unknown): boolean {
  return error instanceof StoreError || isBusy(error) ||
    error instanceof Error && STORE_FAILURE.test(error.message);
}

/** SQLite's texts for `SQLITE_FULL IOERR READONLY CORRUPT NOMEM CANTOPEN NOTADB PROTOCOL INTERRUPT`. */
const STORE_FAILURE =
  /disk is full|disk I\/O error|readonly database|malformed$|out of memory|unable to open database|not a database|locking protocol|^interrupted/;

/** Whether an error says that another connection has the file locked just now. */
export function isBusy(error: unknown): boolean {
  return error instanceof StoreBusyError ||
    error instanceof Error && /database (table |schema )?is locked/.test(error.message);
}
