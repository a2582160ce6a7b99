import { holdProcess, systemClock } from "../../engine/clock.ts";
import { LimitExceededError, StoreError } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { Database, SqlValue, Statement } from "../../engine/store/database.ts";
import { testEachDriver } from "./each_driver.ts";

const sql = (text: string, ...params: SqlValue[]): Statement => ({ sql: text, params });
const insert = (value: SqlValue) => sql("INSERT INTO t (value) VALUES (?)", value);
const broken = sql("INSERT INTO t (id, value) SELECT id, 'again' FROM t");

/** Makes the table that these tests write to, and puts a row into it. */
async function makeTable(database: Database): Promise<void> {
  await database.write([sql("CREATE TABLE t (id INTEGER PRIMARY KEY, value)"), insert("first")]);
}

async function values(database: Database): Promise<unknown[]> {
  return (await database.read(sql("SELECT value FROM t ORDER BY id"))).map(({ value }) => value);
}

testEachDriver("write() gives the number of rows that each statement changed", async ({ open }) => {
  const database = await open();
  await makeTable(database);
  const counts = await database.write([
    insert("second"),
    sql("UPDATE t SET value = value"),
    sql("UPDATE t SET value = 0 WHERE value = 'nobody'"),
    sql("DELETE FROM t WHERE value = 'first'"),
    sql("INSERT INTO t VALUES (2, 'taken') ON CONFLICT DO NOTHING"),
  ]);
  assertEquals(counts, [1, 2, 0, 1, 0]);
  assertEquals(await database.write([]), []);
  assertEquals(await database.write([sql("DELETE FROM t WHERE value = 'nobody'")]), [0]);
});

testEachDriver(
  "write() gives the key of an inserted row where that is asked for, 0 where there is none",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const keyed = {
      ...sql("INSERT INTO t (id, value) VALUES (?, 'x') ON CONFLICT DO NOTHING", 2 ** 40),
      givesKey: true,
    };
    assertEquals(await database.write([keyed]), [2 ** 40]);
    assertEquals(await database.write([keyed]), [0]);
    assertEquals(await database.write([insert("y"), keyed]), [1, 0]);
  },
);

testEachDriver("write() is atomic: nothing is stored of a batch that fails", async ({ open }) => {
  const database = await open();
  await makeTable(database);
  const error = await assertRejects(() => database.write([insert("lost"), broken]), StoreError, "UNIQUE");
  assertEquals(error.message, `Cannot use "${database.location}": UNIQUE constraint failed: t.id`);
  assertInstanceOf(error.cause, Error);
  assertEquals(await values(database), ["first"]);
});

testEachDriver(
  "batches that are written together stand or fall each alone, and keep their order",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const settled: number[] = [];
    const batches = [[insert(1)], [insert("lost"), broken], [insert(2), insert(3)], [sql("nonsense")], [
      insert(4),
    ]];
    const results = await Promise.allSettled(batches.map(async (batch, i) => {
      try {
        await database.write(batch);
      } finally {
        settled.push(i);
      }
    }));
    assertEquals(results.map(({ status }) => status), [
      "fulfilled",
      "rejected",
      "fulfilled",
      "rejected",
      "fulfilled",
    ]);
    assertEquals(settled, [0, 1, 2, 3, 4]);
    assertEquals(await values(database), ["first", 1, 2, 3, 4]);
  },
);

testEachDriver(
  "a batch that fails takes with it those behind it in its stream, and no other",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const results = await Promise.allSettled([
      database.write([insert("a1")], 1),
      database.write([insert("b1")], 2),
      database.write([broken], 1),
      database.write([insert("a3")], 1),
      database.write([insert("b2")], 2),
      database.write([insert("alone")]),
      database.write([insert("a4")], 1),
    ]);
    assertEquals(results.map(({ status }) => status === "fulfilled"), [
      true,
      true,
      false,
      false,
      true,
      true,
      false,
    ]);
    assertEquals(await values(database), ["first", "a1", "b1", "b2", "alone"]);
    await database.write([insert("a5")], 1);
    assertEquals((await values(database)).at(-1), "a5");
  },
);

testEachDriver(
  "many equal statements in one commit are each done, in their order, with their own answer",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const several = (count: number) =>
      `INSERT OR IGNORE INTO t (id, value) VALUES ${Array(count).fill("(?, ?)").join(", ")}`;
    const statement = (id: number): Statement => ({ sql: several(1), params: [id, `${id}`], several });
    const ids = Array.from({ length: 40 }, (_, i) => i + 100);
    const counts = await Promise.all(ids.map((id) => database.write([statement(id)])));
    assertEquals(counts, ids.map(() => [1]));
    // Some of these are there already.
    const more = ids.map((id) => id + 20);
    const again = await Promise.all(more.map((id) => database.write([statement(id)])));
    assertEquals(again, more.map((id) => [id < 140 ? 0 : 1]));
    assertEquals((await values(database)).slice(1), Array.from({ length: 60 }, (_, i) => `${i + 100}`));
  },
);

testEachDriver(
  "many equal batches of several statements in one commit are told the key that each was given",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const insertSeveral = (count: number) =>
      `INSERT INTO t (value) VALUES ${Array(count).fill("(?)").join(", ")}`;
    const updateSeveral = (count: number) =>
      `UPDATE t SET value = value || '!' WHERE value IN (${Array(count).fill("?").join(", ")})`;
    const batch = (value: string) => [
      { sql: insertSeveral(1), params: [value], givesKey: true, several: insertSeveral },
      { sql: updateSeveral(1), params: [value], several: updateSeveral },
    ];
    const write = (names: string[]) => Promise.all(names.map((name) => database.write(batch(name))));
    const stored = async () => await database.read(sql("SELECT id, value FROM t ORDER BY id"));
    const names = Array.from({ length: 60 }, (_, i) => `${i}`);
    const keys = (await write(names)).map(([key]) => key);
    assertEquals((await stored()).slice(1), names.map((name, i) => ({ id: keys[i], value: `${name}!` })));
    // This one changes two rows, as the value is there already.
    assertEquals((await write([...names, "first"])).at(-1)![1], 2);
    assertEquals((await stored()).at(-1), { id: keys.at(-1)! + 61, value: "first!" });
  },
);

testEachDriver("read() sees what was written before, and throws for what is no query", async ({ open }) => {
  const database = await open();
  await makeTable(database);
  for (let i = 0; i < 5; i++) {
    await database.write([insert(i)]);
    assertEquals((await values(database)).at(-1), i);
  }
  assertEquals(await database.read(sql("SELECT value FROM t WHERE value = ?", 3)), [{ value: 3 }]);
  await assertRejects(() => database.read(sql("SELECT x FROM nowhere")), StoreError, database.location);
});

testEachDriver("read() sees nothing of what is not committed", async ({ open, connect }) => {
  const database = await open();
  await makeTable(database);
  const other = connect();
  other.exec("BEGIN IMMEDIATE");
  other.exec("INSERT INTO t (value) VALUES ('not yet')");
  assertEquals(await values(database), ["first"]);
  const written = database.write([insert("waiting")]);
  assertEquals(await values(database), ["first"]);
  other.exec("ROLLBACK");
  await written;
  assertEquals(await values(database), ["first", "waiting"]);
});

testEachDriver(
  "values come back as they were: numbers of any size, texts of any length and writing, null",
  async ({ open }) => {
    const database = await open();
    await makeTable(database);
    const stored: SqlValue[] = [
      0,
      -1,
      2 ** 31 - 1,
      2 ** 31,
      -(2 ** 31) - 1,
      2 ** 40 + 1,
      Date.UTC(2030, 0, 1),
      2 ** 47,
      Number.MAX_SAFE_INTEGER,
      Number.MIN_SAFE_INTEGER,
      1.5,
      null,
      "",
      "5",
      "quotes ' and \" and ; and ?1",
      "ünïcödé 💴 ☃ \u{10ffff}",
      '{"json":"\\u0000"}',
      "x".repeat(3_000_000),
    ];
    for (const value of stored) {
      await database.write([sql("UPDATE t SET value = ?", value)]);
      assertEquals(
        (await database.read(sql("SELECT value, typeof(value) AS type FROM t WHERE value IS ?", value)))[0]
          ?.value,
        value,
      );
    }
  },
);

testEachDriver(
  "watch() tells of commits by other connections, and not of its own",
  async ({ open, connect }) => {
    const database = await open();
    await makeTable(database);
    const other = connect();
    // Watching alone does not keep a process alive.
    const release = holdProcess(systemClock);
    let told = 0;
    let wake = () => {};
    const stop = database.watch(() => {
      told++;
      wake();
    });
    await database.write([insert("own")]);
    const changed = new Promise<void>((resolve) => wake = resolve);
    other.exec("INSERT INTO t (value) VALUES ('other')");
    await changed;
    assertEquals(told, 1);
    stop();
    release();
  },
);

testEachDriver("watch() tells nobody any more who has stopped it", async ({ open, connect }) => {
  const database = await open();
  await makeTable(database);
  const other = connect();
  const release = holdProcess(systemClock);
  const told: string[] = [];
  const last = Promise.withResolvers<void>();
  const stopFirst = database.watch(() => told.push("first"));
  const stopSecond = database.watch(() => {
    told.push("second");
    last.resolve();
  });
  stopFirst();
  stopFirst();
  other.exec("INSERT INTO t (value) VALUES ('other')");
  await last.promise;
  stopSecond();
  release();
  assertEquals(told, ["second"]);
});

testEachDriver("close() commits what waits, and refuses what comes later", async ({ open, file }) => {
  const database = await open();
  await makeTable(database);
  const written = Array.from({ length: 50 }, (_, i) => database.write([insert(i)]));
  await database.close();
  await Promise.all(written);
  await database.close();
  const message = `Cannot use "${file}": it is closed`;
  await assertRejects(() => database.write([insert("late")]), StoreError, message);
  await assertRejects(() => database.read(sql("SELECT 1")), StoreError, message);
  assertEquals((await values(await open())).length, 51);
});

testEachDriver(
  "a database in memory is one of its own, without locks and files",
  async ({ open, folder }) => {
    const one = await open({ location: ":memory:" });
    const two = await open({ location: ":memory:" });
    await makeTable(one);
    await assertRejects(() => values(two), StoreError);
    one.holdLock(1);
    assertEquals(two.probeLock(1), "unknown");
    one.clearLock(1);
    assertEquals(folder.names, []);
  },
);

testEachDriver("no more than 200,000 batches wait", async ({ open }) => {
  const database = await open({ location: ":memory:" });
  const waiting: Promise<unknown>[] = [];
  for (let i = 0; i < 200_000; i++) waiting.push(database.write([]));
  const { cause } = await assertRejects(() => database.write([]), StoreError);
  assertInstanceOf(cause, LimitExceededError);
  assertEquals([cause.limit, cause.max], ["waiting batches", 200_000]);
  await Promise.all(waiting);
  assert(await database.write([]));
});
