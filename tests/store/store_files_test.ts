import { StoreError } from "@stepwell/stepwell";
import { assertEquals, assertGreater, assertLess, assertRejects } from "@std/assert";
import type { Database, Statement } from "../../engine/store/database.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { type Bench, testEachDriver } from "./each_driver.ts";

const insert = (value: string): Statement => ({ sql: "INSERT INTO t (value) VALUES (?)", params: [value] });
const createTable: Statement = { sql: "CREATE TABLE t (value)", params: [] };

/** Long enough for a look to be taken before the next commit. */
const A_WHILE_MS = 1_000;

/** Opens a database with a row in it that is in the log alone. */
async function openWithRow({ open }: Bench): Promise<{ database: Database; clock: ManualClock }> {
  const clock = new ManualClock();
  const database = await open({ clock });
  await database.write([createTable]);
  await database.write([insert("acknowledged")]);
  clock.advance(A_WHILE_MS);
  return { database, clock };
}

/** What is in the database's own file, without its log, as a process that is killed leaves it. */
function readMain({ file, folder }: Bench): unknown[] {
  const copy = folder.file("copy.db");
  Deno.copyFileSync(file, copy);
  return query(copy, "SELECT value FROM t ORDER BY rowid").map(({ value }) => value);
}

async function assertRefused({ file }: Bench, database: Database, what: string): Promise<void> {
  const error = await assertRejects(() => database.write([insert("lost")]), StoreError);
  assertEquals(error.message, `Cannot write to "${file}": ${what}`);
}

testEachDriver(
  "a log that was removed stops all writing, and what was committed is in the database's own file",
  async (bench) => {
    for (const alsoRemoved of [[], ["-shm"]]) {
      const { database } = await openWithRow(bench);
      for (const end of ["-wal", ...alsoRemoved]) await Deno.remove(bench.file + end);
      await assertRefused(bench, database, `its log "${bench.file}-wal" has been removed or replaced`);
      assertEquals(readMain(bench), ["acknowledged"]);
      await database.close();
      await Deno.remove(bench.file);
    }
  },
);

testEachDriver(
  "what was committed is in the database's own file when its log is removed while nothing is written",
  async (bench) => {
    const { database, clock } = await openWithRow(bench);
    database.watch(() => {});
    await Deno.remove(`${bench.file}-wal`);
    clock.advance(A_WHILE_MS);
    assertEquals(readMain(bench), ["acknowledged"]);
  },
);

testEachDriver("a log that was replaced stops all writing", async (bench) => {
  const { database } = await openWithRow(bench);
  await Deno.copyFile(`${bench.file}-wal`, bench.folder.file("other"));
  await Deno.rename(bench.folder.file("other"), `${bench.file}-wal`);
  await assertRefused(bench, database, `its log "${bench.file}-wal" has been removed or replaced`);
});

testEachDriver("the index of a log that was removed or replaced stops all writing", async (bench) => {
  const { database } = await openWithRow(bench);
  const index = `${bench.file}-shm`;
  const what = `the index of its log "${index}" has been removed or replaced`;
  await Deno.rename(index, bench.folder.file("elsewhere"));
  await assertRefused(bench, database, what);
  await Deno.writeTextFile(index, "another");
  await assertRefused(bench, database, what);
  await Deno.rename(bench.folder.file("elsewhere"), index);
  await database.write([insert("again")]);
});

testEachDriver("a log that was cut off stops all writing, where SQLite can tell", async (bench) => {
  for (const keptBytes of [0, 5_000]) {
    const { database, clock } = await openWithRow(bench);
    const [row] = await database.read({ sql: "SELECT sqlite_version() AS version", params: [] });
    const [, minor] = String(row!.version).split(".").map(Number);
    if (minor! < 51) return console.log(`skipped: SQLite ${row!.version} cannot tell`);
    await database.write([insert("acknowledged, too")]);
    clock.advance(A_WHILE_MS);
    await Deno.truncate(`${bench.file}-wal`, keptBytes);
    await assertRefused(bench, database, `its log "${bench.file}-wal" has been cut off`);
    await database.close();
    await Deno.remove(bench.file);
  }
});

testEachDriver("a log that others begin anew, and make shorter, stops nothing", async (bench) => {
  const { database, clock } = await openWithRow(bench);
  for (let round = 0; round < 3; round++) {
    await database.write([insert(`${round}`)]);
    clock.advance(A_WHILE_MS);
    const other = bench.connect();
    other.all("PRAGMA wal_checkpoint(TRUNCATE)", []);
    other.close();
    assertEquals(Deno.statSync(`${bench.file}-wal`).size, 0);
    clock.advance(A_WHILE_MS);
    await database.write([insert(`${round} again`)]);
  }
  const [row] = await database.read({ sql: "SELECT count(*) AS n FROM t", params: [] });
  assertEquals(row, { n: 7 });
});

testEachDriver(
  "a log that has become large is begun anew, and made short again, once nobody reads from it",
  async (bench) => {
    const { database, clock } = await openWithRow(bench);
    const log = () => Deno.statSync(`${bench.file}-wal`).size;
    const reader = bench.connect();
    reader.exec("BEGIN");
    reader.all("SELECT * FROM t", []);
    for (let n = 0; n < 30; n++) {
      await database.write([insert("x".repeat(1_000_000))]);
      clock.advance(A_WHILE_MS);
    }
    assertGreater(log(), 30_000_000);
    reader.exec("COMMIT");
    for (let n = 0; n < 6; n++) {
      await database.write([insert("x".repeat(1_000_000))]);
      clock.advance(A_WHILE_MS);
    }
    assertLess(log(), 9_000_000);
  },
);
