import { StoreError, StoreOpenError } from "@stepwell/stepwell";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { migrate, schemaVersion } from "../../engine/store/migrate.ts";
import { MIGRATIONS } from "../../engine/store/migrations.ts";
import { SCHEMA_VERSION, TABLES } from "../../engine/store/schema.ts";
import type { SqliteDriver } from "../../engine/store/sqlite_driver.ts";
import { startChild } from "../child_process.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { testEachDriver } from "./each_driver.ts";

function schema(driver: SqliteDriver): unknown {
  return driver.all("SELECT type, name, sql FROM sqlite_schema ORDER BY name", []);
}

testEachDriver("TABLES is to the letter what the migrations lead to", async ({ connect, folder }) => {
  const driver = connect(folder.file("migrated.db"));
  for (const migration of MIGRATIONS) driver.exec(migration);
  const made = driver.all("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid", []);
  assertEquals(
    TABLES,
    `\n${made.map(({ sql }) => `${sql};\n`).join("")}INSERT INTO wal_growth VALUES (0);\n`,
  );
  assertEquals(MIGRATIONS.length, SCHEMA_VERSION);
  const fresh = connect(folder.file("fresh.db"));
  fresh.exec(TABLES);
  assertEquals(schema(fresh), schema(driver));
  assertEquals(fresh.all("SELECT * FROM wal_growth", []), driver.all("SELECT * FROM wal_growth", []));
  await Promise.resolve();
});

testEachDriver(
  "migrate() brings a new file to the schema, and changes nothing the second time",
  async ({ connect }) => {
    const driver = connect();
    assertEquals(schemaVersion(driver, "a.db"), 0);
    migrate(driver, "a.db");
    assertEquals(schemaVersion(driver, "a.db"), SCHEMA_VERSION);
    const before = schema(driver);
    migrate(driver, "a.db");
    assertEquals(schema(driver), before);
    await Promise.resolve();
  },
);

testEachDriver(
  "migrate() is one transaction: where it fails, wherever that is, nothing of it is there",
  async ({ connect, folder }) => {
    const reference = connect(folder.file("reference.db"));
    migrate(reference, "reference.db");
    // A statement may fail at each of its turns; the transaction then has everything before it in it.
    let failures = 0;
    for (let failing = 1;; failing++) {
      const driver = connect(folder.file(`${failing}.db`));
      let statements = 0;
      const failingDriver: SqliteDriver = {
        ...driver,
        exec(sql) {
          if (++statements === failing) throw new Error("The disk is gone");
          driver.exec(sql);
        },
      };
      try {
        migrate(failingDriver, "a.db");
      } catch (error) {
        assertEquals((error as Error).message, "The disk is gone");
        failures++;
      }
      if (statements < failing) break;
      if (driver.all("PRAGMA user_version", [])[0]!.user_version !== 0) {
        throw new Error(
          `Statement ${failing}`,
        );
      }
      try {
        driver.exec("ROLLBACK");
      } catch {
        // It has been rolled back.
      }
      assertEquals(schema(driver), []);
      migrate(driver, "a.db");
      assertEquals(schema(driver), schema(reference));
    }
    assertEquals(failures >= 4, true);
    await Promise.resolve();
  },
);

testEachDriver(
  "migrate() of a file that has no room leaves it as it was, and can be done once there is",
  async ({ connect }) => {
    const driver = connect();
    driver.exec("PRAGMA max_page_count = 3");
    assertThrows(() => migrate(driver, "a.db"), Error, "full");
    assertEquals([schema(driver), schemaVersion(driver, "a.db")], [[], 0]);
    driver.exec("PRAGMA max_page_count = 1000");
    migrate(driver, "a.db");
    assertEquals(schemaVersion(driver, "a.db"), SCHEMA_VERSION);
    await Promise.resolve();
  },
);

testEachDriver("a new file may be opened many times at once", async ({ open }) => {
  const databases = await Promise.all(Array.from({ length: 10 }, () => open()));
  for (const database of databases) {
    assertEquals(await database.read({ sql: "PRAGMA user_version", params: [] }), [{
      user_version: SCHEMA_VERSION,
    }]);
  }
});

testEachDriver(
  "a schema that another process makes newer stops nobody in the middle, but refuses who opens it",
  async ({ open, connect }) => {
    const database = await open();
    connect().exec(`PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
    await database.write([{ sql: "UPDATE wal_growth SET counter = 1", params: [] }]);
    const error = await assertRejects(() => open(), StoreOpenError);
    assertEquals(error instanceof StoreError, true);
  },
);

Deno.test("a new file may be opened by several processes at once", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await Deno.writeTextFile(
    folder.file("opener.ts"),
    `import { Engine, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
     console.log("ready");
     await Deno.stdin.read(new Uint8Array(9));
     const engine = await Engine.open(${JSON.stringify(file)});
     const quick = workflow("quick", (ctx) => ctx.step("step", () => "done"));
     console.log("result " + await engine.run(quick, { id: Deno.args[0] }));
     await engine.close();`,
  );
  const openers = ["one", "two", "three"].map((id) => startChild(`file://${folder.file("opener.ts")}`, id));
  try {
    await Promise.all(openers.map((opener) => opener.line("ready")));
    await Promise.all(openers.map((opener) => opener.say("go")));
    for (const opener of openers) assertEquals(await opener.line("result "), "done");
    for (const opener of openers) assertEquals((await opener.ended()).code, 0);
  } finally {
    for (const opener of openers) await opener[Symbol.asyncDispose]();
  }
  assertEquals(query(file, "SELECT count(*) AS n FROM workflows WHERE status = 'completed'"), [{ n: 3 }]);
});
