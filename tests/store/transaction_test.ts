import { DatabaseSync } from "node:sqlite";
import { StatementError, StoreBusyError, StoreError, TransactionTimeoutError } from "@stepwell/stepwell";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import type {
  Database,
  OpenTransaction,
  Statement,
  TransactionRequest,
} from "../../engine/store/database.ts";
import { openBuiltin } from "../../engine/store/builtin_driver.ts";
import { migrate } from "../../engine/store/migrate.ts";
import { ownNames } from "../../engine/store/schema.ts";
import { checkUserSql } from "../../engine/store/user_sql.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { countCommits } from "../write_ahead_log.ts";
import { testEachDriver } from "./each_driver.ts";

const insert = (value: string): Statement => ({ sql: "INSERT INTO t (value) VALUES (?)", params: [value] });
const select: Statement = { sql: "SELECT value FROM t ORDER BY rowid", params: [] };

async function withTable(database: Database): Promise<Database> {
  await database.write([{ sql: "CREATE TABLE t (value)", params: [] }]);
  return database;
}

function begin(database: Database, request: Partial<TransactionRequest> = {}): Promise<OpenTransaction> {
  return database.begin({ stream: undefined, timeoutMs: 60_000, key: undefined, ...request });
}

/** Commits a transaction with a batch. @returns what that has come to */
function commit(
  open: OpenTransaction,
  batch: Statement[] = [],
  check: (results: readonly number[]) => void = () => {},
): unknown {
  let result: unknown = "not told before commit() returns";
  open.commit({ batch, check, committed: () => result = "committed", failed: (error) => result = error });
  return result;
}

async function values(database: Database): Promise<unknown[]> {
  return (await database.read(select)).map(({ value }) => value);
}

testEachDriver(
  "commit() commits the statements of a transaction and the batch together",
  async ({ open, connect, file }) => {
    const database = await withTable(await open());
    const other = connect();
    const seen = () => other.all(select.sql, []).map(({ value }) => value);
    const before = countCommits(file);
    const transaction = await begin(database);
    assertEquals(await transaction.run("INSERT INTO t (value) VALUES (?), (?)", ["a", "b"]), 2);
    assertEquals(await transaction.all("SELECT value FROM t", []), [{ value: "a" }, { value: "b" }]);
    assertEquals(seen(), []);
    transaction.seal();
    assertEquals(commit(transaction, [insert("c")]), "committed");
    assertEquals(seen(), ["a", "b", "c"]);
    assertEquals(countCommits(file) - before, 1);
  },
);

testEachDriver("rollback() leaves nothing of a transaction, and may be called again", async ({ open }) => {
  const database = await withTable(await open());
  const transaction = await begin(database);
  await transaction.run("INSERT INTO t VALUES ('a')", []);
  await transaction.run("CREATE TABLE other (value)", []);
  transaction.rollback();
  transaction.rollback();
  await database.write([insert("b")]);
  assertEquals(await values(database), ["b"]);
  await assertRejects(() => database.read({ sql: "SELECT * FROM other", params: [] }), StoreError);
});

testEachDriver("commit() commits nothing where the results of its batch are refused", async ({ open }) => {
  const database = await withTable(await open());
  const transaction = await begin(database);
  await transaction.run("INSERT INTO t VALUES ('a')", []);
  const refusal = new Error("No");
  const results: unknown[] = [];
  const update = { sql: "UPDATE t SET value = 'x' WHERE value = 'missing'", params: [] };
  assertEquals(
    commit(transaction, [insert("b"), update], (counts) => {
      results.push(...counts);
      throw refusal;
    }),
    refusal,
  );
  assertEquals(results, [1, 0]);
  assertEquals(await values(database), []);
});

testEachDriver(
  "a transaction waits its turn, and nothing else is committed while it is open",
  async ({ open, connect }) => {
    const database = await withTable(await open());
    const order: string[] = [];
    const note = (what: string) => () => void order.push(what);
    const writes = [database.write([insert("a")]).then(note("a"))];
    await Promise.resolve();
    const transaction = await begin(database);
    order.push("begun");
    writes.push(database.write([insert("c")]).then(note("c")));
    const second = begin(database);
    void second.then(note("second begun"));
    // What transactions take is loaded when one is begun, even where it is there already.
    await new Promise((resolve) => setTimeout(resolve));
    writes.push(database.write([insert("e")]).then(note("e")));
    await transaction.run("INSERT INTO t VALUES ('b')", []);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
    assertEquals(connect().all(select.sql, []), [{ value: "a" }]);
    assertEquals(order, ["a", "begun"]);
    transaction.seal();
    commit(transaction);
    await (await second).run("INSERT INTO t VALUES ('d')", []);
    commit(await second);
    await Promise.all(writes);
    assertEquals(order, ["a", "begun", "c", "second begun", "e"]);
    assertEquals(await values(database), ["a", "b", "c", "d", "e"]);
  },
);

testEachDriver("group commit goes on after a transaction", async ({ open, file }) => {
  const database = await withTable(await open());
  const transaction = await begin(database);
  const before = countCommits(file);
  const writes = Array.from({ length: 500 }, (_, i) => database.write([insert(`${i}`)]));
  await transaction.run("INSERT INTO t VALUES ('first')", []);
  commit(transaction);
  await Promise.all(writes);
  assertEquals(countCommits(file) - before, 2);
  assertEquals((await values(database)).length, 501);
});

testEachDriver(
  "what waits of the stream of a transaction is committed before its batch, in one commit",
  async ({ open, file }) => {
    const database = await withTable(await open());
    const transaction = await begin(database, { stream: 7 });
    const before = countCommits(file);
    const told: string[] = [];
    const note = (what: string) => () => void told.push(what);
    const writes = [
      database.write([insert("of stream")], 7).then(note("of stream")),
      database.write([insert("of another")], 8).then(note("of another")),
      database.write([{ sql: "UPDATE t SET value = value || '!' WHERE value = 'of stream'", params: [] }], 7),
    ];
    transaction.seal();
    assertEquals(commit(transaction, [insert("own")]), "committed");
    assertEquals(countCommits(file) - before, 1);
    assertEquals(await values(database), ["of stream!", "own"]);
    assertEquals((await Promise.all(writes)).at(-1), [1]);
    assertEquals(told, ["of stream", "of another"]);
    assertEquals(await values(database), ["of stream!", "own", "of another"]);
  },
);

testEachDriver("what waits of the stream of a transaction outlives its rollback", async ({ open }) => {
  const database = await withTable(await open());
  for (const end of ["rollback", "refusal"]) {
    const transaction = await begin(database, { stream: 7 });
    const written = database.write([insert(`beside ${end}`)], 7);
    await transaction.run("INSERT INTO t VALUES ('undone')", []);
    if (end === "rollback") transaction.rollback();
    else assertInstanceOf(commit(transaction, [], () => assert(false)), Error);
    assertEquals(await written, [1]);
  }
  assertEquals(await values(database), ["beside rollback", "beside refusal"]);
});

testEachDriver("a transaction fails with the batch before it in its stream", async ({ open }) => {
  const database = await withTable(await open());
  const bad = database.write([{ sql: "INSERT INTO missing VALUES (1)", params: [] }], 7);
  const failing = begin(database, { stream: 7 });
  const other = begin(database, { stream: 8 });
  await assertRejects(() => bad, StoreError);
  // The module that transactions take is loaded first, so it may come after that batch has failed.
  await failing.then((transaction) => transaction.rollback(), (error) => assertInstanceOf(error, StoreError));
  (await other).rollback();
});

testEachDriver("begin() waits while another connection has the file locked", async ({ open, connect }) => {
  const database = await withTable(await open());
  const locker = connect();
  locker.exec("BEGIN IMMEDIATE");
  const begun = begin(database);
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
  locker.exec("INSERT INTO t VALUES ('locker')");
  locker.exec("COMMIT");
  assertEquals(await (await begun).all("SELECT * FROM t", []), [{ value: "locker" }]);
  commit(await begun);
});

testEachDriver("begin() gives up with StoreBusyError after busyTimeout", async ({ open, connect, file }) => {
  const clock = new ManualClock();
  const database = await withTable(await open({ clock, busyTimeoutMs: 5_000 }));
  const locker = connect();
  locker.exec("BEGIN IMMEDIATE");
  const refused = assertRejects(() => begin(database), StoreBusyError);
  const since = clock.now();
  while (clock.now() - since < 5_000) clock.advance(await clock.nextTimer());
  assertEquals(
    (await refused).message,
    `Cannot write to "${file}": other processes had it locked for 5000 ms`,
  );
  locker.exec("ROLLBACK");
  (await begin(database)).rollback();
});

testEachDriver(
  "another connection finds the file locked while a transaction is open",
  async ({ open, connect }) => {
    const database = await withTable(await open());
    const transaction = await begin(database);
    const other = connect();
    assertThrows(() => other.exec("BEGIN IMMEDIATE"), Error, "locked");
    transaction.rollback();
    other.exec("BEGIN IMMEDIATE");
    other.exec("ROLLBACK");
  },
);

testEachDriver("a transaction is rolled back when its time is over", async ({ open }) => {
  const clock = new ManualClock();
  const database = await withTable(await open({ clock }));
  const transaction = await begin(database, { timeoutMs: 5_000, key: "move#000001" });
  await transaction.run("INSERT INTO t VALUES ('a')", []);
  clock.advance(4_999);
  await transaction.run("INSERT INTO t VALUES ('b')", []);
  clock.advance(1);
  const error = await assertRejects(() => transaction.expired, TransactionTimeoutError);
  assertEquals([error.key, error.timeoutMs], ["move#000001", 5_000]);
  assertEquals(
    error.message,
    'Transaction "move#000001" did not end within its timeout of 5000 ms, and was rolled back: its function must ' +
      "await nothing but the transaction",
  );
  for (const use of [() => transaction.run("SELECT 1", []), () => transaction.all("SELECT 1", [])]) {
    assertEquals(await assertRejects(use), error);
  }
  assertEquals(assertThrows(() => transaction.seal()), error);
  assertEquals(commit(transaction, [insert("c")]), error);
  await database.write([insert("d")]);
  assertEquals(await values(database), ["d"]);
});

testEachDriver(
  "a transaction whose function kept the event loop for longer than its time is not committed",
  async ({ open }) => {
    let now = 0;
    const clock = { now: () => now, setTimer: () => () => {} };
    const database = await open({ clock });
    const transaction = await begin(database, { timeoutMs: 50 });
    now = 51;
    assertThrows(() => transaction.seal(), TransactionTimeoutError);
    await (await begin(database)).rollback();
  },
);

testEachDriver(
  "a transaction whose process was held up for longer than its time runs no further statement",
  async ({ open }) => {
    let now = 0;
    const clock = { now: () => now, setTimer: () => () => {} };
    const database = await withTable(await open({ clock }));
    const transaction = await begin(database, { timeoutMs: 50 });
    now = 50;
    await transaction.run("INSERT INTO t VALUES ('a')", []);
    now = 51;
    const error = await assertRejects(
      () => transaction.run("INSERT INTO t VALUES ('b')", []),
      TransactionTimeoutError,
    );
    assertEquals(await assertRejects(() => transaction.expired), error);
    await database.write([insert("c")]);
    assertEquals(await values(database), ["c"]);
  },
);

testEachDriver("a transaction does not run out of time once it is sealed", async ({ open }) => {
  const clock = new ManualClock();
  const database = await withTable(await open({ clock }));
  const transaction = await begin(database, { timeoutMs: 50 });
  transaction.seal();
  clock.advance(100);
  await assertRejects(
    () => transaction.run("INSERT INTO t VALUES (1)", []),
    TypeError,
    "whose function has ended",
  );
  assertEquals(commit(transaction, [insert("a")]), "committed");
});

testEachDriver(
  "run() and all() tell what the database refuses, and the transaction goes on",
  async ({ open }) => {
    const database = await open();
    const transaction = await begin(database);
    await transaction.run("CREATE TABLE u (id INTEGER PRIMARY KEY, n INTEGER CHECK (n >= 0))", []);
    await transaction.run("INSERT INTO u VALUES (1, 5)", []);
    // Deno 2.4 does not say why a statement cannot be prepared.
    const refused: [string, RegExp][] = [
      ["INSERT INTO u VALUES (1, 6)", /UNIQUE constraint failed/],
      ["UPDATE u SET n = n - 9", /CHECK constraint failed/],
      ["SELECT * FROM missing", /no such table: missing|failed to prepare/],
      ["SELEC 1", /wanted a statement that begins/],
      ["SELECT FROM", /syntax error|incomplete|failed to prepare/],
    ];
    for (const [sql, reason] of refused) {
      const error = await assertRejects(() => transaction.all(sql, []), Error);
      assert(reason.test(error.message), error.message);
      if (!sql.startsWith("SELEC ")) {
        assertInstanceOf(error, StatementError);
        assertEquals(error.statement, sql);
      }
    }
    assertEquals(transaction.failure, undefined);
    assertEquals(commit(transaction), "committed");
    assertEquals(await database.read({ sql: "SELECT * FROM u", params: [] }), [{ id: 1, n: 5 }]);
  },
);

testEachDriver(
  "a constraint that ends the transaction is found, and nothing more is run",
  async ({ open }) => {
    const database = await open();
    await database.write([{ sql: "CREATE TABLE u (id INTEGER PRIMARY KEY)", params: [] }]);
    const transaction = await begin(database);
    await transaction.run("INSERT INTO u VALUES (1)", []);
    const error = await assertRejects(
      () => transaction.run("INSERT OR ROLLBACK INTO u VALUES (1)", []),
      StatementError,
    );
    assertEquals(transaction.failure, error);
    assertEquals(await assertRejects(() => transaction.run("INSERT INTO u VALUES (2)", [])), error);
    assertEquals(assertThrows(() => transaction.seal()), error);
    assertEquals(commit(transaction, [{ sql: "INSERT INTO u VALUES (3)", params: [] }]), error);
    assertEquals(await database.read({ sql: "SELECT * FROM u", params: [] }), []);
  },
);

testEachDriver("a constraint that is checked at the commit fails it", async ({ open }) => {
  const database = await open();
  await database.write([{ sql: "PRAGMA foreign_keys = 1", params: [] }]);
  const transaction = await begin(database);
  await transaction.run("CREATE TABLE p (id INTEGER PRIMARY KEY)", []);
  await transaction.run("CREATE TABLE c (p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)", []);
  await transaction.run("INSERT INTO c VALUES (7)", []);
  transaction.seal();
  const error = commit(transaction);
  assertInstanceOf(error, StatementError);
  assertStringIncludes(error.message, "FOREIGN KEY constraint failed");
  await database.write([{ sql: "CREATE TABLE p (id)", params: [] }]);
});

testEachDriver("a disk that is full is the store's failure, whoever catches it", async ({ open }) => {
  const database = await withTable(await open());
  const [{ page_count: pages }] = await database.read({ sql: "PRAGMA page_count", params: [] }) as [
    { page_count: number },
  ];
  await database.read({ sql: `PRAGMA max_page_count = ${pages + 2}`, params: [] });
  const transaction = await begin(database);
  await transaction.run("INSERT INTO t VALUES ('a')", []);
  const error = await assertRejects(
    () => transaction.run("INSERT INTO t VALUES (?)", ["x".repeat(100_000)]),
    StoreError,
  );
  assertStringIncludes(error.message, "full");
  assertEquals(transaction.failure, error);
  assertEquals(commit(transaction), error);
  await database.write([insert("b")]);
  assertEquals(await values(database), ["b"]);
});

testEachDriver("run() and all() take and give all that SQLite has", async ({ open }) => {
  const database = await open();
  const transaction = await begin(database);
  await transaction.run("CREATE TABLE v (i INTEGER, r REAL, s TEXT, b BLOB, n)", []);
  const large = 2n ** 62n;
  const sql = "INSERT INTO v VALUES (?, ?, ?, ?, ?) RETURNING *";
  const params = [large, 1.5, "'; DROP TABLE v; --", Uint8Array.of(0, 255), null];
  assertEquals(await transaction.all(sql, params), [
    { i: large, r: 1.5, s: "'; DROP TABLE v; --", b: Uint8Array.of(0, 255), n: null },
  ]);
  assertEquals(await transaction.all("SELECT count(*) AS n FROM v", []), [{ n: 1 }]);
  assertEquals(await transaction.run("CREATE TABLE w (x)", []), 0);
  assertEquals(await transaction.run("SELECT * FROM v", []), 0);
  // Deno 2.4 cannot bind parameters that have a number.
  const [both, n] = Deno.version.deno.startsWith("2.4.") ? ["? || ?", "xy"] : ["?2 || ?1", "yx"];
  assertEquals(await transaction.run(`WITH a AS (SELECT 1) UPDATE v SET n = ${both}`, ["x", "y"]), 1);
  assertEquals(await transaction.all("SELECT n FROM v", []), [{ n }]);
  const all = "SELECT * FROM w";
  assertEquals(await transaction.all(all, []), []);
  await transaction.run("ALTER TABLE w ADD COLUMN y DEFAULT 7", []);
  await transaction.run("INSERT INTO w (x) VALUES (1)", []);
  assertEquals(await transaction.all(all, []), [{ x: 1, y: 7 }]);
  transaction.rollback();
});

testEachDriver("a transaction refuses statements that are none of its business", async ({ open }) => {
  const database = await withTable(await open());
  const transaction = await begin(database);
  await transaction.run("INSERT INTO t VALUES ('a')", []);
  const refused = [
    "BEGIN",
    "begin immediate",
    "COMMIT",
    "/* x */ commit",
    "-- x\n  END TRANSACTION",
    "ROLLBACK",
    "SAVEPOINT a",
    "RELEASE stepwell_transaction",
    "ROLLBACK TO stepwell_transaction",
    "ATTACH 'x' AS y",
    "DETACH y",
    "PRAGMA user_version = 9",
    "VACUUM",
    "ANALYZE",
    "",
    "  ;",
    "(SELECT 1)",
    "SELECT 1; COMMIT",
    "INSERT INTO t VALUES (';'); DELETE FROM t",
  ];
  for (const sql of refused) {
    const error = await assertRejects(() => transaction.run(sql, []), TypeError, undefined, sql);
    assertStringIncludes(error.message, "in a transaction: wanted");
  }
  const parameters: [string, unknown[]][] = [
    ["SELECT ?", []],
    ["SELECT ?", [1, 2]],
    ["SELECT '?'", [1]],
    ["SELECT :a", [1]],
    ["SELECT ?", [undefined]],
    ["SELECT ?", [NaN]],
    ["SELECT ?", [new Date(0)]],
    ["SELECT ?", [true]],
  ];
  for (const [sql, params] of parameters) {
    await assertRejects(() => transaction.all(sql, params as []), TypeError, "wanted", sql);
  }
  assertEquals(commit(transaction), "committed");
  assertEquals(await values(database), ["a"]);
});

testEachDriver(
  "a transaction refuses to change what is the store's own, however that is written, and goes on",
  async ({ open, connect, file }) => {
    const database = await open();
    const other = connect();
    const schema = () => other.all("SELECT * FROM sqlite_schema ORDER BY name", []);
    const rows = () => other.all("SELECT * FROM workflows", []);
    other.exec(
      `INSERT INTO workflows (workflow_id, name, status, created_at, updated_at) VALUES ('w', 'w', 'failed', 0, 0);
       CREATE TABLE mine (workflow_id TEXT PRIMARY KEY, n INTEGER);
       CREATE VIEW mine_and_more AS SELECT * FROM mine;
       CREATE TABLE fired (x);
       -- Made by somebody else: whoever fires it in a transaction is refused.
       CREATE TRIGGER harmful AFTER INSERT ON fired BEGIN DELETE FROM workflows; END;`,
    );
    const [before, rowsBefore] = [schema(), rows()];
    const writes = [
      "INSERT INTO workflows (workflow_id) VALUES ('x')",
      "insert or replace into Checkpoints (workflow) values (1)",
      'REPLACE INTO "messages" (workflow_id) VALUES (1)',
      "INSERT INTO main.[inputs] (workflow) VALUES (1)",
      "INSERT INTO main . 'executors' DEFAULT VALUES",
      "INSERT INTO /* mine */ main -- mine\n.`workflows` SELECT * FROM workflows",
      "UPDATE `workflows` SET status = 'completed'",
      "UPDATE OR IGNORE workflows SET run = 1",
      "UPDATE workflows INDEXED BY workflows_due SET run = 1 WHERE status = 'waiting' AND due_at IS NOT NULL",
      "UPDATE workflows AS mine SET run = 1 FROM mine AS workflows WHERE workflows.n = mine.run",
      "/* */ DELETE /* */ FROM /* */ workflows",
      "DELETE FROM workflows",
      "DELETE FROM WORKFLOWS WHERE workflow = 1 RETURNING *",
      "WITH a AS (SELECT 1) DELETE FROM checkpoints",
      'WITH "DELETE" AS (SELECT 1) UPDATE main."workflows" SET run = 1',
      "INSERT INTO workflows (workflow_id, name, status, created_at, updated_at) VALUES ('w', '', '', 0, 0) " +
      "ON CONFLICT (workflow_id) DO UPDATE SET status = 'completed'",
      "INSERT INTO fired VALUES (1)",
    ];
    const changes = [
      "DROP TABLE IF EXISTS workflows",
      "DROP TABLE main.'workflows'",
      ...before.filter(({ type, name }) => type !== "table" && ownNames().includes(name as string))
        .flatMap(({ type, name }) => [`DROP ${type} ${name}`, `DROP ${type} IF EXISTS main."${name}"`]),
      "ALTER TABLE workflows ADD COLUMN x",
      "ALTER TABLE workflows RENAME TO mine_now",
      "ALTER TABLE workflows RENAME COLUMN name TO title",
      "ALTER TABLE workflows DROP COLUMN debounce_key",
      "CREATE TEMP TABLE workflows (x)",
      "CREATE TEMPORARY VIEW signals AS SELECT 1",
      "CREATE TEMP TABLE Workflows_Due AS SELECT 1",
      "CREATE INDEX i ON workflows (name)",
      'CREATE UNIQUE INDEX "ON" ON workflows (name)',
      "CREATE TRIGGER x AFTER INSERT ON checkpoints BEGIN SELECT 1; END",
      "CREATE TRIGGER \"TABLE\" AFTER INSERT ON workflows BEGIN SELECT RAISE(ABORT, 'no'); END",
      "CREATE TRIGGER [VIEW] BEFORE UPDATE OF status ON [workflows] BEGIN SELECT RAISE(IGNORE); END",
      "CREATE TRIGGER `INDEX` INSTEAD OF INSERT ON steps BEGIN SELECT 1; END",
      "CREATE TEMP TRIGGER x AFTER INSERT ON workflows BEGIN SELECT 1; END",
      "CREATE TEMP TRIGGER x AFTER INSERT ON main.workflows BEGIN SELECT 1; END",
      "CREATE TRIGGER x AFTER INSERT ON mine BEGIN INSERT INTO mine VALUES (1, 2); DELETE FROM workflows; END",
      "CREATE TRIGGER x BEFORE UPDATE OF n ON mine WHEN NEW.n > 1 BEGIN UPDATE workflows SET run = 1; END;",
      "CREATE TRIGGER x INSTEAD OF DELETE ON mine_and_more BEGIN DELETE FROM messages; END",
      "CREATE TEMP TRIGGER x AFTER DELETE ON mine BEGIN DELETE FROM workflows; END",
      "CREATE TABLE t (name TEXT REFERENCES workflows (name))",
      'CREATE TABLE t (w TEXT, FOREIGN KEY (w) REFERENCES "Workflows" (workflow_id) ON DELETE CASCADE)',
      "ALTER TABLE mine ADD COLUMN w INTEGER REFERENCES workflows",
    ];
    const transaction = await begin(database);
    for (const sql of [...writes, ...changes]) {
      const error = await assertRejects(() => transaction.all(sql, []), Error, undefined, sql);
      assert(error instanceof TypeError || error instanceof StatementError, sql);
      if (error instanceof TypeError) {
        assertStringIncludes(error.message, "Stepwell's own can only be read", sql);
      }
    }
    for (const sql of ["DROP TABLE workflows", "DELETE FROM workflows"]) {
      await assertRejects(() => transaction.run(sql, []), TypeError, "in a transaction: it would ");
    }
    await transaction.run("INSERT INTO mine VALUES ('a', 1)", []);
    assertEquals(commit(transaction), "committed");
    assertEquals([schema(), rows()], [before, rowsBefore]);
    assertEquals(other.all("SELECT * FROM mine", []), [{ workflow_id: "a", n: 1 }]);
    await database.close();
    const again = await open({ location: file });
    await again.write([{ sql: "UPDATE workflows SET status = 'completed'", params: [] }]);
  },
);

testEachDriver(
  "a transaction may read what is the store's own, and do as it likes with the rest",
  async ({ open }) => {
    const database = await open();
    const allowed = [
      "SELECT * FROM workflows WHERE status = 'waiting'",
      "VALUES (1), (2)",
      "EXPLAIN QUERY PLAN DELETE FROM workflows",
      "CREATE TABLE mine (workflows TEXT, steps INTEGER, twice INTEGER AS (steps * 2) STORED, signals AS (steps))",
      "CREATE TABLE log (x)",
      "INSERT INTO mine (workflows) SELECT workflow_id FROM workflows",
      "CREATE UNIQUE INDEX mine_once ON mine (workflows)",
      "INSERT INTO mine VALUES ('INTO workflows', 1) ON CONFLICT (workflows) DO UPDATE SET steps = 1 RETURNING *",
      "UPDATE mine SET steps = (SELECT count(*) FROM steps) FROM workflows WHERE workflows.workflow_id = mine.workflows",
      "INSERT INTO mine (workflows) SELECT m.workflows || 'x' FROM mine m JOIN workflows ON workflows.name = m.workflows",
      "WITH steps AS (SELECT 1) SELECT * FROM steps",
      "CREATE TABLE copied AS SELECT * FROM workflows",
      "CREATE TABLE workflows_of_mine (w TEXT PRIMARY KEY, m TEXT REFERENCES mine (workflows)) WITHOUT ROWID",
      "DELETE FROM workflows_of_mine",
      "CREATE VIEW open AS SELECT * FROM workflows WHERE status <> 'completed'",
      "CREATE TRIGGER x AFTER INSERT ON mine BEGIN INSERT INTO log SELECT CASE WHEN 1 THEN 2 END; SELECT 1; END;",
      'CREATE TABLE "TRIGGER" ("end" INTEGER)',
      "CREATE TEMP TABLE other (x)",
      "CREATE TEMP TRIGGER y AFTER INSERT ON other BEGIN INSERT INTO log SELECT count(*) FROM workflows; END",
      "INSERT INTO other VALUES (1)",
      "INSERT INTO mine (workflows) VALUES ('again')",
      "ALTER TABLE mine RENAME TO theirs",
      "ALTER TABLE theirs DROP COLUMN signals",
      "DROP TRIGGER x",
      "DROP INDEX mine_once",
      "DROP VIEW open",
    ];
    const transaction = await begin(database);
    for (const sql of allowed) await transaction.all(sql, []);
    assertEquals(await transaction.all("SELECT * FROM log", []), [{ x: 0 }, { x: 2 }]);
    assertEquals(commit(transaction), "committed");
  },
);

testEachDriver(
  "what a transaction may write is looked at anew where the schema has changed or a change was undone",
  async ({ open, connect }) => {
    const database = await withTable(await open());
    const other = connect();
    const write = async () => {
      const transaction = await begin(database);
      try {
        await transaction.run("INSERT INTO t VALUES ('a')", []);
      } finally {
        transaction.rollback();
      }
    };
    await write();
    other.exec("CREATE TRIGGER harmful AFTER INSERT ON t BEGIN DELETE FROM messages; END");
    await assertRejects(write, TypeError, 'it would write to "messages"');
    other.exec("DROP TRIGGER harmful");
    await write();
    // The version of a schema that was undone is given again, to another one.
    const undone = await begin(database);
    await undone.run("CREATE TABLE u (x)", []);
    await undone.run("INSERT INTO t VALUES ('b')", []);
    undone.rollback();
    other.exec("CREATE TRIGGER harmful AFTER INSERT ON t BEGIN DELETE FROM messages; END");
    await assertRejects(write, TypeError, 'it would write to "messages"');
  },
);

Deno.test("ownNames() are the names of all that the schema has", () => {
  const driver = openBuiltin(":memory:");
  migrate(driver, ":memory:");
  const found = driver.all("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'", []);
  driver.close();
  assertEquals(ownNames().toSorted(), found.map(({ name }) => name).toSorted());
});

Deno.test("checkUserSql() takes one statement, which ends where SQLite says", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("CREATE TABLE t (x); CREATE TABLE log (x)");
  const trigger =
    'CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT CASE 1 WHEN 1 THEN 2 END; SELECT "end" FROM t; END';
  const one = [
    'SELECT \';\', ";", [;], `;` FROM (SELECT 1 AS ";") -- ; SELECT 1',
    "SELECT 1 /* ; */ ;;;",
    "\ufeffSELECT 1;",
    "SELECT x'3b' ; -- 2",
    "SELECT 'it''s;' ; /* 2",
    trigger,
    `${trigger};`,
    `${trigger} ; ; -- done`,
    'CREATE TEMP TRIGGER "TRIGGER" AFTER INSERT ON t BEGIN SELECT 1; END',
    'CREATE TABLE "TRIGGER" ("BEGIN", "END")',
    "EXPLAIN QUERY PLAN SELECT 1",
  ];
  const more = [
    "SELECT 1; SELECT 2",
    "SELECT 1;/**/DELETE FROM t",
    "SELECT ';' ; SELECT 2",
    "SELECT 1;\ufeffSELECT 2",
    `${trigger}; DELETE FROM t`,
    `${trigger}; SELECT 1; END`,
    'CREATE TABLE "TRIGGER" (x); DELETE FROM t',
    "CREATE TABLE TEMP (x); CREATE TRIGGER y AFTER INSERT ON t BEGIN SELECT 1; END",
  ];
  const rest = (sql: string) =>
    sql.replace(/^\ufeff/, "").slice(db.prepare(sql).sourceSQL.replace(/^\ufeff/, "").length);
  const isEmpty = (sql: string) => /^[\s;]*$/.test(sql.replaceAll(/\/\*[\s\S]*?\*\/|\/\*[\s\S]*$|--.*/g, ""));
  for (const sql of one) {
    checkUserSql(sql);
    assert(isEmpty(rest(sql)), sql);
  }
  for (const sql of more) {
    assertThrows(() => checkUserSql(sql), TypeError, "wanted one statement, found more", sql);
    assert(!isEmpty(rest(sql)), sql);
  }
  db.close();
});

Deno.test("checkUserSql() refuses what SQLite would read as something else", () => {
  const refused: [string, string][] = [
    ["DELETE FROM t\0 WHERE x = 1", "wanted SQL without the character NUL"],
    ["SELECT '\0'", "wanted SQL without the character NUL"],
    ["SELECT '\ud83d'", "wanted SQL of whole characters"],
    ["SELECT :übung", 'wanted parameters that are given as "?", found ":übung"'],
    ["SELECT :a", 'found ":a"'],
    ["SELECT @ä, $b", 'found "@ä"'],
    ["SELECT $::a", 'found "$::a"'],
    ["SELECT #1", 'found "#1"'],
    ["EXPLAIN PRAGMA foreign_keys = 0", 'found "PRAGMA"'],
    ["EXPLAIN QUERY PLAN VACUUM", 'found "VACUUM"'],
    ["EXPLAIN COMMIT", 'found "COMMIT"'],
    ["EXPLAIN ATTACH 'x' AS y", 'found "ATTACH"'],
    ["REINDEX workflows", 'found "REINDEX"'],
    ['SELECT * FROM "Pragma_Optimize"(0x10002)', "wanted a statement without pragma_optimize"],
    ["CREATE VIEW v AS SELECT * FROM pragma_optimize", "wanted a statement without pragma_optimize"],
    ["\u00a0DELETE FROM t", "found"],
  ];
  for (const [sql, message] of refused) {
    const error = assertThrows(() => checkUserSql(sql), TypeError, message, sql);
    assertStringIncludes(error.message, "in a transaction");
  }
  checkUserSql("SELECT ':a', \"@b\", [$c], `#d` /* :e */ -- $f");
});

testEachDriver(
  "reads through the same connection see the store's rows as of the last commit",
  async ({ open }) => {
    const database = await withTable(await open());
    const transaction = await begin(database);
    const waiting = database.write([insert("waiting")]);
    assertEquals(await values(database), []);
    commit(transaction, [insert("batch")]);
    assertEquals(await values(database), ["batch"]);
    await waiting;
  },
);

testEachDriver("close() waits for a transaction that is open, and for those that wait", async ({ open }) => {
  const database = await withTable(await open());
  const first = await begin(database);
  const second = begin(database);
  let closed = false;
  // begin() has to come to the queue before the database is closed.
  await new Promise((resolve) => setTimeout(resolve));
  const closing = database.close().then(() => closed = true);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
  assert(!closed);
  await first.run("INSERT INTO t VALUES ('a')", []);
  commit(first);
  await (await second).run("INSERT INTO t VALUES ('b')", []);
  commit(await second);
  await closing;
  const again = await open();
  assertEquals(await values(again), ["a", "b"]);
  await again.close();
  await assertRejects(() => begin(again), StoreError, "closed");
});

testEachDriver("transactions work on a database in memory", async ({ open }) => {
  const database = await withTable(await open({ location: ":memory:" }));
  const undone = await begin(database);
  await undone.run("INSERT INTO t VALUES ('a')", []);
  undone.rollback();
  const done = await begin(database);
  await done.run("INSERT INTO t VALUES ('b')", []);
  commit(done, [insert("c")]);
  assertEquals(await values(database), ["b", "c"]);
});

testEachDriver("a row that rides along is not forgotten while a transaction is open", async ({ open }) => {
  const clock = new ManualClock();
  const database = await withTable(await open({ clock }));
  const transaction = await begin(database);
  let results: readonly number[] | undefined;
  database.rideAlong({
    stream: 7,
    board: () => [insert("rider")],
    committed: (counts) => results = counts,
    failed: (error) => assert(false, error.message),
  });
  clock.advance(200);
  transaction.rollback();
  await eventually(() => results);
  assertEquals(await values(database), ["rider"]);
});
