import { StatementError } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Database, OpenTransaction, SqlParameter } from "../../engine/store/database.ts";
import { testEachDriver } from "./each_driver.ts";

function begin(database: Database): Promise<OpenTransaction> {
  return database.begin({ stream: undefined, timeoutMs: 60_000, key: undefined });
}

testEachDriver("a number means the same to SQL, whichever driver binds it", async ({ open }) => {
  const transaction = await begin(await open());
  const meaning = async (value: SqlParameter) =>
    Object.values((await transaction.all("SELECT typeof(?), ? / 2, ? || ''", [value, value, value]))[0]!);
  const cases: [SqlParameter, unknown[]][] = [
    [123, ["integer", 61, "123"]],
    [-7, ["integer", -3, "-7"]],
    [0, ["integer", 0, "0"]],
    [-0, ["integer", 0, "0"]],
    [2 ** 31, ["integer", 2 ** 30, "2147483648"]],
    [2 ** 53 - 1, ["integer", 2 ** 52 - 1, "9007199254740991"]],
    [9n, ["integer", 4, "9"]],
    [0.5, ["real", 0.25, "0.5"]],
  ];
  for (const [value, means] of cases) assertEquals(await meaning(value), means);
  assertEquals((await transaction.all("SELECT typeof(?) AS type", [Infinity]))[0], { type: "real" });
  transaction.rollback();
});

testEachDriver("a number too large to be an integer is a real, or refused", async ({ open, sqlite }) => {
  const transaction = await begin(await open());
  for (const value of [2 ** 53, 6.02e23, -1e300]) {
    const read = () => transaction.all("SELECT ? AS value, typeof(?) AS type", [value, value]);
    if (sqlite === "ffi") await assertRejects(read, StatementError, "as a real");
    else assertEquals(await read(), [{ value, type: "real" }]);
  }
  transaction.rollback();
});

testEachDriver("a text that would not come back whole is refused as a parameter", async ({ open }) => {
  const transaction = await begin(await open());
  await transaction.run("CREATE TABLE t (value)", []);
  const refused: [string, found: string][] = [
    ["default\0/Users/ada", "parameter 2: wanted a text of whole characters without NUL, found a NUL at 7"],
    ["\ud83d", "found half a character at 0"],
    ["ab\udc00", "found half a character at 2"],
  ];
  for (const [text, found] of refused) {
    await assertRejects(() => transaction.run("INSERT INTO t VALUES (? || ?)", ["", text]), TypeError, found);
    await assertRejects(() => transaction.all("SELECT ?, ?", [1, text]), TypeError, found);
  }
  const kept = ["", "日本 💴 é", "\ufffd", "\ufeffafter a mark"];
  for (const text of kept) await transaction.run("INSERT INTO t VALUES (?)", [text]);
  assertEquals((await transaction.all("SELECT value FROM t", [])).map(({ value }) => value), kept);
  assertEquals(await transaction.all("SELECT count(*) AS n FROM t", []), [{ n: 4 }]);
  transaction.rollback();
});

testEachDriver("a text that SQL makes and that is not read whole is refused, and named", async ({ open }) => {
  const transaction = await begin(await open());
  await transaction.run("CREATE TABLE t (id INTEGER PRIMARY KEY, value)", []);
  await transaction.run("INSERT INTO t VALUES (1, 'a'), (2, 'b' || char(0) || 'c'), (3, 'd')", []);
  await transaction.run("INSERT INTO t VALUES (4, CAST(x'61ff62' AS TEXT))", []);
  const cut = [
    "SELECT value FROM t WHERE id = ?",
    'SELECT id, value AS "a b" FROM t WHERE id <= ? ORDER BY id DESC;',
    "WITH q AS (SELECT * FROM t) SELECT * FROM q WHERE id = ?",
    "SELECT 'x' || char(0) || ?",
    `SELECT CAST(x'610062' AS TEXT) || '"}' || ?`,
  ];
  for (const sql of cut) {
    const error = await assertRejects(() => transaction.all(sql, [2]), StatementError, "a text with a NUL");
    assert(error.message.includes("CAST(… AS BLOB)"));
  }
  await assertRejects(
    () => transaction.all("SELECT value FROM t WHERE id = 4", []),
    StatementError,
    "a text with bytes that are no characters",
  );
  assertEquals(await transaction.all("SELECT CAST(value AS BLOB) AS v FROM t WHERE id = 2", []), [
    { v: Uint8Array.of(98, 0, 99) },
  ]);
  assertEquals((await transaction.all("SELECT value FROM t WHERE id % 2 ORDER BY 1 DESC", [])).length, 2);
  // What is refused has not spoilt the transaction.
  assertEquals(transaction.failure, undefined);
  transaction.rollback();
});

testEachDriver("SQL with characters beyond ASCII does what it says", async ({ open }) => {
  const transaction = await begin(await open());
  await transaction.run('CREATE TABLE "konten" (id INTEGER PRIMARY KEY, "größe" TEXT)', []);
  for (const id of [1, 12, 123]) await transaction.run("INSERT INTO konten VALUES (?, 'x')", [id]);
  assertEquals(await transaction.run("UPDATE konten SET \"größe\" = 'é日本💴' WHERE id = 123", []), 1);
  assertEquals(await transaction.all('SELECT id, "größe" FROM konten /* ü */ ORDER BY id', []), [
    { id: 1, größe: "x" },
    { id: 12, größe: "x" },
    { id: 123, größe: "é日本💴" },
  ]);
  await assertRejects(() => transaction.all("SELECT '\ud83d'", []), TypeError, "found half of one");
  transaction.rollback();
});
