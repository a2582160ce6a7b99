import { StoreOpenError } from "../errors.ts";
import type { Row, SqlParameter } from "./database.ts";
import {
  type OpenSqlite,
  type SqliteDriver,
  StatementCache,
  withoutBigInts,
  withSafeNumbers,
} from "./sqlite_driver.ts";

/** What is used of `@db/sqlite`, written down here so that nothing asks for the package before it is wanted. */
interface FfiModule {
  Database: new (path: string, options: { int64: boolean; parseJson: boolean; readonly?: boolean }) => {
    exec(sql: string): number;
    prepare(sql: string): FfiStatement;
    close(): void;
  };
}

interface FfiStatement {
  run(...params: readonly SqlParameter[]): number;
  all(...params: readonly SqlParameter[]): Row[];
  values(...params: readonly SqlParameter[]): unknown[][];
  columnNames(): string[];
  finalize(): void;
}

/** The package, by a name that is not a literal in `import()`: Deno must not look for it before it is asked for. */
const SPECIFIER: string = "jsr:@db/sqlite@^0.13.0";

/**
 * SQLite through Deno's foreign function interface (`jsr:@db/sqlite`), for those who need their own build of it:
 * the environment variable `DENO_SQLITE_PATH` names a shared library. It takes `--allow-ffi --allow-env`, and
 * `--allow-net` the first time.
 *
 * @throws {StoreOpenError} where the package or the library cannot be loaded
 */
export async function loadFfi(): Promise<OpenSqlite> {
  let ffi: FfiModule;
  try {
    ffi = await import(SPECIFIER);
  } catch (cause) {
    throw new StoreOpenError(
      `Cannot load "${SPECIFIER}", which sqlite: "ffi" needs: ${(cause as Error).message}. ` +
        `Run "deno add jsr:@db/sqlite" where JSR can be reached, and allow --allow-ffi --allow-env ` +
        `(an executable has to be compiled with them); or leave the option out to use the SQLite in Deno`,
      { cause },
    );
  }
  return (path, { readOnly = false } = {}) => {
    const db = new ffi.Database(path, { int64: true, parseJson: false, ...readOnly && { readonly: true } });
    const statements = new StatementCache((sql) => prepareOwn(db, sql));
    const all: SqliteDriver["all"] = (sql, params) => statements.get(sql).all(...params).map(withoutBigInts);
    return {
      exec: (sql) => void db.exec(sql),
      run: (sql, params) => statements.get(sql).run(...params),
      // The package's own lastInsertRowId is cut to 32 bits.
      lastKey: () => all("SELECT last_insert_rowid() AS key", [])[0]!.key as number,
      all,
      prepare(sql) {
        const statement = db.prepare(sql);
        return {
          run: (params) => statement.run(...checkedReals(params)),
          all(params) {
            // Its objects are made by code with the columns' names in it, which a name of a user's may break.
            const rows = statement.values(...checkedReals(params));
            const columns = statement.columnNames();
            return rows.map((values) =>
              withSafeNumbers(Object.fromEntries(values.map((value, i) => [columns[i]!, value])))
            );
          },
          finalize: () => finalize(statement),
        };
      },
      close: () => db.close(),
    };
  };
}

/**
 * Prepares a statement of the engine's own. The library is the user's, and may be older than SQLite 3.43, which knows the
 * length of a text in bytes without reading the text.
 */
function prepareOwn(db: { prepare(sql: string): FfiStatement }, sql: string): FfiStatement {
  try {
    return db.prepare(sql);
  } catch (error) {
    if (!/no such function: octet_length/.test((error as Error).message)) throw error;
    return db.prepare(sql.replace(/\boctet_length\(([\w.]+)\)/g, "length(CAST($1 AS BLOB))"));
  }
}

/** Refuses what the package would bind as an integer, cut to 64 bits, where a real is meant. */
function checkedReals(params: readonly SqlParameter[]): readonly SqlParameter[] {
  const found = params.find((value) => typeof value === "number" && Number.isInteger(value));
  if (found === undefined) return params;
  throw new RangeError(
    `sqlite: "ffi" cannot take the number ${found} as a real: give it as a bigint, or as CAST('${found}' AS REAL)`,
  );
}

/** Lets go of a statement. It is gone then, whatever SQLite says: that is once more why it failed when it was last run. */
function finalize(statement: { finalize(): void }): void {
  try {
    statement.finalize();
  } catch (error) {
    if (!(error instanceof Error && error.name === "SqliteError")) throw error;
  }
}
