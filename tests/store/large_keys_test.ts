import { Engine, workflow } from "@stepwell/stepwell";
import { assertEquals } from "@std/assert";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { testEachDriver } from "./each_driver.ts";

/** The first integer that JavaScript's numbers leave out, and the last that SQLite has. */
const KEYS = ["9007199254740993", "9223372036854775807", "-9007199254740993"];

testEachDriver(
  "the key of an inserted row is exact, and a text where a number cannot hold it",
  async (bench) => {
    const driver = bench.connect();
    driver.exec("CREATE TABLE t (key INTEGER PRIMARY KEY)");
    for (const key of ["1", "9007199254740991", ...KEYS]) {
      driver.run("INSERT INTO t VALUES (CAST(? AS INTEGER))", [key]);
      const found = driver.lastKey();
      assertEquals([String(found), typeof found], [
        key,
        Number.isSafeInteger(Number(key)) ? "number" : "string",
      ]);
      assertEquals(driver.all("SELECT count(*) AS n FROM t WHERE key = ?", [found]), [{ n: 1 }]);
    }
    await Promise.resolve();
  },
);

Deno.test("a workflow whose key is beyond JavaScript's integers goes on, and so do those that begin after it", async () => {
  for (const key of KEYS) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const waiting = workflow("waiting", async (ctx, n: number) => {
      const first = await ctx.step("first", () => n);
      return [first, await ctx.waitForSignal<string>("go"), await ctx.step("last", () => n + 1)];
    });
    const quick = workflow("quick", async (ctx, n: number) => {
      const first = await ctx.step("first", () => n);
      return [first, await ctx.step("second", () => n * 2)];
    });
    {
      await using engine = await Engine.open(file, { alwaysReplay: true });
      const handle = await engine.start(waiting, { id: "large", input: 7 });
      handle.result().catch(() => {});
      while ((await engine.get("large"))?.status !== "waiting") await new Promise((go) => setTimeout(go));
    }
    for (const table of ["checkpoints", "inputs", "workflows"]) {
      execute(file, `UPDATE ${table} SET workflow = ${key}`);
    }
    await using engine = await Engine.open(file, { workflows: [waiting, quick] });
    for (let n = 0; n < 3; n++) {
      assertEquals(await engine.run(quick, { id: `one-${n}`, input: n }), [n, n * 2]);
    }
    const many = Array.from({ length: 50 }, (_, n) => engine.run(quick, { id: `many-${n}`, input: n }));
    assertEquals(await Promise.all(many), many.map((_, n) => [n, n * 2]));
    await engine.signal("large", "go", "gone");
    const resumed = await engine.resume("large");
    assertEquals(await resumed.result(), [7, "gone", 8]);
    assertEquals(
      query(
        file,
        `SELECT w.status, count(*) AS n FROM workflows w WHERE 2 <= (
          SELECT count(*) FROM checkpoints c WHERE c.workflow = w.workflow) GROUP BY w.status`,
      ),
      [{ status: "completed", n: 54 }],
    );
  }
});
