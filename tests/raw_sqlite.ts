import { DatabaseSync } from "node:sqlite";

/** The rows of a query, by a connection of its own: only what is committed can be seen. */
export function query(
  file: string,
  sql: string,
  ...params: (string | number | null)[]
): Record<string, unknown>[] {
  const db = open(file);
  try {
    return db.prepare(sql).all(...params).map((row) => ({ ...row as object }));
  } finally {
    db.close();
  }
}

/** Runs statements, by a connection of its own. */
export function execute(file: string, sql: string): void {
  const db = open(file);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}

/** How long a file may be locked, in milliseconds: by who recovers the log that a killed process has left, above all. */
const BUSY_TIMEOUT_MS = 10_000;

function open(file: string): DatabaseSync {
  const db = new DatabaseSync(file);
  db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
  return db;
}
