import type { Row } from "./database.ts";
import { ownNames } from "./schema.ts";
import type { SqliteDriver } from "./sqlite_driver.ts";

/** How many statements it is known of what they write to, and how long they may be. */
const MAX_VERDICTS = 256;
const MAX_SQL_LENGTH = 10_000;
/** SQLite's OPFLAG_P2ISREG. */
const P2_IS_REGISTER = 0x10;
/** Marks a change of the schema that may have to be undone. */
const MARK = "stepwell_change";

/** What is known of the statements of a connection, as long as the schema is the same. */
interface Known {
  readonly schemaVersion: unknown;
  /** The own tables, by the pages that they and their indexes begin at. */
  readonly pages: ReadonlyMap<unknown, string>;
  /** The own table that each statement writes to, if it does. */
  readonly verdicts: Map<string, string | undefined>;
}

const known = new WeakMap<SqliteDriver, Known>();

/** The refusal of a statement of a user's that would change what is Stepwell's own. */
export class OwnObjectError extends TypeError {}

/**
 * Keeps Stepwell's own tables, views, indexes and triggers from the statements of a transaction, which may only read them.
 *
 * It is SQLite that says what a statement does, so nothing in its text can hide it: the program that SQLite makes of it
 * (`EXPLAIN`), with those of the triggers that it fires, tells the tables it writes to; and what a change of the schema has done
 * is found in the schema itself, before anything else is run.
 */
export class OwnObjects {
  #known: Known | undefined;
  /** Whether the transaction has changed the schema: what is found from then on may be undone with it. */
  #isChanged = false;

  constructor(private readonly driver: SqliteDriver) {}

  /**
   * Refuses a statement that writes to an own table, itself or by a trigger that it fires.
   *
   * @throws {OwnObjectError} if it does
   * @throws what SQLite throws, if it cannot read the statement
   */
  check(sql: string): void {
    const table = this.#writtenBy(sql);
    if (table !== undefined) throw new OwnObjectError(`it would write to "${table}"`);
  }

  /** The own table that a statement, or a trigger that it fires, writes to, if there is one. */
  #writtenBy(sql: string): string | undefined {
    const { pages, verdicts } = this.#known ??= this.#look();
    if (verdicts.has(sql)) return verdicts.get(sql);
    const table = this.#explain(sql).map((step) => pages.get(pageWritten(step))).find((name) =>
      name !== undefined
    );
    if (sql.length <= MAX_SQL_LENGTH) {
      if (verdicts.size >= MAX_VERDICTS) verdicts.clear();
      verdicts.set(sql, table);
    }
    return table;
  }

  /**
   * Runs a statement that changes the schema, and undoes it where that touches what is Stepwell's own: changes it, hangs an
   * index, a trigger or a foreign key on it, or hides it behind something temporary.
   *
   * @throws {OwnObjectError} if it does
   */
  changingSchema<T>(act: () => T): T {
    const { driver } = this;
    const [ties, triggers] = [this.#ties(), this.#triggers()];
    driver.exec(`SAVEPOINT ${MARK}`);
    try {
      const result = act();
      this.#forget();
      const tie = difference(ties, this.#ties());
      if (tie !== undefined) throw new OwnObjectError(`it would change ${tie}`);
      for (const [trigger, table] of this.#triggers()) if (!triggers.has(trigger)) this.#checkTriggers(table);
      driver.exec(`RELEASE ${MARK}`);
      return result;
    } catch (error) {
      this.#forget();
      this.#undo();
      throw error;
    }
  }

  #forget(): void {
    this.#isChanged = true;
    this.#known = undefined;
    known.delete(this.driver);
  }

  #undo(): void {
    try {
      this.driver.exec(`ROLLBACK TO ${MARK}`);
      this.driver.exec(`RELEASE ${MARK}`);
    } catch {
      // SQLite has ended the whole transaction by itself: the error of the statement says why.
    }
  }

  #look(): Known {
    const [{ schema_version: schemaVersion } = {}] = this.driver.all("PRAGMA schema_version", []);
    const before = known.get(this.driver);
    if (before !== undefined && before.schemaVersion === schemaVersion) return before;
    const rows = this.#all(
      `SELECT rootpage, tbl_name FROM sqlite_schema WHERE rootpage > 0 AND ${isOwn("tbl_name")}`,
      [names()],
    );
    const pages = new Map(rows.map(({ rootpage, tbl_name }) => [rootpage, tbl_name as string]));
    const now = { schemaVersion, pages, verdicts: new Map<string, string | undefined>() };
    if (!this.#isChanged) known.set(this.driver, now);
    return now;
  }

  /** What in the schema is Stepwell's own, or tied to that. */
  #ties(): Map<string, string> {
    const rows = this.#all(
      `SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE ${isOwn("name")} OR ${isOwn("tbl_name")}
       UNION ALL
       SELECT 'temporary ' || type, name, tbl_name, sql FROM sqlite_temp_schema
       WHERE ${isOwn("name")} OR ${isOwn("tbl_name")}
       UNION ALL
       SELECT 'foreign key', m.name || '.' || f."from", f."table", NULL
       FROM sqlite_schema m JOIN pragma_foreign_key_list(m.name) f
       WHERE m.type = 'table' AND ${isOwn('f."table"')}`,
      Array(5).fill(names()),
    );
    return new Map(rows.map(({ type, name, tbl_name, sql }) => {
      const of = type === "table" || type === "view" ? "" : ` on "${tbl_name}"`;
      return [`the ${type} "${name}"${of}`, `${sql}`];
    }));
  }

  /** The table of each trigger. */
  #triggers(): Map<string, string> {
    const rows = this.#all(
      `SELECT 'main' AS place, name, tbl_name FROM sqlite_schema WHERE type = 'trigger'
       UNION ALL SELECT 'temp', name, tbl_name FROM sqlite_temp_schema WHERE type = 'trigger'`,
    );
    return new Map(rows.map(({ place, name, tbl_name }) => [`${place}.${name}`, tbl_name as string]));
  }

  /** Refuses triggers on a table of a user's that would write to what is Stepwell's own. */
  #checkTriggers(table: string): void {
    const columns = this.#all("SELECT name FROM pragma_table_info(?)", [table])
      .map(({ name }) => `${quoted(name as string)} = NULL`);
    const firing = [
      `INSERT INTO ${quoted(table)} DEFAULT VALUES`,
      `DELETE FROM ${quoted(table)}`,
      ...columns.length > 0 ? [`UPDATE ${quoted(table)} SET ${columns.join(", ")}`] : [],
    ];
    for (const sql of firing) {
      const written = this.#ifItCan(() => this.#writtenBy(sql));
      if (written !== undefined) throw new OwnObjectError(`the trigger would write to "${written}"`);
    }
  }

  /** A trigger that cannot run as it is writes to nothing; once it can, {@linkcode OwnObjects.check} finds it. */
  #ifItCan<T>(act: () => T): T | undefined {
    try {
      return act();
    } catch {
      return undefined;
    }
  }

  /** Not by the statements that the connection keeps: those are the engine's. */
  #explain(sql: string): Row[] {
    return this.#all(`EXPLAIN ${sql}`);
  }

  #all(sql: string, params: readonly string[] = []): Row[] {
    const statement = this.driver.prepare(sql);
    try {
      return statement.all(params);
    } finally {
      statement.finalize();
    }
  }
}

/** The first page of the table or index that a step of a program opens to write to it, or empties. */
function pageWritten({ opcode, p1, p2, p3, p5 }: Row): unknown {
  // Of the file itself, which is number 0: not of what is temporary. A new table's page is only known when it is run.
  if (opcode === "OpenWrite" && p3 === 0 && !(Number(p5) & P2_IS_REGISTER)) return p2;
  if (opcode === "Clear" && p2 === 0) return p1;
  return undefined;
}

function names(): string {
  return JSON.stringify(ownNames());
}

/** Whether a column has a name of Stepwell's own, which SQLite reads in whatever case: SQL with a parameter. */
function isOwn(column: string): string {
  return `lower(${column}) IN (SELECT value FROM json_each(?))`;
}

function quoted(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** What is in one and not, or not the same, in the other. */
function difference(before: Map<string, string>, after: Map<string, string>): string | undefined {
  for (const [what, sql] of before) if (after.get(what) !== sql) return what;
  for (const what of after.keys()) if (!before.has(what)) return what;
  return undefined;
}
