import { describeError } from "./describe_error.ts";
import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** The database where `--db` is not given: in the current folder. */
export const DEFAULT_DATABASE = "stepwell.db";

/**
 * Makes sure that a database can be what a command line says it is: a file, or none yet. What else has a name, such as a pipe,
 * would be waited for without an end.
 *
 * @param location what `--db` says
 * @param options.isThere whether there has to be one: for commands that would otherwise make an empty one and find nothing in it
 * @throws {UsageError} if it is something else
 */
export async function checkDatabase(location: string, { isThere }: { isThere: boolean }): Promise<void> {
  if (location === ":memory:") return;
  const [scheme] = /^[A-Za-z][A-Za-z0-9+.-]+:/.exec(location) ?? [];
  // There may be a password in the rest.
  if (scheme !== undefined) {
    throw new UsageError(`--db wants the path of a file, found an address, "${scheme}…"`);
  }
  const found = await look(location);
  if (found === undefined && isThere) {
    throw new UsageError(`There is no database "${printableCell(location)}"; --db FILE names another`);
  }
  // Of a folder the engine says what is wrong, as of a file that is no database.
  if (found === undefined || found.isFile || found.isDirectory) return;
  throw new UsageError(`--db wants a file, found "${printableCell(location)}", which is a pipe or a device`);
}

/** What has a name; undefined if nothing has. */
async function look(path: string): Promise<Deno.FileInfo | undefined> {
  try {
    return await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) throw error;
    // A name that is too long, or that goes on behind a file.
    throw new UsageError(`--db wants a file, found "${printableCell(path)}": ${describeError(error)}`, {
      cause: error,
    });
  }
}

/** Whether a location is a file: not in memory. */
export function isFile(location: string): boolean {
  return location !== ":memory:";
}
