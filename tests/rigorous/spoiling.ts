import { DatabaseSync } from "node:sqlite";
import { query } from "../raw_sqlite.ts";

/** A value that is not what was written: an SQL expression over the column that it is made of. */
type Spoiled = (column: string) => string;

/** What may become of a number: other numbers, another type, nothing. */
export const SPOILED_NUMBERS: Readonly<Record<string, Spoiled>> = {
  "one more": (column) => `${column} + 1`,
  "one less": (column) => `${column} - 1`,
  "another bit": (column) => `${column} | (1 << 40)`,
  "its negative": (column) => `-${column}`,
  "nothing": () => "NULL",
  "0": () => "0",
  "a fraction": (column) => `${column} + 0.5`,
  "more than JavaScript counts to": () => "9007199254740993",
  "a text": () => "'seven'",
  "bytes": () => "x'31'",
};

/** What may become of a text. */
export const SPOILED_TEXTS: Readonly<Record<string, Spoiled>> = {
  "its first half": (column) => `substr(${column}, 1, length(${column}) / 2)`,
  "all but its last character": (column) => `substr(${column}, 1, length(${column}) - 1)`,
  "one character more": (column) => `${column} || ' '`,
  "another first character": (column) => `char(unicode(${column}) + 1) || substr(${column}, 2)`,
  "another character in the middle": (column) =>
    `substr(${column}, 1, length(${column}) / 2) || '~' || substr(${column}, length(${column}) / 2 + 2)`,
  "another digit": (column) => `replace(${column}, '1', '2')`,
  "bytes that are no text": (column) => `CAST(CAST(${column} AS BLOB) || x'ff' AS TEXT)`,
  "another valid value": () => `'{"name":"RangeError","message":"yes"}'`,
  "an empty text": () => "''",
  "nothing": () => "NULL",
  "a number": () => "5",
  "bytes": (column) => `CAST(${column} AS BLOB)`,
};

/**
 * Puts another value into a column of one row.
 *
 * @param where chooses the row
 * @returns false if the table does not take that value, or it is the one that is there
 */
export function spoil(file: string, table: string, column: string, value: string, where: string): boolean {
  const db = new DatabaseSync(file);
  try {
    const { changes } = db.prepare(
      `UPDATE OR IGNORE ${table} SET ${column} = ${value} WHERE ${where} AND ${column} IS NOT (${value})`,
    ).run();
    return changes === 1;
  } finally {
    db.close();
  }
}

/** The rows of a table, their values as SQL writes them: so that each can be told from every other. */
export function exactRows(file: string, table: string, where = "true"): Record<string, string>[] {
  const columns = query(file, `SELECT name FROM pragma_table_info('${table}')`).map(({ name }) => name);
  const quoted = columns.map((column) => `quote(${column}) AS ${column}`);
  return query(file, `SELECT ${quoted} FROM ${table} WHERE ${where} ORDER BY rowid`) as Record<
    string,
    string
  >[];
}
