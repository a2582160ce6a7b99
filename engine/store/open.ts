import type { Database } from "./database.ts";
import { openSqliteDatabase, type SqliteOptions } from "./sqlite_database.ts";

/** How a database is opened. */
export type DatabaseOptions = SqliteOptions;

/**
 * Opens the database of a location.
 *
 * @param location a file's path, or `":memory:"`
 * @throws {TypeError} if it is neither
 * @throws as {@linkcode openSqliteDatabase}
 */
export async function openDatabase(location: string, options: DatabaseOptions): Promise<Database> {
  if (typeof location !== "string" || location === "" || /^[A-Za-z][A-Za-z0-9+.-]+:/.test(location)) {
    throw new TypeError(
      `Cannot open a store: wanted a file's path or ":memory:", found ${JSON.stringify(location)}`,
    );
  }
  return await openSqliteDatabase(location, options);
}
