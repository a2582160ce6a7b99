import { DatabaseSync } from "node:sqlite";
import { StoreOpenError } from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { openReadOnly } from "../../engine/store/open.ts";
import { migrate } from "../../engine/store/migrate.ts";
import { checkSchema, readSchema, schemaChecksum } from "../../engine/store/schema_check.ts";
import { SCHEMA_CHECKSUM } from "../../engine/store/schema.ts";
import { type Bench, testEachDriver } from "./each_driver.ts";

/** Makes a store and changes it; closed, so that all of it is in the file. */
async function makeStore({ open, file }: Bench, sql: string): Promise<void> {
  await (await open()).close();
  // By default, no program may change the text of a schema; another one's may.
  const db = new DatabaseSync(file, { defensive: false } as object);
  db.exec("PRAGMA writable_schema = ON");
  db.exec(sql);
  db.close();
}

async function assertRefused({ open, file, sqlite }: Bench, message: RegExp): Promise<void> {
  for (const opening of [() => open(), () => openReadOnly(file, { sqlite })]) {
    const error = await assertRejects(opening, StoreOpenError);
    assertMatch(error.message, message);
  }
}

testEachDriver("SCHEMA_CHECKSUM is that of a new file", async ({ open, connect }) => {
  await (await open()).close();
  assertEquals(SCHEMA_CHECKSUM, schemaChecksum(connect()));
});

for (const version of [1, 2, 3]) {
  testEachDriver(
    `a file of version ${version} that was brought up to date has the schema of a new one`,
    async ({ open, connect }) => {
      const old = connect();
      old.exec(await Deno.readTextFile(new URL(`./version_${version}.sql`, import.meta.url)));
      old.close();
      await (await open()).close();
      assertEquals(schemaChecksum(connect()), SCHEMA_CHECKSUM);
      await (await open()).close();
    },
  );
}

testEachDriver("each of the store's own tables, views and indexes has to be there", async ({ connect }) => {
  const whole = connect(":memory:");
  migrate(whole, "a.db");
  for (const { type, name } of readSchema(whole)) {
    const driver = connect(":memory:");
    migrate(driver, "a.db");
    driver.exec(`DROP ${type} ${name}`);
    assertThrows(
      () => checkSchema(driver, "a.db", connect),
      StoreOpenError,
      `Cannot open "a.db": its ${type} "${name}" is missing; restore the file from a backup`,
    );
    driver.close();
  }
  await Promise.resolve();
});

testEachDriver(
  "a table, an index or a view that was changed is refused, with what it was",
  async (bench) => {
    const changes: [string, RegExp][] = [
      [
        "UPDATE sqlite_schema SET sql = replace(sql, 'status TEXT NOT NULL', 'status TEXT') WHERE name = 'workflows'",
        /its table "workflows" was changed: wanted ".*status TEXT NOT NULL.*", found ".*status TEXT,.*"; restore/,
      ],
      [
        "DROP INDEX workflows_due; CREATE INDEX workflows_due ON workflows (due_at)",
        /its index "workflows_due" was changed: .*; .* drop the index "workflows_due" if it is there, and run: CREATE INDEX/,
      ],
      ["DROP VIEW steps; CREATE VIEW steps AS SELECT 1 AS one", /its view "steps" was changed: /],
      [
        "DROP INDEX workflows_due; CREATE TABLE workflows_due (theirs)",
        /its index "workflows_due" is missing/,
      ],
      [
        "DELETE FROM sqlite_schema WHERE name = 'queues'",
        /wanted a schema as Stepwell makes it, found one that SQLite/,
      ],
      ["ALTER TABLE workflows ADD COLUMN theirs", /its table "workflows" was changed: /],
    ];
    for (const [sql, message] of changes) {
      await makeStore(bench, sql);
      await assertRefused(bench, message);
      await Deno.remove(bench.file);
    }
  },
);

testEachDriver(
  "tables, indexes and triggers of others, and another layout, are left alone",
  async (bench) => {
    await makeStore(
      bench,
      `CREATE TABLE theirs (a); CREATE INDEX of_theirs ON theirs (a);
     CREATE INDEX theirs_on_ours ON workflows (name);
     CREATE TRIGGER theirs_too AFTER INSERT ON workflows BEGIN INSERT INTO theirs VALUES (NEW.workflow_id); END;
     UPDATE sqlite_schema SET sql = replace(sql, ' -- the caller', '   /* a comment */ -- the caller')
     WHERE name = 'workflows'`,
    );
    const database = await bench.open();
    assertEquals(await database.read({ sql: "SELECT count(*) AS n FROM workflows", params: [] }), [{ n: 0 }]);
    await (await openReadOnly(bench.file, { sqlite: bench.sqlite })).close();
  },
);
