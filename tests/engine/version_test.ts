import {
  CancelledError,
  type Context,
  Engine,
  NonDeterminismError,
  UnknownVersionError,
  workflow,
  WorkflowBlockedError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** A version of a workflow that asks for a step of its own. */
function order(version: string | undefined, crash = new Crash(0)) {
  const run = async (ctx: Context) => {
    const first = await ctx.step(`first of ${version}`, () => version);
    await ctx.step("wait", () => crash.here());
    return `${first} by ${version}`;
  };
  return version === undefined ? workflow("order", run) : workflow("order", { version }, run);
}

/** A version of a workflow that sleeps for three days between two steps of its own. */
function sleeper(version: string) {
  return workflow("sleeper", { version }, async (ctx) => {
    const before = await ctx.step(`before ${version}`, () => version);
    await ctx.sleep("3d");
    return await ctx.step(`after ${version}`, () => `${before}, ${version}`);
  });
}

const THREE_DAYS_MS = 3 * 86_400_000;

Deno.test("workflow() refuses a version that is no name", () => {
  const define = (version: unknown) => workflow("w", { version: version as string }, () => {});
  assertThrows(() => define(2), TypeError, 'the version of workflow "w"');
  assertThrows(() => define(""), RangeError, "wanted 1 to 256 characters");
  assertThrows(() => define("a\n"), TypeError, "control characters");
  assertEquals(define("2").version, "2");
});

Deno.test("Engine.open() takes several versions of one name, but none twice", async () => {
  await (await Engine.open(":memory:", { workflows: [order("1"), order("2"), order(undefined)] })).close();
  await assertRejects(
    () => Engine.open(":memory:", { workflows: [order("1"), order("1")] }),
    TypeError,
    'two of them are named "order" and have the version "1"',
  );
});

Deno.test("start() stores the version", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  await engine.run(order("1"), { id: "a" });
  await engine.run(order(undefined), { id: "b" });
  assertEquals(query(file, "SELECT version FROM inputs ORDER BY workflow"), [{ version: "1" }, {
    version: null,
  }]);
  assertEquals((await engine.get("a"))!.version, "1");
  assertEquals("version" in (await engine.get("b"))!, false);
});

Deno.test("run() goes on with the version that a workflow was started with", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  await using engine = await Engine.open(file, { workflows: [order("2"), order("1")] });
  assertEquals(await engine.run(order("2"), { id: "a" }), "1 by 1");
  assertEquals(await engine.run(order("2"), { id: "b" }), "2 by 2");
});

Deno.test("run() needs no registration for the version that it is given", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  await using engine = await Engine.open(file, { workflows: [order("2")] });
  assertEquals(await engine.run(order("1"), { id: "a" }), "1 by 1");
});

Deno.test("resume() goes on with the version that a workflow was started with", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  await using engine = await Engine.open(file, { workflows: [order("2"), order("1")] });
  assertEquals(await (await engine.resume("a")).result(), "1 by 1");
});

Deno.test("a workflow whose version is not here is blocked, and says which are and what to do", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  await using engine = await Engine.open(file, { workflows: [order("2"), order(undefined)] });
  for (const take of [() => engine.run(order("3"), { id: "a" }), () => engine.resume("a")]) {
    const error = await assertRejects(take, UnknownVersionError);
    assert(error instanceof WorkflowBlockedError);
    assertEquals([error.workflow, error.version], ["order", "1"]);
    assertEquals(error.known.slice(0, 2), ["2", null]);
    assertMatch(
      error.message,
      /was started with version "1" of "order", and this engine has only version "2", the code without a version.*Add/,
    );
  }
  assertEquals((await engine.get("a"))!.status, "blocked");
  assertEquals((await engine.get("a"))!.error!.name, "UnknownVersionError");
});

Deno.test("code without a version is a version of its own", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order(undefined, crash), { id: "a" });
  await using engine = await Engine.open(file, { workflows: [order("2")] });
  const error = await assertRejects(() => engine.run(order("2"), { id: "a" }), UnknownVersionError);
  assertEquals([error.version, error.known], [undefined, ["2"]]);
});

Deno.test("an unknown version's block lifts itself where an engine has it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(order("2"), { id: "a" }), UnknownVersionError);
    await assertRejects(() => engine.run(order("2"), { id: "a" }), UnknownVersionError);
  }
  await using engine = await Engine.open(file, { workflows: [order("1"), order("2")] });
  assertEquals(await engine.run(order("2"), { id: "a" }), "1 by 1");
});

Deno.test("another block than that of an unknown version does not lift itself", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, order("1", crash), { id: "a" });
  const changed = workflow("order", { version: "1" }, (ctx) => ctx.step("changed", () => 1));
  await using engine = await Engine.open(file);
  await assertRejects(() => engine.run(changed, { id: "a" }), NonDeterminismError);
  await assertRejects(() => engine.run(order("1"), { id: "a" }), NonDeterminismError);
});

Deno.test("retry() leaves a failed workflow as it is where its version is not here", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  let broken = true;
  const failing = workflow("order", { version: "1" }, (ctx) =>
    ctx.step("charge", () => {
      if (broken) throw new RangeError("No");
      return "charged";
    }));
  {
    await using engine = await Engine.open(file, { workflows: [order("2")] });
    await assertRejects(() => engine.run(failing, { id: "a" }), RangeError);
    await assertRejects(() => engine.retry("a"), UnknownVersionError);
    assertEquals(await engine.handle("a").status(), "failed");
  }
  broken = false;
  await using engine = await Engine.open(file, { workflows: [order("2"), failing] });
  assertEquals(await (await engine.retry("a")).result(), "charged");
});

Deno.test("a workflow that waits goes on with its own version when it wakes", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(sleeper("1"), { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  await using engine = await Engine.open(file, { clock, workflows: [sleeper("1"), sleeper("2")] });
  const handle = await engine.start(sleeper("2"), { id: "a" });
  assertEquals(await handle.status(), "waiting");
  clock.advance(THREE_DAYS_MS);
  assertEquals(await handle.result(), "1, 1");
});

Deno.test("a workflow that waits is left to others where its version is not here, until it is due", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(sleeper("1"), { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  await using engine = await Engine.open(file, { clock, workflows: [sleeper("2")] });
  await assertRejects(() => engine.run(sleeper("2"), { id: "a" }), UnknownVersionError);
  assertEquals(await engine.handle("a").status(), "waiting");
  clock.advance(THREE_DAYS_MS);
  await assertRejects(() => engine.run(sleeper("2"), { id: "a" }), UnknownVersionError);
  assertEquals(await engine.handle("a").status(), "blocked");
});

Deno.test("cancel() of a workflow that waits does not block it where its version is not here", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(sleeper("1"), { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  {
    await using engine = await Engine.open(file, { clock, workflows: [sleeper("2")] });
    await engine.cancel("a");
    assertEquals(await engine.handle("a").status(), "waiting");
  }
  await using engine = await Engine.open(file, { clock, workflows: [sleeper("2"), sleeper("1")] });
  await assertRejects(() => engine.run(sleeper("2"), { id: "a" }), CancelledError);
});

Deno.test("a child goes on with the version that it was started with", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const parent = (version: string, crash?: Crash) =>
    workflow("parent", (ctx) => ctx.child(order(version, crash), { id: "child" }));
  await crash.happens(file, parent("1", crash), { id: "parent" });
  await using engine = await Engine.open(file, { workflows: [order("1")] });
  assertEquals(await engine.run(parent("2"), { id: "parent" }), "1 by 1");
  assertEquals((await engine.get("child"))!.version, "1");
});

Deno.test("work() takes up each workflow with its own version", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash(2);
  await crash.happens(file, order("1", crash), { id: "a" });
  await crash.happens(file, order("2", crash), { id: "b" });
  await using engine = await Engine.open(file, { workflows: [order("2"), order("1")] });
  void engine.work();
  assertEquals(await Promise.all(["a", "b"].map((id) => engine.handle(id).result())), ["1 by 1", "2 by 2"]);
});
