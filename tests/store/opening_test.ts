import { StoreOpenError } from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertRejects } from "@std/assert";
import { SCHEMA_VERSION } from "../../engine/store/schema.ts";
import { type Bench, testEachDriver } from "./each_driver.ts";

/** Makes a file with these statements; closed, so that all of it is in the file. */
function makeFile({ connect }: Bench, sql: string): void {
  const driver = connect();
  driver.exec(sql);
  driver.close();
}

/** Asserts that a file cannot be opened, and that it and its folder are left as they were. */
async function assertRefused({ open, file, folder }: Bench, message: string | RegExp): Promise<void> {
  const before = [folder.names, Deno.readFileSync(file)];
  const error = await assertRejects(() => open(), StoreOpenError);
  if (typeof message === "string") assertEquals(error.message, message);
  else assertMatch(error.message, message);
  assertEquals([folder.names, Deno.readFileSync(file)], before);
}

testEachDriver("a folder in the place of the file is refused", async ({ open, file }) => {
  await Deno.mkdir(file);
  const error = await assertRejects(() => open(), StoreOpenError);
  assertEquals(error.message, `Cannot open "${file}": wanted a file, found a folder`);
});

testEachDriver("a folder that does not exist is named, and not made", async ({ open, folder }) => {
  const location = folder.file("nowhere/deep/a.db");
  const error = await assertRejects(() => open({ location }), StoreOpenError);
  assertEquals(
    error.message,
    `Cannot open "${location}": wanted a file in an existing folder, found no folder "${
      folder.file("nowhere/deep")
    }"`,
  );
  assertEquals(folder.names, []);
});

testEachDriver("a file in the place of the folder is refused", async ({ open, folder }) => {
  await Deno.writeTextFile(folder.file("file"), "text");
  await assertRejects(() => open({ location: folder.file("file/a.db") }), StoreOpenError, "Cannot open");
});

testEachDriver("a file that is no database is refused, and left byte for byte as it was", async (bench) => {
  const contents = ["a text file\n", "SQLite format 2\u0000" + "x".repeat(5_000), "x".repeat(100_000)];
  for (const content of contents) {
    await Deno.writeTextFile(bench.file, content);
    await assertRefused(
      bench,
      /^Cannot open ".*a\.db": wanted a SQLite file, found something else \(file is not a database\)$/,
    );
  }
});

testEachDriver(
  "a database whose pages are damaged is refused, and left byte for byte as it was",
  async (bench) => {
    makeFile(bench, "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
    const content = Deno.readFileSync(bench.file);
    content.fill(0xa5, 100, 4_096);
    Deno.writeFileSync(bench.file, content);
    await assertRefused(bench, /wanted a SQLite file, found something else/);
  },
);

testEachDriver("an empty file becomes a store", async ({ open, file }) => {
  await Deno.writeTextFile(file, "");
  const database = await open();
  assertEquals(await database.read({ sql: "SELECT count(*) AS n FROM workflows", params: [] }), [{ n: 0 }]);
});

testEachDriver("another application's file is refused, and left byte for byte as it was", async (bench) => {
  const marks = [
    "PRAGMA application_id = 12345",
    "PRAGMA user_version = 1",
    "PRAGMA application_id = 1; PRAGMA user_version = 7",
  ];
  for (const journal of ["delete", "wal"]) {
    for (const mark of marks) {
      makeFile(bench, `PRAGMA journal_mode = ${journal}; ${mark}; CREATE TABLE workflows (theirs)`);
      await assertRefused(
        bench,
        /^Cannot open ".*": wanted a new file or a Stepwell store, found the SQLite file of another application \(.*\)$/,
      );
      await Deno.remove(bench.file);
    }
  }
});

testEachDriver(
  "a user's own tables may be in the file, and are left alone",
  async ({ open, connect, file }) => {
    const theirs = connect();
    theirs.exec("CREATE TABLE orders (id INTEGER PRIMARY KEY, total); INSERT INTO orders VALUES (1, 9.5)");
    theirs.exec("CREATE INDEX by_total ON orders (total)");
    theirs.close();
    const database = await open();
    assertEquals(await database.read({ sql: "SELECT * FROM orders", params: [] }), [{ id: 1, total: 9.5 }]);
    assertEquals(await database.read({ sql: "SELECT count(*) AS n FROM workflows", params: [] }), [{ n: 0 }]);
    assertEquals(file.endsWith("a.db"), true);
  },
);

testEachDriver(
  "a user's table of a name that the store needs is refused, and nothing is changed",
  async (bench) => {
    for (const name of ["workflows", "checkpoints", "executors", "steps"]) {
      makeFile(bench, `CREATE TABLE ${name} (theirs); INSERT INTO ${name} VALUES (1)`);
      await assertRefused(bench, new RegExp(name));
      await Deno.remove(bench.file);
    }
  },
);

testEachDriver("a store of a newer schema is refused, and left byte for byte as it was", async (bench) => {
  await (await bench.open()).close();
  makeFile(bench, `PRAGMA user_version = ${SCHEMA_VERSION + 1}`);
  await assertRefused(
    bench,
    `Cannot open "${bench.file}": wanted schema version ${SCHEMA_VERSION} or older, found ${
      SCHEMA_VERSION + 1
    }, ` +
      `which a newer Stepwell has written`,
  );
});

testEachDriver("a store that was opened before is opened again with what is in it", async ({ open }) => {
  for (let i = 0; i < 3; i++) {
    const database = await open();
    assertEquals(await database.read({ sql: "SELECT counter FROM wal_growth", params: [] }), [{
      counter: i,
    }]);
    await database.write([{ sql: "UPDATE wal_growth SET counter = counter + 1", params: [] }]);
    await database.close();
  }
});

testEachDriver("every setting is what it has to be, and is what the file says", async ({ open }) => {
  const settings = async (options: Parameters<typeof open>[0]) => {
    const database = await open(options);
    const names = [
      "journal_mode",
      "synchronous",
      "busy_timeout",
      "application_id",
      "user_version",
      "wal_autocheckpoint",
    ];
    const values = await Promise.all(names.map(async (name) => {
      const [row] = await database.read({ sql: `PRAGMA ${name}`, params: [] });
      return Object.values(row!)[0];
    }));
    await database.close();
    return values;
  };
  const [WAL, FULL, NORMAL] = ["wal", 2, 1];
  assertEquals(await settings({}), [WAL, FULL, 0, 0x53747057, SCHEMA_VERSION, 1_000]);
  assertEquals(await settings({ durability: "normal" }), [WAL, NORMAL, 0, 0x53747057, SCHEMA_VERSION, 1_000]);
  assertEquals(await settings({ growWal: true }), [WAL, FULL, 0, 0x53747057, SCHEMA_VERSION, 1_000]);
  assertEquals(await settings({ growWal: true, durability: "normal" }), [
    WAL,
    NORMAL,
    0,
    0x53747057,
    SCHEMA_VERSION,
    1_000,
  ]);
  assertEquals((await settings({ location: ":memory:" })).slice(0, 2), ["memory", FULL]);
});

testEachDriver(
  "a file in rollback mode is changed to the write-ahead log",
  async ({ open, connect, file }) => {
    await (await open()).close();
    const other = connect();
    other.exec("PRAGMA journal_mode = delete");
    other.close();
    await open();
    assertEquals(await Deno.stat(`${file}-wal`).then(({ isFile }) => isFile), true);
  },
);

testEachDriver(
  "one file is not opened by two copies of SQLite in one process",
  async ({ open, folder, sqlite, file }) => {
    const other = sqlite === "ffi" ? "builtin" : "ffi";
    await open();
    await Deno.symlink(folder.path, `${folder.path}-link`);
    try {
      for (const location of [file, `${folder.path}/./a.db`, `${folder.path}-link/a.db`]) {
        await assertRejects(
          () => open({ location, sqlite: other }),
          StoreOpenError,
          other === "ffi" ? "" : "two copies of SQLite",
        );
      }
    } finally {
      await Deno.remove(`${folder.path}-link`);
    }
  },
);
