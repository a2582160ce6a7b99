import { Engine, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { SCHEMA_VERSION } from "../../engine/store/schema.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const VERSION_1 = await Deno.readTextFile(new URL("./version_1.sql", import.meta.url));
const VERSION_2 = await Deno.readTextFile(new URL("./version_2.sql", import.meta.url));
const VERSION_3 = await Deno.readTextFile(new URL("./version_3.sql", import.meta.url));
/** An hour after the file was written. */
const LATER = Date.UTC(2026, 0, 1, 1);

/** The workflows of the file, with what steps are run now. */
function workflows(steps: string[]) {
  const note = <T>(step: string, value: T): T => {
    steps.push(step);
    return value;
  };
  const quick = workflow("quick", async (ctx, input: { n: number }) => {
    const a = await ctx.step("a", () => note("a", input.n));
    const b = await ctx.step("b", () => note("b", new Map([[1, 2]])));
    return a + b.get(1)!;
  });
  const failing = workflow("failing", async (ctx) => {
    await ctx.step("first", () => void steps.push("first"));
    return await ctx.step("second", () => note("second", "mended"));
  });
  const held = workflow("held", async (ctx) => {
    const first = await ctx.step("first", () => "another first");
    const second = await ctx.step("second", () => note("second", "second"));
    // What version 1 did not have.
    return [first, second, await ctx.waitForSignal("s")];
  });
  const flaky = workflow("flaky", (ctx) =>
    ctx.step("step", ({ attempt }) => {
      steps.push(`attempt ${attempt}`);
      return attempt;
    }, { retry: { maxAttempts: 3, initialInterval: "1h", maxInterval: "1h" } }));
  return { quick, failing, held, flaky };
}

Deno.test("a file of schema version 1 is brought up to date, and its workflows go on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  execute(file, VERSION_1);
  const steps: string[] = [];
  const { quick, failing, held, flaky } = workflows(steps);
  const clock = new ManualClock(LATER);
  await using engine = await Engine.open(file, { clock, workflows: [quick, failing, held, flaky] });
  assertEquals(query(file, "PRAGMA user_version"), [{ user_version: SCHEMA_VERSION }]);
  assertEquals((await engine.list()).map(({ id, status }) => [id, status]), [
    ["backoff", "running"],
    ["running", "running"],
    ["failed", "failed"],
    ["completed", "completed"],
  ]);

  assertEquals(await engine.run(quick, { id: "completed", input: { n: 1 } }), 3);
  await assertRejects(() => engine.run(failing, { id: "failed" }), RangeError, "broken");
  assertEquals(steps, []);
  assertEquals(await (await engine.retry("failed")).result(), "mended");
  assertEquals(steps.splice(0), ["second"]);

  await engine.signal("running", "s", "signalled");
  assertEquals(await engine.run(held, { id: "running" }), ["first", "second", "signalled"]);
  assertEquals(steps.splice(0), ["second"]);
  assertEquals(await engine.run(flaky, { id: "backoff" }), 2);
  assertEquals(steps.splice(0), ["attempt 2"]);
});

Deno.test("a file of schema version 2 is brought up to date, and what waits in it goes on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  execute(file, VERSION_2);
  const steps: string[] = [];
  const two = workflow("two", { version: "1" }, async (ctx, n: number) => {
    const first = await ctx.step("first", () => steps.push("first"));
    return [first, n, await ctx.waitForSignal("go")];
  });
  const sleeper = workflow("sleeper", async (ctx) => {
    await ctx.step("before", () => void steps.push("before"));
    await ctx.sleep("1h");
    return await ctx.step("after", () => {
      steps.push("after");
      return "a";
    });
  });
  const parent = workflow("parent", async (ctx) => await ctx.child(two, { id: "child", input: 3 }));
  const clock = new ManualClock(LATER);
  await using engine = await Engine.open(file, { clock, workflows: [two, sleeper, parent] });
  assertEquals(query(file, "PRAGMA user_version"), [{ user_version: SCHEMA_VERSION }]);
  engine.work();
  await engine.signal("two", "go", "now");
  await engine.signal("child", "go", "then");
  assertEquals(await engine.handle("two").result(), [2, 2, "now"]);
  assertEquals(await engine.handle("parent").result(), [3, 3, "then"]);
  await eventually(async () => {
    clock.advance(60_000);
    return await engine.handle("sleeper").status() === "completed";
  });
  assertEquals(steps, ["after"]);
  await engine.enqueue(two, { id: "new", queue: "q", input: 4 });
  await engine.signal("new", "go");
  assertEquals(await engine.handle("new").result(), [2, 4, undefined]);
});

Deno.test("a file of schema version 3 is brought up to date, and its queues, schedules and waits go on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  execute(file, VERSION_3);
  const two = workflow("two", { version: "1" }, async (ctx, n: number) => {
    const first = await ctx.step("first", () => -1);
    return [first, n, await ctx.waitForSignal<string>("go")];
  });
  const sleeper = workflow("sleeper", async (ctx) => {
    await ctx.step("before", () => {});
    await ctx.sleep("1h");
    return await ctx.step("after", () => "a");
  });
  const done = workflow("done", async (ctx) => {
    await ctx.publish("state", "x");
    await ctx.emit("s", 1);
    return await ctx.step("a", () => new Map([[1, 2]]));
  });
  const broken = workflow("broken", (ctx) => ctx.step("a", () => "mended"));
  const held = workflow("held", async (ctx, name: string) => {
    const first = await ctx.step("first", () => name);
    await ctx.step("held", () => {});
    return first;
  });
  const clock = new ManualClock(LATER);
  await using engine = await Engine.open(file, { clock, workflows: [two, sleeper, done, broken, held] });
  assertEquals(query(file, "PRAGMA user_version"), [{ user_version: SCHEMA_VERSION }]);
  assertEquals((await engine.queues()).map(({ name, depth, underWay }) => [name, depth, underWay]), [
    ["plain", 2, 1],
    ["rated", 1, 0],
    ["schedule:own", 0, 0],
    ["tenants", 2, 2],
  ]);
  assertEquals((await engine.schedules()).map(({ name, overlap }) => [name, overlap]), [
    ["hourly", "skip"],
    ["own", "queue"],
  ]);
  assertEquals(await engine.handle("done").result(), new Map([[1, 2]]));
  await assertRejects(() => engine.handle("broken").result(), RangeError, "broken");
  engine.work();
  await engine.signal("two", "go", "on");
  await engine.signal("deduplicated", "go", "on");
  await engine.retry("broken");
  await engine.resume("paused");
  const ids = [
    "two",
    "deduplicated",
    "a1",
    "a2",
    "a3",
    "b1",
    "broken",
    "paused",
    "sleeper",
    "delayed",
    "rated3",
  ];
  await eventually(async () => {
    clock.advance(60_000);
    const statuses = await Promise.all(ids.map((id) => engine.handle(id).status()));
    return statuses.every((status) => status === "completed");
  });
  assertEquals(await engine.handle("two").result(), [2, 2, "on"]);
  assertEquals(await engine.handle("deduplicated").result(), [5, 5, "on"]);
  for (const id of ["a1", "a2", "a3", "b1"]) assertEquals(await engine.handle(id).result(), id);
  assertEquals(await engine.handle("broken").result(), "mended");
  assertEquals(await engine.handle("foreign").status(), "pending");
  assertEquals((await engine.queues()).map(({ depth, underWay }) => [depth, underWay]), [
    [1, 0],
    [0, 0],
    [0, 0],
    [0, 0],
  ]);
});

for (const [version, text] of [[1, VERSION_1], [2, VERSION_2], [3, VERSION_3]] as const) {
  Deno.test(`a file of schema version ${version} that was brought up to date has the tables of a new one`, async () => {
    await using folder = temporaryFolder();
    const [old, fresh] = [folder.file("old.db"), folder.file("new.db")];
    execute(old, text);
    await (await Engine.open(old)).close();
    await (await Engine.open(fresh)).close();
    const columns = (file: string) =>
      query(
        file,
        `SELECT m.type, m.name, group_concat(c.name, ' ') AS columns FROM sqlite_schema m
       LEFT JOIN pragma_table_info(m.name) c GROUP BY m.name ORDER BY m.name`,
      );
    assertEquals(columns(old), columns(fresh));
  });
}

Deno.test("a file of schema version 1 that cannot be brought up to date stays as it was", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  execute(file, VERSION_1);
  // A table of somebody else's, under a name that the newer version needs.
  execute(file, "CREATE TABLE messages (mine TEXT)");
  const before = query(file, "SELECT * FROM sqlite_schema ORDER BY name");
  await assertRejects(() => Engine.open(file));
  assertEquals(query(file, "SELECT * FROM sqlite_schema ORDER BY name"), before);
  assertEquals(query(file, "PRAGMA user_version"), [{ user_version: 1 }]);
  execute(file, "DROP TABLE messages");
  await using engine = await Engine.open(file, { clock: new ManualClock(LATER) });
  assertEquals((await engine.list()).length, 4);
});
