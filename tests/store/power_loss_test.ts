import { assert, assertEquals, assertGreater } from "@std/assert";
import { openBuiltin } from "../../engine/store/builtin_driver.ts";
import type { SqliteDriver } from "../../engine/store/sqlite_driver.ts";
import { growWal } from "../../engine/store/wal.ts";
import { framesInForce } from "../write_ahead_log.ts";
import { type Bench, testEachDriver } from "./each_driver.ts";
import { type Disk, readDisk, statesBetween, writeDisk } from "./power_loss.ts";

/** At how many frames of a commit the power is lost, at most. */
const MOST = Deno.env.get("STEPWELL_RIGOROUS") === "1" ? 100 : 4;

/** The sizes of what the commits hold, in bytes. One is more than the log takes: it is checkpointed then. */
const SIZES = [10, 5_000, 60_000, 10, 4_200_000, 10];

/** Makes a store with a table for commits that are counted. */
async function makeStore({ open, connect }: Bench): Promise<void> {
  await (await open()).close();
  const driver = connect();
  driver.exec("CREATE TABLE acknowledged (n INTEGER PRIMARY KEY, payload TEXT)");
  driver.close();
}

/** Asserts that after power loss in any state between two disks what was acknowledged is there, and all is whole. */
function assertSurvives(
  { folder, connect }: Bench,
  [before, after]: [Disk, Disk],
  acknowledged: number,
): number {
  const file = folder.file("after_power_loss.db");
  let states = 0;
  for (const state of statesBetween(before, after, MOST)) {
    states++;
    writeDisk(file, state);
    const driver = connect(file);
    const where = `after commit ${acknowledged}, ${state.name}`;
    assertEquals(driver.all("PRAGMA integrity_check", []), [{ integrity_check: "ok" }], where);
    const rows = driver.all("SELECT n, length(payload) AS bytes FROM acknowledged ORDER BY n", []);
    assert(
      rows.length === acknowledged || rows.length === acknowledged + 1,
      `${where}: ${rows.length} commits`,
    );
    assertEquals(rows, rows.map((_, i) => ({ n: i + 1, bytes: SIZES[i] })), where);
    driver.close();
  }
  return states;
}

/** Commits, and after each commit loses the power in every way that may lose what came since the one before. */
async function commitAndLosePower(bench: Bench, growWal: boolean, start: Disk): Promise<void> {
  const database = await bench.open({ growWal });
  let before = readDisk(bench.file);
  let states = assertSurvives(bench, [start, before], 0);
  for (const [i, size] of SIZES.entries()) {
    await database.write([
      { sql: "INSERT INTO acknowledged VALUES (?, ?)", params: [i + 1, "x".repeat(size)] },
    ]);
    const after = readDisk(bench.file);
    states += assertSurvives(bench, [before, after], i);
    before = after;
  }
  assertGreater(states, 100);
}

testEachDriver(
  "a commit that was acknowledged survives power loss at any instant, also after growWal",
  async (bench) => {
    await makeStore(bench);
    await commitAndLosePower(bench, true, readDisk(bench.file));
  },
);

testEachDriver("a commit that was acknowledged survives power loss without growWal, too", async (bench) => {
  await makeStore(bench);
  await commitAndLosePower(bench, false, readDisk(bench.file));
});

testEachDriver(
  "growWal is safe while another connection keeps the log from being begun anew",
  async (bench) => {
    await makeStore(bench);
    const other = bench.connect();
    other.exec("PRAGMA synchronous = FULL");
    other.exec("INSERT INTO acknowledged VALUES (1, 'xxxxxxxxxx')");
    other.exec("BEGIN");
    other.all("SELECT * FROM acknowledged", []);
    const start = readDisk(bench.file);

    const database = await bench.open({ growWal: true });
    const grown = readDisk(bench.file);
    assertSurvives(bench, [start, grown], 1);
    await database.write([{
      sql: "INSERT INTO acknowledged VALUES (2, ?)",
      params: ["x".repeat(SIZES[1]!)],
    }]);
    assertSurvives(bench, [grown, readDisk(bench.file)], 1);
  },
);

/** What a driver says of a setting. */
function setting(driver: SqliteDriver, name: string): unknown {
  return Object.values(driver.all(`PRAGMA ${name}`, [])[0]!)[0];
}

testEachDriver(
  "growWal makes the log as large as it gets, so that commits after it do not make it grow",
  async (bench) => {
    const database = await bench.open({ growWal: true });
    const grown = Deno.statSync(`${bench.file}-wal`).size;
    assertGreater(grown, 4_000_000);
    for (let i = 0; i < 300; i++) {
      await database.write([{
        sql: "UPDATE wal_growth SET counter = ?",
        params: [i],
      }]);
    }
    assertEquals(Deno.statSync(`${bench.file}-wal`).size, grown);
    assertEquals(framesInForce(bench.file).length, 300);
  },
);

testEachDriver("growWal sets durability and checkpoints back, also when it fails", async (bench) => {
  await (await bench.open()).close();
  for (const [durability, wanted] of [["full", 2], ["normal", 1]] as const) {
    const driver = bench.connect();
    driver.exec("PRAGMA busy_timeout = 0");
    const settings = () => [setting(driver, "synchronous"), setting(driver, "wal_autocheckpoint")];
    growWal(driver, durability);
    assertEquals(settings(), [wanted, 1_000]);
    const locker = bench.connect();
    locker.exec("BEGIN IMMEDIATE");
    let error: unknown;
    try {
      growWal(driver, durability);
    } catch (thrown) {
      error = thrown;
    }
    assert(error instanceof Error && /locked/.test(error.message), `${error}`);
    assertEquals(settings(), [wanted, 1_000]);
    locker.close();
    driver.close();
  }
});

Deno.test("the states of a disk after power loss can lose a commit that was not made durable", () => {
  // What the tests above rest on: they would notice if the second commit had been acknowledged too early.
  const folder = Deno.makeTempDirSync();
  try {
    const file = `${folder}/a.db`;
    const driver = openBuiltin(file);
    driver.exec("PRAGMA journal_mode = wal");
    driver.exec("CREATE TABLE acknowledged (n)");
    driver.exec("INSERT INTO acknowledged VALUES (1)");
    const before = readDisk(file);
    driver.exec("INSERT INTO acknowledged VALUES (2)");
    const after = readDisk(file);
    const found = new Set<unknown>();
    for (const state of statesBetween(before, after)) {
      writeDisk(`${folder}/b.db`, state);
      const other = openBuiltin(`${folder}/b.db`);
      found.add(other.all("SELECT max(n) AS n FROM acknowledged", [])[0]!.n);
      other.close();
    }
    assertEquals(found, new Set([1, 2]));
    driver.close();
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});
