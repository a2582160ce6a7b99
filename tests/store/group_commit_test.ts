import { type Context, Engine, workflow } from "@stepwell/stepwell";
import { assertEquals, assertLessOrEqual } from "@std/assert";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { countCommits } from "../write_ahead_log.ts";
import { testEachDriver } from "./each_driver.ts";

testEachDriver("batches that are written at once share one commit", async ({ open, file }) => {
  const database = await open();
  await database.write([{ sql: "CREATE TABLE t (value)", params: [] }]);
  const before = countCommits(file);
  await Promise.all(
    Array.from(
      { length: 500 },
      (_, i) => database.write([{ sql: "INSERT INTO t (value) VALUES (?)", params: [i] }]),
    ),
  );
  assertEquals(countCommits(file) - before, 1);
  await database.write([{ sql: "INSERT INTO t (value) VALUES ('one more')", params: [] }]);
  assertEquals(countCommits(file) - before, 2);
});

testEachDriver("more than 2,000 batches take more than one commit", async ({ open, file }) => {
  const database = await open();
  await database.write([{ sql: "CREATE TABLE t (value)", params: [] }]);
  const before = countCommits(file);
  await Promise.all(
    Array.from(
      { length: 2_001 },
      (_, i) => database.write([{ sql: "INSERT INTO t (value) VALUES (?)", params: [i] }]),
    ),
  );
  assertEquals(countCommits(file) - before, 2);
});

/** Runs a workflow in an engine of its own. @returns how many commits that took, from its start to its outcome */
async function commitsOf(run: (ctx: Context) => Promise<unknown>, workflows = 1): Promise<number> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file, { clock: new ManualClock() });
  const before = countCommits(file);
  const counted = workflow("counted", run);
  await Promise.all(Array.from({ length: workflows }, () => engine.run(counted)));
  return countCommits(file) - before;
}

Deno.test("a workflow of N quick steps takes N + 2 commits at most", async () => {
  for (const steps of [0, 1, 20]) {
    const commits = await commitsOf(async (ctx) => {
      for (let i = 0; i < steps; i++) await ctx.step("quick", () => Promise.resolve(i));
    });
    assertLessOrEqual(commits, steps + 2);
  }
});

Deno.test("a step that fails, is slow or needs a turn takes no more commits than a quick one", async () => {
  const commits = await commitsOf(async (ctx) => {
    await ctx.step("failing", () => Promise.reject(new Error("No"))).catch(() => {});
    await ctx.step("later", () => new Promise((resolve) => setTimeout(resolve, 1)));
    await ctx.step("rich", () => new Date(0));
  });
  assertLessOrEqual(commits, 3 + 2);
});

Deno.test("an at-most-once step takes one commit more", async () => {
  const commits = await commitsOf(async (ctx) => {
    await ctx.step("careful", () => 1, { semantics: "at-most-once" });
  });
  assertLessOrEqual(commits, 1 + 2 + 1);
});

Deno.test("branches whose steps end together share a commit", async () => {
  const commits = await commitsOf((ctx) =>
    ctx.all(Array.from({ length: 200 }, () => (ctx: Context) => ctx.step("branch", () => 1)))
  );
  assertLessOrEqual(commits, 1 + 2);
});

Deno.test("workflows that run at once share their commits", async () => {
  const alone = 5 + 2;
  const commits = await commitsOf(async (ctx) => {
    for (let i = 0; i < 5; i++) await ctx.step("quick", () => Promise.resolve(i));
  }, 200);
  assertLessOrEqual(commits, 4 * alone);
});

Deno.test("a step is written down as running once it has run for a while, in a commit of its own", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock });
  const go = Promise.withResolvers<void>();
  let begun = false;
  const slow = workflow("slow", (ctx) =>
    ctx.step("slow", () => {
      begun = true;
      return go.promise;
    }));
  const handle = await engine.start(slow);
  await eventually(() => begun);
  const before = countCommits(file);
  clock.advance(99);
  assertEquals((await engine.get(handle.id))!.steps, []);
  clock.advance(1);
  await eventually(async () => (await engine.get(handle.id))!.steps[0]?.status === "running");
  assertEquals(countCommits(file) - before, 1);
  go.resolve();
  await handle.result();
});
