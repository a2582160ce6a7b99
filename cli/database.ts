import { printableLine } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** The database where `--db` is not given: in the current folder. */
export const DEFAULT_DATABASE = "stepwell.db";

/**
 * Makes sure that a database is there, for commands that would otherwise make an empty one and find nothing in it.
 *
 * @param location what `--db` says
 * @throws {UsageError} if there is no such file
 */
export async function requireDatabase(location: string): Promise<void> {
  if (!isFile(location)) return;
  try {
    await Deno.stat(location);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(`There is no database "${printableLine(location)}"; --db FILE names another`, {
      cause: error,
    });
  }
}

/** Whether a location is a file: neither in memory nor the address of a server. */
export function isFile(location: string): boolean {
  return location !== ":memory:" && !/^[a-z]+:\/\//.test(location);
}
