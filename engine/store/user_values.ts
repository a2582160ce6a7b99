/**
 * Values of users, on their way into SQL and out of it: they mean the same by each of the two drivers, and come back
 * whole or not at all.
 *
 * @module
 */

import type { Row, SqlParameter } from "./database.ts";

/** What stands for bytes that are no text, once somebody has made one of them. */
const REPLACEMENT = "\ufffd";

/**
 * Parameters as they are to be bound: a number that is a safe integer as an integer, any other as a real.
 *
 * @throws {TypeError} if one is a text that does not come back as it is: with a NUL, up to which both drivers read, or
 *   half a character
 */
export function boundParameters(params: readonly SqlParameter[]): readonly SqlParameter[] {
  return params.map((value, i) => {
    if (typeof value === "string") checkText(value, `parameter ${i + 1}`);
    return typeof value === "number" && Number.isSafeInteger(value) ? BigInt(value) : value;
  });
}

/** Checks that a text reaches the database as it is. @throws {TypeError} if it does not */
export function checkText(text: string, what: string): void {
  const found = text.includes("\0")
    ? `a NUL at ${text.indexOf("\0")}`
    : text.isWellFormed()
    ? undefined
    : `half a character at ${text.search(/\p{Cs}/u)}`;
  if (found === undefined) return;
  throw new TypeError(
    `Cannot use ${what}: wanted a text of whole characters without NUL, found ${found}; ` +
      `as a Uint8Array, or as JSON, it would come back as it is`,
  );
}

/** The texts that rows have: the names of their columns. */
export function textColumns(rows: readonly Row[]): string[] {
  const columns = new Set<string>();
  for (const row of rows) {
    for (const column in row) if (typeof row[column] === "string") columns.add(column);
  }
  return [...columns];
}

/** SQL that gives a row if a query gives a text with a NUL, which the drivers cut there. */
export function findsCutText(query: string, columns: readonly string[]): string {
  const isCut = columns.map((column) =>
    `typeof(${quoted(column)}) = 'text' AND instr(CAST(${quoted(column)} AS BLOB), x'00') > 0`
  );
  return `SELECT 1 FROM (\n${withoutEnd(query)}\n) WHERE ${isCut.join(" OR ")} LIMIT 1`;
}

/** Whether a text among rows may be one of bytes that were none. */
export function mayBeMended(rows: readonly Row[], columns: readonly string[]): boolean {
  return rows.some((row) => columns.some((column) => String(row[column]).includes(REPLACEMENT)));
}

/** SQL that gives the bytes of the texts that a query gives. */
export function givesBytes(query: string, columns: readonly string[]): string {
  const bytes = columns.map((column, i) => `CAST(${quoted(column)} AS BLOB) AS b${i}`);
  return `SELECT ${bytes.join(", ")} FROM (\n${withoutEnd(query)}\n)`;
}

/** Whether bytes are a text. */
export function isText(bytes: unknown): boolean {
  if (!(bytes instanceof Uint8Array)) return true;
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function withoutEnd(query: string): string {
  return query.replace(/[\s;]+$/, "");
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}
