/**
 * Reading by pages that are bounded in rows and in bytes: what is read at a time must fit into memory, however large the
 * values of a row may be.
 *
 * @module
 */

import type { Database, Row, SqlValue, Statement } from "./database.ts";

/** How much is read at a time: so many rows at most, and so many bytes in all but the last of them. */
export interface PageLimits {
  readonly rows: number;
  readonly bytes: number;
}

/** How much is read at a time where nobody says otherwise. */
export const PAGE_LIMITS: PageLimits = { rows: 1_000, bytes: 1 << 20 };

/** A query that can be read by pages: its parts as SQL, which name columns of one table. */
export interface PagedQuery {
  /** A column, or a column and the name that it is given. */
  readonly columns: readonly (string | { readonly column: string; readonly as: string })[];
  readonly table: string;
  /** The columns by which a row is found. */
  readonly key: readonly string[];
  /** The columns that may be large. */
  readonly large: readonly string[];
  /** Which rows, from the one on that the page begins with. */
  readonly where: string;
  readonly params: readonly SqlValue[];
  /** By what an index has them in order. */
  readonly orderBy: readonly string[];
}

/** Some of the rows of a query, from the first on: one at least, if there is one. */
export interface Page {
  readonly rows: readonly Row[];
  /** Whether there are rows after them. */
  readonly more: boolean;
}

/** Reads the first rows of a query. */
export async function readPage(database: Database, query: PagedQuery, limits: PageLimits): Promise<Page> {
  const [measured] = await database.read(measurePage(query, limits.rows + 1));
  const { count, bytes } = measured as { count: number; bytes: number };
  // Most fit, and the plain query is by far the faster one.
  const rows = await database.read(
    bytes <= limits.bytes ? selectPage(query, limits.rows) : selectPageInBytes(query, limits),
  );
  return { rows, more: rows.length < count };
}

/**
 * How many rows there are, of so many at most, and how many bytes they have. The length in bytes of a text is known without
 * reading it, the one in characters is not.
 */
export function measurePage(query: PagedQuery, rows: number): Statement {
  return {
    sql: `SELECT count(*) AS count, coalesce(sum(size), 0) AS bytes FROM (${sizes(query)})`,
    params: [...query.params, rows],
  };
}

/** The first rows, whatever their size. */
export function selectPage({ columns, table, where, params, orderBy }: PagedQuery, rows: number): Statement {
  return {
    sql: `SELECT ${named(columns)} FROM ${table} WHERE ${where} ORDER BY ${orderBy.join(", ")} LIMIT ?`,
    params: [...params, rows],
  };
}

/** The first rows, as many as have so many bytes: their sizes are added up before any of them is read. */
export function selectPageInBytes(query: PagedQuery, limits: PageLimits): Statement {
  const { columns, table, key, orderBy } = query;
  const names = [...new Set([...key, ...orderBy])];
  const found = key.map((column) => `t.${column} = p.${column}`).join(" AND ");
  return {
    sql: `SELECT ${named(columns, "t.")} FROM (
        SELECT ${names.join(", ")}, sum(size) OVER (
          ORDER BY ${orderBy.join(", ")} ROWS UNBOUNDED PRECEDING) - size AS before
        FROM (${sizes(query)})
      ) p CROSS JOIN ${table} t WHERE ${found} AND p.before < ?
      ORDER BY ${orderBy.map((column) => `p.${column}`).join(", ")}`,
    params: [...query.params, limits.rows, limits.bytes],
  };
}

function sizes({ table, key, large, where, orderBy }: PagedQuery): string {
  const names = [...new Set([...key, ...orderBy])];
  const size = large.map((column) => `coalesce(octet_length(${column}), 0)`).join(" + ");
  return `SELECT ${names.join(", ")}, ${size} AS size FROM ${table} WHERE ${where}
    ORDER BY ${orderBy.join(", ")} LIMIT ?`;
}

function named(columns: PagedQuery["columns"], prefix = ""): string {
  return columns.map((column) =>
    typeof column === "string" ? `${prefix}${column}` : `${prefix}${column.column} AS ${column.as}`
  ).join(", ");
}
