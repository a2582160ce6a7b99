import { deadline } from "@std/async";
import { StoreBusyError, systemClock } from "@stepwell/stepwell";
import { assert, assertEquals, assertLess, assertRejects } from "@std/assert";
import type { Statement } from "../../engine/store/database.ts";
import { startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { testEachDriver } from "./each_driver.ts";

const insert = (value: string): Statement => ({ sql: "INSERT INTO t (value) VALUES (?)", params: [value] });
const createTable: Statement = { sql: "CREATE TABLE t (value)", params: [] };
const select: Statement = { sql: "SELECT value FROM t ORDER BY rowid", params: [] };

/** Lets time go on until something has happened. */
async function advanceUntil(clock: ManualClock, happened: Promise<unknown>): Promise<void> {
  let over = false;
  happened.finally(() => over = true).catch(() => {});
  await eventually(() => {
    clock.advance(1);
    return over;
  });
  await happened;
}

testEachDriver(
  "write() waits while another connection has the file locked, and keeps its order",
  async ({ open, connect }) => {
    const database = await open();
    await database.write([createTable]);
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const written = ["a", "b", "c"].map((value) => database.write([insert(value)]));
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
    locker.exec("INSERT INTO t (value) VALUES ('locker')");
    locker.exec("COMMIT");
    await Promise.all(written);
    assertEquals((await database.read(select)).map(({ value }) => value), ["locker", "a", "b", "c"]);
  },
);

testEachDriver(
  "write() gives up with StoreBusyError after busyTimeout, and nothing is stored",
  async ({ open, connect, file }) => {
    const clock = new ManualClock();
    const database = await open({ clock, busyTimeoutMs: 5_000 });
    await database.write([createTable]);
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const results = ["a", "b"].map((value) =>
      assertRejects(() => database.write([insert(value)]), StoreBusyError)
    );
    const since = clock.now();
    while (clock.now() - since < 5_000) clock.advance(await clock.nextTimer());
    for (const error of await Promise.all(results)) {
      assertEquals(error.message, `Cannot write to "${file}": other processes had it locked for 5000 ms`);
    }
    assertLess(clock.now() - since, 5_100);
    locker.exec("ROLLBACK");
    await database.write([insert("c")]);
    assertEquals((await database.read(select)).map(({ value }) => value), ["c"]);
  },
);

testEachDriver(
  "write() tries a locked file again after pauses that become longer, up to 50 ms, by chance",
  async ({ open, connect }) => {
    const clock = new ManualClock();
    const database = await open({ clock, random: (bytes) => void bytes.fill(0xff) });
    await database.write([createTable]);
    const locker = connect();
    locker.exec("BEGIN IMMEDIATE");
    const written = database.write([insert("a")]);
    const pauses: number[] = [];
    for (let i = 0; i < 8; i++) {
      pauses.push(await clock.nextTimer());
      clock.advance(pauses.at(-1)!);
    }
    assertEquals(pauses, [1, 2, 4, 8, 16, 32, 50, 50]);
    locker.exec("ROLLBACK");
    await advanceUntil(clock, written);
  },
);

testEachDriver(
  "the time that a file may be locked counts anew after each commit",
  async ({ open, connect }) => {
    const clock = new ManualClock();
    const database = await open({ clock, busyTimeoutMs: 100 });
    await database.write([createTable]);
    const locker = connect();
    for (let round = 0; round < 3; round++) {
      locker.exec("BEGIN IMMEDIATE");
      const written = database.write([insert(`${round}`)]);
      for (const until = clock.now() + 50; clock.now() < until;) clock.advance(await clock.nextTimer());
      locker.exec("ROLLBACK");
      await advanceUntil(clock, written);
    }
  },
);

testEachDriver("opening waits while another connection has the file locked", async ({ open, connect }) => {
  const locker = connect();
  locker.exec("BEGIN EXCLUSIVE");
  let opened = false;
  const opening = open().then((database) => {
    opened = true;
    return database;
  });
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
  assert(!opened);
  locker.exec("ROLLBACK");
  await (await opening).read({ sql: "SELECT * FROM workflows", params: [] });
});

testEachDriver("opening gives up with StoreBusyError after busyTimeout", async ({ open, connect, file }) => {
  const locker = connect();
  locker.exec("BEGIN EXCLUSIVE");
  const error = await assertRejects(() => open({ busyTimeoutMs: 40 }), StoreBusyError);
  assertEquals(error.message, `Cannot open "${file}": other processes had it locked for 40 ms`);
});

testEachDriver(
  "opening gives up after busyTimeout, although the clock is set back meanwhile",
  async ({ open, connect }) => {
    const locker = connect();
    locker.exec("BEGIN EXCLUSIVE");
    let looks = 0;
    const clock = { ...systemClock, now: () => systemClock.now() - (looks++ > 0 ? 3_600_000 : 0) };
    const opening = open({ clock, busyTimeoutMs: 40 }).then(() => "opened", (error: Error) => error.name);
    assertEquals(await deadline(opening, 10_000), "StoreBusyError");
    locker.exec("ROLLBACK");
  },
);

testEachDriver(
  "write() waits for another process, whatever that does with its lock",
  async ({ open, file, folder, sqlite }) => {
    // The process uses the SQLite that is built in, whichever one this one has: processes do not share its memory.
    const database = await open();
    await database.write([createTable]);
    await Deno.writeTextFile(
      folder.file("locker.ts"),
      `import { DatabaseSync } from "node:sqlite";
     const db = new DatabaseSync(${JSON.stringify(file)});
     db.exec("BEGIN IMMEDIATE; INSERT INTO t (value) VALUES ('dies')");
     console.log("locked");
     setInterval(() => {}, 1_000_000);`,
    );
    await using locker = startChild(`file://${folder.file("locker.ts")}`);
    await locker.line("locked");
    let done = false;
    const written = database.write([insert(sqlite)]).then(() => done = true);
    for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
    assert(!done);
    locker.kill("SIGKILL");
    await eventually(() => done);
    await written;
    assertEquals(await database.read(select), [{ value: sqlite }]);
  },
);
