import { systemClock, systemRandom } from "@stepwell/stepwell";
import { openBuiltin } from "../../engine/store/builtin_driver.ts";
import type { Database } from "../../engine/store/database.ts";
import { loadFfi } from "../../engine/store/ffi_driver.ts";
import { openSqliteDatabase, type SqliteOptions } from "../../engine/store/sqlite_database.ts";
import type { OpenSqlite, SqliteDriver } from "../../engine/store/sqlite_driver.ts";
import { Turns } from "../../engine/turns.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";

/** What a test of the store works with: one of the two copies of SQLite, and a folder. */
export interface Bench {
  readonly sqlite: "builtin" | "ffi";
  readonly folder: TemporaryFolder;
  /** A path in the folder. */
  readonly file: string;
  /** Opens a database, which is closed at the end of the test. */
  open(options?: Partial<SqliteOptions> & { location?: string }): Promise<Database>;
  /** A connection of its own, by the same copy of SQLite, which is closed at the end of the test at the latest. */
  connect(path?: string): SqliteDriver;
}

const ffi = await loadFfiHere();
const drivers: Record<Bench["sqlite"], OpenSqlite | undefined> = { builtin: openBuiltin, ffi };

/** Registers a test for each SQLite that can stand behind the store; where one cannot be had, the test is skipped. */
export function testEachDriver(name: string, test: (bench: Bench) => Promise<void>): void {
  for (const [sqlite, driver] of Object.entries(drivers) as [Bench["sqlite"], OpenSqlite | undefined][]) {
    Deno.test({
      name: `${name} (${sqlite})`,
      ignore: driver === undefined,
      fn: () => withBench(sqlite, driver!, test),
    });
  }
}

async function withBench(
  sqlite: Bench["sqlite"],
  driver: OpenSqlite,
  test: (bench: Bench) => Promise<void>,
): Promise<void> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const closing: (() => Promise<void> | void)[] = [];
  const bench: Bench = {
    sqlite,
    folder,
    file,
    async open({ location = file, ...options } = {}) {
      const database = await openSqliteDatabase(location, {
        ...defaults,
        sqlite,
        turns: new Turns(),
        ...options,
      });
      closing.push(() => database.close());
      return database;
    },
    connect(path = file) {
      const connection = driver(path);
      let isOpen = true;
      const close = () => {
        if (isOpen) connection.close();
        isOpen = false;
      };
      closing.push(close);
      return { ...connection, close };
    },
  };
  try {
    await test(bench);
  } finally {
    for (const close of closing.reverse()) await close();
  }
}

const defaults: Omit<SqliteOptions, "turns" | "sqlite"> = {
  durability: "full",
  busyTimeoutMs: 10_000,
  growWal: false,
  clock: systemClock,
  random: systemRandom,
};

/** Loads the driver for a SQLite of the user's own, if that takes no download; says aloud why not otherwise. */
async function loadFfiHere(): Promise<OpenSqlite | undefined> {
  try {
    if (Deno.env.get("DENO_SQLITE_PATH") === undefined) {
      throw new Error("set DENO_SQLITE_PATH to a shared library of SQLite to run them");
    }
    return await loadFfi();
  } catch (error) {
    console.log(`Tests of the FFI driver are skipped: ${(error as Error).message}`);
    return undefined;
  }
}
