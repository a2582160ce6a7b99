/** Who waits in a queue, and what becomes of that when it is paused, put off, stopped, cannot be run, and so on. */
import {
  Engine,
  EngineClosedError,
  LimitExceededError,
  queue,
  UnknownWorkflowError,
  workflow,
  WorkflowConflictError,
  WorkflowTimeoutError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const quick = workflow("quick", (ctx) => ctx.step("step", () => ctx.workflowId));
const single = queue("single", { partitionConcurrency: 1 });

Deno.test("one that was held behind others of its partition, and is put off, is not forgotten", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const save = workflow("save", (_ctx, text: string) => text);
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [quick, save] });
  engine.work();
  await engine.enqueue(save, { queue: single, partition: "p", id: "first", input: "" });
  await engine.pauseQueue(single);
  const type = (input: string) =>
    engine.enqueue(save, { queue: single, partition: "p", input, debounce: { key: "k", period: "1s" } });
  await engine.enqueue(save, { queue: single, partition: "p", id: "second", input: "" });
  const handle = await type("a");
  await eventually(() => clock.timers.some((ms) => ms <= 1_000));
  clock.advance(1_000);
  await eventualStatus(handle, "pending");
  assertEquals((await type("ab")).id, handle.id);
  assertEquals(await handle.status(), "waiting");
  await engine.resumeQueue(single);
  await engine.handle("second").result();
  await eventually(() => clock.timers.some((ms) => ms <= 1_000));
  clock.advance(1_000);
  assertEquals(await handle.result(), "ab");
});

Deno.test("one that was held, and has begun by its id all the same, is not forgotten when it is stopped", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const stuck = workflow("stuck", (ctx) => ctx.step("stuck", () => new Promise<void>(() => {})));
  {
    await using engine = await Engine.open(file, { workflows: [stuck], closeGrace: 0 });
    for (const id of ["a", "b"]) await engine.enqueue(stuck, { queue: single, partition: "p", id });
    await engine.resume("b");
    await engine.cancel("a");
  }
  const mended = workflow("stuck", (ctx) => ctx.step("stuck", () => "done"));
  await using engine = await Engine.open(file, { workflows: [mended] });
  assertEquals((await engine.queues()).map(({ depth, underWay }) => [depth, underWay]), [[0, 1]]);
  engine.work();
  assertEquals(await engine.handle("b").result(), "done");
});

Deno.test("what nobody here can run keeps no other of its partition from its turn", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick] });
  await engine.enqueue("unknown", { queue: single, partition: "p" });
  await engine.enqueue("quick", { queue: single, partition: "p", version: "old" });
  await engine.enqueue("quick", { queue: single, partition: "p", id: "q" });
  engine.work();
  assertEquals(await engine.handle("q").result(), "q");
});

Deno.test("one that was stopped at a checkpoint keeps its place, and goes on before others begin", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const log: string[] = [];
  const gate = Promise.withResolvers<void>();
  const two = workflow("two", async (ctx) => {
    await ctx.step("in", () => void log.push(`${ctx.workflowId} in`));
    if (ctx.workflowId === "a") await gate.promise;
    await ctx.step("out", () => void log.push(`${ctx.workflowId} out`));
  });
  const one = queue("one", { concurrency: 1 });
  const first = await Engine.open(file, { workflows: [two] });
  first.work();
  await first.enqueue(two, { queue: one, id: "a" });
  await eventually(() => log.length === 1);
  await first.enqueue(two, { queue: one, id: "b", priority: 1 });
  await first.close();
  gate.resolve();
  await using second = await Engine.open(file, { workflows: [two] });
  assertEquals((await second.queues()).map(({ depth, underWay }) => [depth, underWay]), [[1, 1]]);
  second.work();
  await second.handle("b").result();
  assertEquals(log, ["a in", "a out", "b in", "b out"]);
});

Deno.test("one that is unblocked or tried again waits for a place like any other", async () => {
  await using folder = temporaryFolder();
  let broken = true;
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  const flaky = workflow("flaky", async (ctx) => {
    await ctx.step("begin", () => void begun.push(ctx.workflowId));
    if (ctx.workflowId === "a" && broken) throw new Error("Broken");
    if (ctx.workflowId === "b") await ctx.step("gate", () => gate.promise);
    return ctx.workflowId;
  });
  const one = queue("one", { concurrency: 1 });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [flaky] });
  engine.work();
  await engine.enqueue(flaky, { queue: one, id: "a" });
  await assertRejects(() => engine.handle("a").result(), Error, "Broken");
  await engine.enqueue(flaky, { queue: one, id: "b" });
  await eventually(() => begun.includes("b"));
  broken = false;
  const handle = await engine.retry("a");
  assertEquals([await handle.status(), (await engine.queues())[0]!.depth], ["pending", 1]);
  gate.resolve();
  assertEquals(await handle.result(), "a");
});

Deno.test("one that cannot be run here, and is blocked for it, leaves its debounce key", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file, { workflows: [quick] });
  const debounce = { key: "k", period: 1 };
  const first = await engine.enqueue("quick", { debounce });
  await engine.pauseQueue("default");
  engine.work();
  await eventualStatus(first, "pending");
  {
    await using other = await Engine.open(file);
    await assertRejects(() => other.resume(first.id), UnknownWorkflowError);
    assertEquals(await first.status(), "blocked");
  }
  const second = await engine.enqueue("quick", { debounce });
  assert(second.id !== first.id);
  await engine.resumeQueue("default");
  assertEquals(await (await engine.resume<string>(first.id)).result(), first.id);
  assertEquals(await second.result(), second.id);
});

Deno.test("maxWait counts from the first", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock, workflows: [quick] });
  const handle = await engine.enqueue("quick", { debounce: { key: "k", period: "10s", maxWait: "1s" } });
  assertEquals((await engine.get(handle.id))!.dueAt, new Date(clock.now() + 1_000));
});

Deno.test("one that is put off stands where its last priority and partition put it", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const order: string[] = [];
  const note = workflow("note", (ctx) => ctx.step("note", () => void order.push(ctx.workflowId)));
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [note] });
  const one = queue("one", { concurrency: 1, partitionConcurrency: 1 });
  const debounce = { key: "k", period: "1s" };
  const handle = await engine.enqueue(note, { queue: one, debounce, partition: "p" });
  clock.advance(5_000);
  await engine.enqueue(note, { queue: one, debounce, partition: "q", priority: 1 });
  clock.advance(1_000);
  await engine.enqueue(note, { queue: one, id: "plain", partition: "q" });
  await engine.enqueue(note, { queue: one, id: "high", partition: "q", priority: 2 });
  engine.work();
  for (const id of ["plain", "high", handle.id]) await engine.handle(id).result();
  assertEquals(order, ["high", handle.id, "plain"]);
});

Deno.test("a delay goes on while one is paused", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [quick] });
  const handle = await engine.enqueue(quick, { id: "q", delay: "1h" });
  await handle.pause();
  await engine.resume("q");
  assertEquals((await engine.get("q"))!.dueAt, new Date(clock.now() + 3_600_000));
  engine.work();
  await eventually(() => clock.timers.includes(3_600_000));
  clock.advance(3_600_000);
  assertEquals(await handle.result(), "q");
});

Deno.test("run() and retry() of what has no place wait for one, where nobody works", async () => {
  await using folder = temporaryFolder();
  const one = queue("one", { concurrency: 1 });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick] });
  for (const id of ["a", "b", "c"]) await engine.enqueue(quick, { queue: one, id });
  assertEquals(await Promise.all(["c", "a", "b"].map((id) => engine.run(quick, { id }))), ["c", "a", "b"]);
});

Deno.test("a key that stands for another workflow is a conflict", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.enqueue("one", { deduplicationKey: "k" });
  await assertRejects(() => engine.enqueue("two", { deduplicationKey: "k" }), WorkflowConflictError);
  await engine.enqueue("one", { throttle: { key: "k", period: "1s" } });
  await assertRejects(
    () => engine.enqueue("two", { throttle: { key: "k", period: "1s" } }),
    WorkflowConflictError,
  );
});

Deno.test("work() may be called again after it has failed", async () => {
  await using engine = await Engine.open(":memory:", { workflows: [quick] });
  await assertRejects(() => engine.work({ queues: [5 as never] }), TypeError, "found number");
  await assertRejects(() => engine.work({ queues: null as never }), TypeError, "wanted an array of queues");
  await assertRejects(() => engine.work({ queues: "mail" as never }), TypeError, "wanted an array of queues");
  engine.work();
  assertEquals(await (await engine.enqueue<undefined, string>("quick", { id: "q" })).result(), "q");
});

Deno.test("queue() and enqueue() refuse names that nobody knows, and what is no object", async () => {
  assertThrows(
    () => queue("q", { concurency: 1 } as never),
    TypeError,
    'unknown option "concurency"; known options are concurrency, ',
  );
  assertThrows(() => queue("q", 5 as never), TypeError, "wanted an object with options, found 5");
  assertThrows(() => queue("q", { rate: null } as never), TypeError, "found null");
  assertThrows(() => queue("q", { concurrency: 10_001 }), RangeError, "an integer from 1 to 10000");
  assertThrows(() => queue("q", { partitionConcurrency: 1_001 }), RangeError, "an integer from 1 to 1000");
  await using engine = await Engine.open(":memory:");
  const bad: [unknown, string][] = [
    [{ prority: 1 }, 'Cannot enqueue: unknown option "prority"; known options are id, queue, '],
    [null, "found null"],
    [{ debounce: null }, "found null"],
    [{ throttle: 5 }, "found 5"],
    [{ startAt: 1e300 }, "wanted a Date or milliseconds since 1970"],
    [{ startAt: 9e15 }, "wanted a Date or milliseconds since 1970"],
    [{ id: "a", debounce: { key: "k", period: 1 } }, "both id and debounce"],
  ];
  for (const [options, message] of bad) {
    await assertRejects(() => engine.enqueue("w", options as never), TypeError, message);
  }
});

Deno.test("what is under way when the engine is closed is told so", async () => {
  await using folder = temporaryFolder();
  const engine = await Engine.open(folder.file("a.db"));
  await engine.enqueue("w");
  const calls = [engine.enqueue("w"), engine.pauseQueue("default"), engine.queues(), engine.executors()];
  const closed = engine.close();
  for (const outcome of await Promise.allSettled(calls)) {
    if (outcome.status === "rejected") {
      assert(outcome.reason instanceof EngineClosedError, `${outcome.reason}`);
    }
  }
  await closed;
});

Deno.test("there are no more than 1,000 queues", async () => {
  await using engine = await Engine.open(":memory:");
  await Promise.all(Array.from({ length: 1_000 }, (_, i) => engine.enqueue("w", { queue: `q${i}` })));
  await assertRejects(() => engine.enqueue("w", { queue: "more" }), LimitExceededError, "queues");
  await assertRejects(() => engine.enqueue("w", { queue: queue("more") }), LimitExceededError, "queues");
  await engine.enqueue("w", { queue: "q7" });
});

Deno.test("one that is cancelled while it waits for a place again is undone at once", async () => {
  await using folder = temporaryFolder();
  const undone: string[] = [];
  const booking = workflow("booking", async (ctx) => {
    await ctx.step("book", () => {}, { compensate: () => void undone.push(ctx.workflowId) });
    await ctx.waitForSignal("go");
  });
  const one = queue("one", { concurrency: 1 });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [booking] });
  engine.work();
  const handle = await engine.enqueue(booking, { queue: one, id: "a" });
  await eventualStatus(handle, "waiting");
  await handle.pause();
  const other = await engine.enqueue(booking, { queue: one, id: "b" });
  await eventualStatus(other, "waiting");
  await engine.resume("a");
  assertEquals(await handle.status(), "pending");
  await engine.cancel("a");
  await eventualStatus(handle, "cancelled");
  assertEquals([undone, await other.status()], [["a"], "waiting"]);
});

Deno.test("a rate counts each time that a place is given, also to one that is tried again", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  let begun = 0;
  const failing = workflow("failing", () => {
    begun++;
    throw new Error("Broken");
  });
  const rated = queue("rated", { rate: { limit: 2, period: "10s" } });
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    workflows: [failing],
    alwaysReplay: false,
  });
  const handle = await engine.enqueue(failing, { queue: rated, id: "f" });
  engine.work();
  await assertRejects(() => handle.result(), Error, "Broken");
  await (await engine.retry("f")).result().catch(() => {});
  await engine.retry("f");
  assertEquals([await handle.status(), begun], ["pending", 2]);
  assertEquals(
    (await engine.why("f")).reason,
    'It waits in queue "rated": as many of the queue have begun in this period as its rate allows for',
  );
  await eventually(() => {
    clock.advance(1_000);
    return begun === 3;
  });
});

Deno.test("a rate holds also for who has looked at the clock before another one, and commits after it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const late = new ManualClock(clock.now() + 80);
  const rated = queue("rated", { rate: { limit: 2, period: 100 } });
  await using engine = await Engine.open(file, { clock });
  await using other = await Engine.open(file, { clock: late });
  for (const id of ["a", "b", "c", "d"]) await engine.enqueue(quick, { queue: rated, id });
  await engine.run(quick, { id: "a" });
  clock.advance(50);
  await engine.run(quick, { id: "b" });
  clock.advance(100);
  await engine.run(quick, { id: "c" });
  const handle = await other.start(quick, { id: "d" });
  assertEquals(await handle.status(), "pending");
});

Deno.test("one that is given by its name has the timeout of its code, from when it begins", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const slow = workflow("slow", { timeout: "1h" }, async (ctx) => void await ctx.waitForSignal("never"));
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [slow] });
  const handle = await engine.enqueue("slow", { id: "s" });
  clock.advance(3_600_000);
  engine.work();
  await eventually(() => clock.timers.includes(3_600_000));
  const rejected = assertRejects(() => handle.result(), WorkflowTimeoutError);
  clock.advance(3_600_000);
  await rejected;
});

Deno.test("why() of one that was stopped with its place says that a process is wanted", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const stuck = workflow("stuck", (ctx) => ctx.step("stuck", () => new Promise<void>(() => {})));
  {
    await using engine = await Engine.open(file, { workflows: [stuck], closeGrace: 0 });
    engine.work();
    const handle = await engine.enqueue(stuck, { id: "s", queue: queue("one", { concurrency: 1 }) });
    await eventualStatus(handle, "running");
  }
  await using engine = await Engine.open(file);
  const { reason, queue: place, waitsFor } = await engine.why("s");
  assertEquals(reason, "It was stopped at a checkpoint, and no process runs it");
  assertEquals([place, waitsFor[0]!.kind], [{ name: "one" }, "process"]);
});
