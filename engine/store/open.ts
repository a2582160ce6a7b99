import { found } from "../quote.ts";
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
  checkLocation(location);
  return await openSqliteDatabase(location, options);
}

/**
 * Opens the database of a location to read it as it is at this instant. Every write to it is refused.
 *
 * @throws {TypeError} if it is not a file's path
 * @throws {StoreOpenError} if it is not there, or no store of this version
 */
export async function openReadOnly(
  location: string,
  options: Pick<DatabaseOptions, "sqlite">,
): Promise<Database> {
  checkLocation(location);
  if (location === ":memory:") {
    throw new TypeError('Cannot read a store: wanted a file\'s path, found ":memory:"');
  }
  const { openReadOnlySqlite } = await import("./read_only_database.ts");
  return await openReadOnlySqlite(location, options);
}

/** The longest path there is on any system, in characters. */
const MAX_PATH_LENGTH = 32_767;

function checkLocation(location: string): void {
  if (typeof location === "string" && location.length > MAX_PATH_LENGTH) {
    throw new RangeError(
      `Cannot open a store: wanted a path of at most ${MAX_PATH_LENGTH} characters, found ${found(location)}`,
    );
  }
  // Not all of an address: there may be a password in it.
  const scheme = typeof location === "string" ? /^[A-Za-z][A-Za-z0-9+.-]+:/.exec(location)?.[0] : undefined;
  if (scheme !== undefined) {
    throw new TypeError(
      `Cannot open a store: wanted a file's path or ":memory:", found an address, "${scheme}…"`,
    );
  }
  if (typeof location !== "string" || location === "") {
    throw new TypeError(
      `Cannot open a store: wanted a file's path or ":memory:", found ${found(location)}`,
    );
  }
}
