import { StoreBusyError, StoreError } from "../errors.ts";
import type { Row, SqlValue } from "./database.ts";

/** A connection to SQLite: what the two libraries have in common, with the errors of neither. */
export interface SqliteDriver {
  /** Runs statements that give no rows and take no parameters. */
  exec(sql: string): void;
  /** Runs one statement. @returns the number of rows it changed, if it is one that changes rows */
  run(sql: string, params: readonly SqlValue[]): number;
  /** The key of the row that the last `run()` inserted. */
  lastKey(): number;
  /** The rows of one query. A number that JavaScript cannot hold, which nobody of ours has written, comes as text. */
  all(sql: string, params: readonly SqlValue[]): Row[];
  close(): void;
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

/** Whether an error says that another connection has the file locked just now. */
export function isBusy(error: unknown): boolean {
  return error instanceof StoreBusyError ||
    error instanceof Error && /database (table |schema )?is locked/.test(error.message);
}
