import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Row } from "./database.ts";
import { type OpenSqlite, StatementCache, withoutBigInts } from "./sqlite_driver.ts";

/** SQLite as Deno has it built in (`node:sqlite`): nothing to download, and no permission but to the file. */
export const openBuiltin: OpenSqlite = (path) => {
  const db = new DatabaseSync(path);
  const statements = new StatementCache((sql) => prepare(db, sql));
  let lastKey: number | bigint = 0;
  return {
    exec: (sql) => db.exec(sql),
    run(sql, params) {
      const { changes, lastInsertRowid } = statements.get(sql).run(...params);
      lastKey = lastInsertRowid;
      return Number(changes);
    },
    lastKey: () => Number(lastKey),
    all(sql, params) {
      const statement = statements.get(sql);
      try {
        return statement.all(...params) as Row[];
      } catch (error) {
        if (!(error instanceof RangeError || /too large/.test((error as Error).message))) throw error;
      }
      statement.setReadBigInts(true);
      try {
        return (statement.all(...params) as Row[]).map(withoutBigInts);
      } finally {
        statement.setReadBigInts(false);
      }
    },
    close: () => db.close(),
  };
};

/** Prepares a statement. Deno 2.4 does not say why it could not: running something does. */
function prepare(db: DatabaseSync, sql: string): StatementSync {
  try {
    return db.prepare(sql);
  } catch (error) {
    if ((error as Error).message !== "failed to prepare statement") throw error;
    db.exec("SELECT 1 FROM sqlite_master LIMIT 1");
    return db.prepare(sql);
  }
}
