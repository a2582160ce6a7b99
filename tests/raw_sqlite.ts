import { DatabaseSync } from "node:sqlite";

/** The rows of a query, by a connection of its own: only what is committed can be seen. */
export function query(
  file: string,
  sql: string,
  ...params: (string | number | null)[]
): Record<string, unknown>[] {
  const db = new DatabaseSync(file);
  try {
    return db.prepare(sql).all(...params).map((row) => ({ ...row as object }));
  } finally {
    db.close();
  }
}

/** Runs statements, by a connection of its own. */
export function execute(file: string, sql: string): void {
  const db = new DatabaseSync(file);
  try {
    db.exec(sql);
  } finally {
    db.close();
  }
}
