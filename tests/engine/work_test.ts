import { Engine, queue, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("work() takes up what was stopped at a checkpoint, by any engine that has its code", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const gate = Promise.withResolvers<void>();
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {});
    await gate.promise;
    return await ctx.step("second", () => "done");
  });
  const first = await Engine.open(file);
  await first.start(two, { id: "w" });
  await eventually(async () => (await first.get("w"))!.steps.length === 1);
  await first.close();
  assertEquals((await statusOf(file, "w")).status, "pending");

  gate.resolve();
  await using second = await Engine.open(file, { workflows: [two] });
  const working = second.work();
  assertEquals(await second.handle("w").result(), "done");
  await second.close();
  await working;
});

Deno.test("work() wakes what waits when it is due, also what another process has let go", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const sleeper = workflow("sleeper", async (ctx, until: number) => {
    await ctx.sleepUntil(until);
    return "woken";
  });
  const first = await Engine.open(file, { clock });
  const begun = clock.now();
  await first.start(sleeper, { id: "soon", input: begun + 10_000 });
  await first.start(sleeper, { id: "late", input: begun + 90_000 });
  await eventually(async () => (await first.list({ status: "waiting" })).length === 2);
  await first.close();

  await using second = await Engine.open(file, { clock, workflows: [sleeper] });
  second.work();
  await clock.nextTimer();
  clock.advance(9_999);
  assertEquals((await second.list({ status: "waiting" })).length, 2);
  clock.advance(1);
  assertEquals(await second.handle("soon").result(), "woken");
  assertEquals(await second.handle("late").status(), "waiting");
  await eventually(() => clock.timers.includes(80_000));
  clock.advance(80_000);
  assertEquals(await second.handle("late").result(), "woken");
});

Deno.test("work() goes on with workflows whose process is gone", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const lost = workflow("lost", async (ctx) => {
    await ctx.step("before", () => {});
    return await ctx.step("at", () => crash.here());
  });
  await crash.happens(file, lost, { id: "w" });
  await using engine = await Engine.open(file, { workflows: [lost] });
  engine.work();
  await eventually(async () => (await engine.handle("w").status()) === "completed");
});

Deno.test("work() has no more in hand than its concurrency, and those that wait do not count", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  let running = 0;
  let most = 0;
  const busy = workflow("busy", async (ctx) => {
    await ctx.sleep("1h");
    await ctx.step("work", async () => {
      most = Math.max(most, ++running);
      await new Promise((resolve) => setTimeout(resolve, 1));
      running--;
    });
  });
  const clock = new ManualClock();
  const first = await Engine.open(file, { clock });
  for (let i = 0; i < 20; i++) await first.start(busy, { id: `w${i}` });
  await eventually(async () => (await first.list({ status: "waiting" })).length === 20);
  await first.close();

  await using engine = await Engine.open(file, { clock, workflows: [busy] });
  engine.work({ concurrency: 3 });
  clock.advance(3_600_000);
  await eventually(async () => (await engine.list({ status: "completed" })).length === 20);
  assertEquals(most, 3);
});

Deno.test("work() leaves alone what it has not the code of, and what is blocked does not keep it from the rest", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const make = (name: string) => workflow(name, async (ctx) => await ctx.step("one", () => name));
  const [known, unknown] = [make("known"), make("unknown")];
  const clock = new ManualClock();
  const first = await Engine.open(file, { clock });
  for (const [id, definition] of [["a", unknown], ["b", known], ["c", known]] as const) {
    await first.run(definition, { id });
  }
  await first.close();
  execute(
    file,
    "UPDATE workflows SET status = 'pending', output_json = NULL, checksum = NULL, completed_at = NULL",
  );
  execute(file, "UPDATE checkpoints SET checksum = 1 WHERE workflow = 2");

  await using engine = await Engine.open(file, { workflows: [known] });
  engine.work();
  assertEquals(await engine.handle("c").result(), "known");
  await eventually(async () => (await engine.handle("b").status()) === "blocked");
  assertEquals(await engine.handle("a").status(), "pending");
});

Deno.test("work() leaves what another version began to who has that version", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const make = (version?: string) =>
    workflow("rolling", { version }, async (ctx) => {
      await ctx.sleep("1h");
      return version ?? "none";
    });
  const first = await Engine.open(file, { clock });
  for (const version of ["1", "2", undefined]) {
    for (const i of [1, 2, 3]) await first.start(make(version), { id: `${version}-${i}` });
  }
  await eventually(async () => (await first.list({ status: "waiting" })).length === 9);
  await first.close();
  execute(file, "UPDATE workflows SET status = 'pending', due_at = NULL WHERE workflow_id LIKE '%-2'");
  execute(
    file,
    "UPDATE workflows SET status = 'running', executor = 1, due_at = NULL WHERE workflow_id LIKE '%-3'",
  );

  clock.advance(3_600_000);
  const resultsOf = async (engine: Engine, version?: string) =>
    await Promise.all([1, 2, 3].map((i) => engine.handle(`${version}-${i}`).result()));
  const newer = await Engine.open(file, { clock, workflows: [make("2")] });
  newer.work();
  await eventually(() => clock.timers.includes(300));
  clock.advance(300);
  assertEquals(await resultsOf(newer, "2"), ["2", "2", "2"]);
  await newer.close();

  await using both = await Engine.open(file, { clock, workflows: [make("1"), make()] });
  assertEquals((await both.list({ status: "blocked" })).length, 0);
  both.work();
  await eventually(() => clock.timers.includes(300));
  clock.advance(300);
  assertEquals(await resultsOf(both, "1"), ["1", "1", "1"]);
  assertEquals(await resultsOf(both), ["none", "none", "none"]);
});

Deno.test("work() ends when its engine is closed, and refuses a concurrency that is none", async () => {
  const engine = await Engine.open(":memory:");
  await assertRejects(() => engine.work({ concurrency: 0 }), RangeError, "concurrency");
  const working = engine.work();
  let ended = false;
  working.then(() => ended = true);
  await engine.list();
  assert(!ended);
  await engine.close();
  await working;
  await assertRejects(() => engine.work(), Error, "closed");
});

Deno.test("work() that sees to some queues, or has other versions, keeps nothing else from being awakened", async () => {
  const clock = new ManualClock();
  const nap = (version: string) =>
    workflow("nap", { version }, async (ctx) => {
      await ctx.sleep("1h");
      return version;
    });
  const parent = workflow("parent", (ctx) => ctx.child(nap("1")));
  const mail = queue("mail", { concurrency: 1 });
  const options = { clock, workflows: [parent, nap("1")], queues: [mail] };
  for (const queues of [[mail], undefined]) {
    await using engine = await Engine.open(":memory:", options);
    engine.work({ queues });
    const handles = [
      await engine.enqueue(parent, { queue: mail }),
      await engine.start(nap("1")),
      await engine.start(nap("2")),
    ];
    const results = Promise.all(handles.map((handle) => handle.result()));
    let isEnded = false;
    results.then(() => isEnded = true);
    await eventually(() => (clock.advance(60_000), isEnded));
    assertEquals(await results, ["1", "1", "2"]);
  }
});

Deno.test("work() that fails rejects for all who have called it, and can be called again", async () => {
  const engine = await Engine.open(":memory:");
  const first = engine.work({ queues: [7 as never] });
  const second = engine.work();
  await assertRejects(() => first, TypeError);
  await assertRejects(() => second, TypeError);
  const third = engine.work();
  await engine.close();
  await third;
});

async function statusOf(file: string, id: string) {
  await using engine = await Engine.open(file);
  return (await engine.get(id))!;
}

Deno.test("work() looks for lost workflows only while other executors own any", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  const held = workflow("held", async (ctx) => await ctx.step("one", () => gate.promise.then(() => "done")));
  await using engine = await Engine.open(file, { clock, workflows: [held] });
  engine.work();
  await eventually(() => clock.timers.includes(300));
  clock.advance(300);
  await eventually(() => clock.timers.length === 0);

  await using other = await Engine.open(file, { clock });
  await other.start(held, { id: "w" });
  await eventually(() => {
    clock.advance(10);
    return clock.timers.length === 1;
  });
  clock.advance(300);
  await eventually(() => clock.timers.includes(300));
  gate.resolve();
  assertEquals(await other.handle("w").result(), "done");
  await eventually(() => {
    clock.advance(10);
    return clock.timers.length === 0;
  });
});
