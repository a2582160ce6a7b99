import { Engine } from "../mod.ts";
import { requireDatabase } from "./database.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import type { Invocation } from "./invocation.ts";

/**
 * An engine on the database that is there, for commands that look at what is in it.
 *
 * @throws {UsageError} if there is none
 */
export async function openStored(flags: Invocation["flags"]): Promise<Engine> {
  const location = locationOf(flags);
  await requireDatabase(location);
  return await Engine.open(location, { sqlite: sqliteOf(flags) });
}
