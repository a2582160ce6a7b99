import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { Row } from "./database.ts";
import {
  exactKey,
  type OpenSqlite,
  type SqliteDriver,
  StatementCache,
  withoutBigInts,
  withSafeNumbers,
} from "./sqlite_driver.ts";

/** SQLite as Deno has it built in (`node:sqlite`): nothing to download, and no permission but to the file. */
export const openBuiltin: OpenSqlite = (path, { readOnly = false } = {}) => {
  const db = new DatabaseSync(path, { readOnly });
  const commands = new StatementCache((sql) => prepare(db, sql));
  const queries = new StatementCache((sql) => prepareQuery(db, sql));
  let lastKey: number | bigint = 0;
  const driver: SqliteDriver = {
    exec: (sql) => db.exec(sql),
    run(sql, params) {
      const { changes, lastInsertRowid } = commands.get(sql).run(...params);
      lastKey = lastInsertRowid;
      return Number(changes);
    },
    lastKey: () => exactKey(lastKey, driver.all),
    all(sql, params) {
      const { statement, columns } = queries.get(sql);
      const rows = () => named(statement.all(...params), columns);
      try {
        return rows();
      } catch (error) {
        if (!(error instanceof RangeError || /too large/.test((error as Error).message))) throw error;
      }
      statement.setReadBigInts(true);
      try {
        return rows().map(withoutBigInts);
      } finally {
        statement.setReadBigInts(false);
      }
    },
    prepare(sql) {
      const statement = prepare(db, sql);
      statement.setReadBigInts(true);
      return {
        run: (params) => Number(statement.run(...params).changes),
        all: (params) => statement.all(...params).map((row) => withSafeNumbers({ ...row as Row })),
        finalize() {},
      };
    },
    close: () => db.close(),
  };
  return driver;
};

/** A query that is ready, and its columns where it gives rows as arrays. */
interface Query {
  readonly statement: StatementSync;
  readonly columns: readonly string[] | undefined;
}

function prepareQuery(db: DatabaseSync, sql: string): Query {
  const statement = prepare(db, sql);
  // Newer than Deno 2.4. Its objects have no prototype, which makes them slow to read: arrays take half the time.
  const { setReturnArrays } = statement as { setReturnArrays?: (enabled: boolean) => void };
  if (setReturnArrays === undefined) return { statement, columns: undefined };
  setReturnArrays.call(statement, true);
  const { columns } = statement as unknown as { columns: () => { name: string }[] };
  return { statement, columns: columns.call(statement).map(({ name }) => name) };
}

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

/** Rows by column name. */
function named(rows: unknown[], columns: readonly string[] | undefined): Row[] {
  if (columns === undefined) return rows as Row[];
  return (rows as unknown[][]).map((values) => {
    const row: Row = {};
    for (let i = 0; i < columns.length; i++) row[columns[i]!] = values[i];
    return row;
  });
}
