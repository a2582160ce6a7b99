import { DatabaseSync } from "node:sqlite";
import type { Row } from "./database.ts";
import { type OpenSqlite, StatementCache } from "./sqlite_driver.ts";

/** SQLite as Deno has it built in (`node:sqlite`): nothing to download, and no permission but to the file. */
export const openBuiltin: OpenSqlite = (path) => {
  const db = new DatabaseSync(path);
  const statements = new StatementCache((sql) => db.prepare(sql));
  return {
    exec: (sql) => db.exec(sql),
    run: (sql, params) => Number(statements.get(sql).run(...params).changes),
    all: (sql, params) => statements.get(sql).all(...params) as Row[],
    close: () => db.close(),
  };
};
