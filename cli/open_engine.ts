import { Engine, type EngineOptions } from "../mod.ts";
import { checkDatabase } from "./database.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import type { Invocation } from "./invocation.ts";
import { refuse } from "./refuse.ts";

/**
 * An engine as a command line wants it.
 *
 * @param location what `--db` says
 * @throws {UsageError} if the location, or an option, is none that can be used
 */
export async function openEngine(location: string, options: EngineOptions): Promise<Engine> {
  await checkDatabase(location, { isThere: false });
  return await Engine.open(location, options).catch(refuse);
}

/**
 * An engine on the database that is there, for commands that look at what is in it.
 *
 * @throws {UsageError} if there is none
 */
export async function openStored(flags: Invocation["flags"]): Promise<Engine> {
  const location = locationOf(flags);
  await checkDatabase(location, { isThere: true });
  return await openEngine(location, { sqlite: sqliteOf(flags) });
}
