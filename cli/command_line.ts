import { DEFAULT_DATABASE } from "./database.ts";
import { printableLine, shortened } from "./printable.ts";

/** The flags that a command needs again to find the same workflow. */
export interface Whereabouts {
  readonly location: string;
  readonly modules: readonly string[];
}

/**
 * A command that can be typed, such as `stepwell resume 'order 17' --db shop.db`.
 *
 * @param command the subcommand
 * @param id the workflow's id
 */
export function commandLine(command: string, id: string, { location, modules }: Whereabouts): string {
  const words = ["stepwell", command];
  if (!id.startsWith("-")) words.push(quoted(id));
  if (location !== DEFAULT_DATABASE) words.push("--db", quoted(location));
  for (const module of modules) words.push("--module", quoted(module));
  if (id.startsWith("-")) words.push("--", quoted(id));
  return words.join(" ");
}

/** Longer than any path. */
const MAX_WORD_LENGTH = 5_000;

/** As a POSIX shell takes it for one word. */
function quoted(word: string): string {
  const safe = printableLine(shortened(word, MAX_WORD_LENGTH));
  return /^[\w@%+=:,./-]+$/.test(safe) ? safe : `'${safe.replaceAll("'", `'\\''`)}'`;
}
