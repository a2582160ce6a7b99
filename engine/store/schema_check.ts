import { StoreOpenError } from "../errors.ts";
import type { Row } from "./database.ts";
import { migrate } from "./migrate.ts";
import { ownNames, SCHEMA_CHECKSUM } from "./schema.ts";
import type { OpenSqlite, SqliteDriver } from "./sqlite_driver.ts";

/** How much of a text is quoted. */
const MAX_QUOTED = 120;

/**
 * Checks that the store's own tables, views, indexes and triggers are those that this version makes: what was changed in
 * one of them would be found late, by wrong results. Indexes, triggers and tables of others are none of its business.
 *
 * A file that was brought up to date has the same text as a new one, since both come about by the same statements. Where
 * the checksum does not say so at once, what differs is found beside a database in memory.
 *
 * @throws {StoreOpenError} that names the first that is missing or changed
 */
export function checkSchema(driver: SqliteDriver, location: string, open: OpenSqlite): void {
  if (schemaChecksum(driver) === SCHEMA_CHECKSUM) return;
  const found = readSchema(driver);
  const reference = open(":memory:");
  try {
    migrate(reference, ":memory:");
    const byName = new Map(found.map((row) => [row.name, row]));
    for (const wanted of readSchema(reference)) compare(wanted, byName.get(wanted.name), location);
  } finally {
    reference.close();
  }
}

/** SQLite's knowledge of the store's tables and views, and of what is on them: SQL. */
const SELECT_SCHEMA = `SELECT type, name, sql FROM sqlite_schema
  WHERE tbl_name IN (SELECT value FROM json_each(?)) AND sql IS NOT NULL ORDER BY type <> 'table', name`;

/** What SQLite knows of the store's tables and views, and of what is on them. */
export function readSchema(driver: SqliteDriver): Row[] {
  return driver.all(SELECT_SCHEMA, [JSON.stringify(ownNames())]);
}

/**
 * The checksum of that: of 32 bits, like CRC-32, but four bytes at a time (FNV-1a, Fowler, Noll and Vo, with a rotation), since
 * every program waits for it.
 */
export function schemaChecksum(driver: SqliteDriver): number {
  const [row] = driver.all(
    `SELECT group_concat(type || ' ' || name || ' ' || sql, char(10)) AS text FROM (${SELECT_SCHEMA})`,
    [JSON.stringify(ownNames())],
  );
  const bytes = new TextEncoder().encode(String(row!.text));
  const words = new Uint32Array((bytes.length >> 2) + 1);
  new Uint8Array(words.buffer).set(bytes);
  let sum = 0x811c9dc5;
  for (let i = 0; i < words.length; i++) {
    sum = Math.imul(sum ^ words[i]!, 0x01000193);
    sum = sum << 13 | sum >>> 19;
  }
  return sum >>> 0;
}

function compare(wanted: Row, found: Row | undefined, location: string): void {
  const what = `its ${wanted.type} "${wanted.name}"`;
  const sql = String(wanted.sql);
  if (found === undefined || found.type !== wanted.type) {
    throw new StoreOpenError(`Cannot open "${location}": ${what} is missing; ${remedy(wanted)}`);
  }
  const [plainWanted, plainFound] = [withoutLayout(sql), withoutLayout(String(found.sql))];
  if (plainFound === plainWanted) return;
  let same = 0;
  while (same < plainWanted.length && plainWanted[same] === plainFound[same]) same++;
  const from = plainWanted.lastIndexOf(" ", Math.max(0, same - 30)) + 1;
  const quote = (text: string) => JSON.stringify(text.slice(from, from + MAX_QUOTED));
  throw new StoreOpenError(
    `Cannot open "${location}": ${what} was changed: wanted ${quote(plainWanted)}, found ` +
      `${quote(plainFound)}; ${remedy(wanted)}`,
  );
}

/** What is to be done about something that is not as it should be. */
function remedy({ type, name, sql }: Row): string {
  const restore = "restore the file from a backup";
  if (type === "table") return restore;
  return `${restore}, or, with every engine on it closed, drop the ${type} "${name}" if it is there, and run: ${sql}`;
}

/** SQL without comments, and with single spaces, but for what is quoted in it. */
function withoutLayout(sql: string): string {
  const token = /'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`|\[[^\]]*\]|--[^\n]*|\/\*[\s\S]*?\*\/|\s+/g;
  const spaced = sql.replaceAll(token, (text) => /^['"`[]/.test(text) ? text : " ");
  return spaced.replaceAll(/ +/g, " ").trim();
}
