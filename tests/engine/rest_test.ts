import { assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { CancelledError, Engine, workflow, WorkflowPausedError } from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** After what time the store knows that a workflow waits, and after what time it is let go from memory. */
const [REST_MS, LINGER_MS] = [10, 1_000];

/** A workflow that waits for a signal, and how often its function was called. */
function waiting() {
  const calls: string[] = [];
  const waits = workflow("waits", async (ctx) => {
    calls.push(ctx.workflowId);
    const first = await ctx.waitForSignal<string>("s");
    return [first, await ctx.step("after", () => "done")];
  });
  return { calls, waits };
}

/** Has so many workflows come to rest. */
async function rest(engine: Engine, clock: ManualClock, count = 1): Promise<void> {
  await eventually(async () => {
    if (clock.timers.includes(REST_MS)) clock.advance(REST_MS);
    return (await engine.list({ status: "waiting" })).length === count;
  });
}

Deno.test("a workflow that waits for a signal waits for the store too, and goes on without a replay if it comes soon", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock, alwaysReplay: false });
  const { waits, calls } = waiting();
  const handle = await engine.start(waits, { id: "w" });
  await rest(engine, clock);
  // Whoever finds it so does not take it over from a process that is gone.
  assertEquals(query(file, "SELECT executor, recoveries FROM workflows"), [{
    executor: null,
    recoveries: 0,
  }]);
  await handle.signal("s", "soon");
  assertEquals(await handle.result(), ["soon", "done"]);
  assertEquals(calls, ["w"]);
  assertEquals((await engine.get("w"))!.recoveries, 0);
});

Deno.test("a workflow that rests is let go from memory after a second", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock, alwaysReplay: false });
  const { waits, calls } = waiting();
  const handle = await engine.start(waits, { id: "w" });
  const events = Array.fromAsync(handle.events());
  await rest(engine, clock);
  clock.advance(LINGER_MS);
  await eventually(() => clock.timers.length === 0);
  await handle.signal("s", "late");
  assertEquals(await handle.result(), ["late", "done"]);
  assertEquals(calls, ["w", "w"]);
  assertEquals((await events).filter(({ type }) => type === "waiting").length, 1);
});

Deno.test("a workflow that rests is cancelled and paused at once", async () => {
  const clock = new ManualClock();
  const { waits } = waiting();
  await using engine = await Engine.open(":memory:", { clock, alwaysReplay: false, workflows: [waits] });
  for (const works of [false, true]) {
    if (works) engine.work();
    const paused = await engine.start(waits, { id: `paused ${works}` });
    const cancelled = await engine.start(waits, { id: `cancelled ${works}` });
    await rest(engine, clock, 2);
    const results = [
      assertRejects(() => paused.result(), WorkflowPausedError),
      assertRejects(() => cancelled.result(), CancelledError),
    ];
    await paused.pause();
    await cancelled.cancel();
    await Promise.all(results);
    await engine.resume(paused.id);
    await paused.signal("s", "after all");
    assertEquals(await paused.result(), ["after all", "done"]);
  }
});

Deno.test("what another process does with a workflow that rests here is seen here", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { waits, calls } = waiting();
  await using here = await Engine.open(file, { clock, alwaysReplay: false });
  const handle = await here.start(waits, { id: "w" });
  await rest(here, clock);
  {
    await using there = await Engine.open(file, { workflows: [waits], alwaysReplay: false });
    await there.signal("w", "s", "there");
    assertEquals(await there.run(waits, { id: "w" }), ["there", "done"]);
  }
  assertEquals(calls.length, 2);
  const result = handle.result();
  clock.advance(LINGER_MS);
  assertEquals(await result, ["there", "done"]);
  assertEquals(calls.length, 2);
});

Deno.test("a workflow that waits for a signal takes no place of work()", async () => {
  const clock = new ManualClock();
  const { waits, calls } = waiting();
  await using engine = await Engine.open(":memory:", { clock, alwaysReplay: false, workflows: [waits] });
  const ids = Array.from({ length: 40 }, (_, i) => `w${i}`);
  for (const id of ids) await engine.enqueue(waits, { id, queue: "q" });
  const began = clock.now();
  engine.work({ concurrency: 4 });
  await rest(engine, clock, ids.length);
  assertLessOrEqual(clock.now() - began, 2 * ids.length / 4 * REST_MS);
  await engine.signal("w7", "s", "it");
  assertEquals(await engine.handle("w7").result(), ["it", "done"]);
  assertEquals(calls.length, ids.length);
});

Deno.test("a workflow that rests goes on when work() has a place for it", async () => {
  const clock = new ManualClock();
  const { waits, calls } = waiting();
  const gate = Promise.withResolvers<string>();
  const busy = workflow("busy", (ctx) => ctx.step("step", () => gate.promise));
  await using engine = await Engine.open(":memory:", {
    clock,
    alwaysReplay: false,
    workflows: [waits, busy],
  });
  engine.work({ concurrency: 1 });
  await engine.enqueue(waits, { id: "w", queue: "q" });
  await rest(engine, clock);
  await engine.enqueue(busy, { id: "busy", queue: "q" });
  await eventualStatus(engine.handle("busy"), "running");
  await engine.signal("w", "s", "it");
  let turns = 0;
  await eventually(() => ++turns > 20);
  assertEquals(await engine.handle("w").status(), "waiting");
  gate.resolve("over");
  assertEquals(await engine.handle("w").result(), ["it", "done"]);
  assertEquals(calls, ["w"]);
});
