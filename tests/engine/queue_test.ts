import {
  type Context,
  Engine,
  queue,
  QueueFullError,
  QueueNotFoundError,
  SerializationError,
  ValidationError,
  workflow,
  WorkflowConflictError,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";
import {
  assert,
  assertEquals,
  assertInstanceOf,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { assertLines } from "../lines.ts";
import { query } from "../raw_sqlite.ts";
import { SettableClock } from "../settable_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** A workflow whose step waits until it is let go by its id, and what is under way of it. */
function gated(name = "gated") {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const begun: string[] = [];
  let most = 0;
  let running = 0;
  const definition = workflow(name, async (ctx: Context) => {
    await ctx.step("gate", async () => {
      begun.push(ctx.workflowId);
      most = Math.max(most, ++running);
      const gate = Promise.withResolvers<void>();
      gates.set(ctx.workflowId, gate);
      await gate.promise;
      running--;
    });
    return ctx.workflowId;
  });
  return {
    definition,
    begun,
    most: () => most,
    running: () => running,
    /** Lets one go that has begun. */
    async open(id: string) {
      await eventually(() => gates.has(id));
      gates.get(id)!.resolve();
    },
  };
}

Deno.test("enqueue() has a workflow run by who works, once it is durable, whether it has the code or not", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const greet = workflow("greet", (ctx, name: string) => ctx.step("greet", () => `Hello, ${name}`));
  {
    await using engine = await Engine.open(file);
    const handle = await engine.enqueue("greet", { id: "g", input: "Ada" });
    assertEquals([handle.id, await handle.status()], ["g", "pending"]);
    assertEquals((await engine.queues()).map(({ name, depth }) => [name, depth]), [["default", 1]]);
  }
  await using engine = await Engine.open(file, { workflows: [greet] });
  const handle = await engine.enqueue(greet, { input: "Bob" });
  engine.work();
  assertEquals(await engine.handle("g").result(), "Hello, Ada");
  assertEquals(await handle.result(), "Hello, Bob");
  assertEquals((await engine.queues()).map(({ depth, underWay }) => [depth, underWay]), [[0, 0]]);
});

Deno.test("enqueue() of an id that is there already leaves it as it is, or refuses another workflow or input", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.enqueue("one", { id: "a", input: 1 });
  assertEquals((await engine.enqueue("one", { id: "a", input: 1 })).id, "a");
  assertEquals((await engine.enqueue("one", { id: "a" })).id, "a");
  await assertRejects(() => engine.enqueue("one", { id: "a", input: 2 }), WorkflowConflictError);
  await assertRejects(() => engine.enqueue("two", { id: "a", input: 1 }), WorkflowConflictError);
  assertEquals((await engine.queues())[0]!.depth, 1);
});

Deno.test("a queue has no more under way than its concurrency, over several engines", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const { definition, begun, most, open } = gated();
  const three = queue("three", { concurrency: 3 });
  const options = { workflows: [definition], queues: [three] };
  await using first = await Engine.open(file, options);
  await using second = await Engine.open(file, options);
  const ids = Array.from({ length: 12 }, (_, i) => `w${i}`);
  for (const id of ids) await first.enqueue(definition, { queue: three, id });
  first.work();
  second.work();
  for (let ended = 0; ended < ids.length; ended++) {
    await eventually(() => begun.length === Math.min(ids.length, ended + 3));
    await open(begun[ended]!);
    await first.handle(begun[ended]!).result();
  }
  assertEquals([begun.toSorted(), most()], [ids.toSorted(), 3]);
});

Deno.test("a queue runs no more in one process than its executorConcurrency, whatever it takes over", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const { definition, begun, open } = gated();
  const one = queue("one", { executorConcurrency: 1 });
  const crash = new Crash();
  const lost = workflow("gated", (ctx) => ctx.step("gate", () => crash.here()));
  for (const id of ["a", "b"]) {
    await using engine = await Engine.open(file);
    await engine.enqueue("gated", { queue: one, id });
  }
  await crash.happens(file, lost, { id: "a" });
  await using engine = await Engine.open(file, { workflows: [definition] });
  engine.work();
  await eventually(() => begun.length === 1);
  await using other = await Engine.open(file, { workflows: [definition] });
  other.work();
  await eventually(() => begun.length === 2);
  for (const id of ["a", "b"]) await open(id);
  assertEquals(await engine.handle("a").result(), "a");
  assertEquals(await engine.handle("b").result(), "b");
});

Deno.test("a queue has no more under way of a partition than its partitionConcurrency", async () => {
  await using folder = temporaryFolder();
  const { definition, begun, open } = gated();
  const divided = queue("divided", { partitionConcurrency: 1 });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [definition] });
  for (const id of ["a1", "a2", "a3", "b1", "b2"]) {
    await engine.enqueue(definition, { queue: divided, id, partition: id[0] });
  }
  engine.work();
  await eventually(() => begun.length === 2);
  assertEquals(begun.toSorted(), ["a1", "b1"]);
  await open("a1");
  await eventually(() => begun.length === 3);
  assertEquals(begun.at(-1), "a2");
  // Cancelled where it stands, it keeps nobody from their turn.
  await engine.cancel("b2");
  await open("b1");
  await open("a2");
  await eventually(() => begun.length === 4);
  assertEquals(begun.at(-1), "a3");
  await open("a3");
  assertEquals(await engine.handle("a3").result(), "a3");
  await engine.enqueue(definition, { queue: divided, id: "b3", partition: "b" });
  await open("b3");
  assertEquals(await engine.handle("b3").result(), "b3");
});

Deno.test("a workflow keeps its place in its queue while it waits", async () => {
  await using folder = temporaryFolder();
  const one = queue("one", { concurrency: 1 });
  const begun: string[] = [];
  const waiter = workflow("waiter", async (ctx) => {
    await ctx.step("begin", () => void begun.push(ctx.workflowId));
    await ctx.waitForSignal("go");
  });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [waiter] });
  for (const id of ["a", "b"]) await engine.enqueue(waiter, { queue: one, id });
  engine.work();
  await eventually(async () => (await engine.handle("a").status()) === "waiting");
  assertEquals((await engine.queues())[0], {
    name: "one",
    depth: 1,
    underWay: 1,
    concurrency: 1,
    maxDepth: 1_000_000,
    ageingMs: 60_000,
  });
  await engine.signal("a", "go");
  await engine.handle("a").result();
  await engine.signal("b", "go");
  await engine.handle("b").result();
  assertEquals(begun, ["a", "b"]);
});

Deno.test("a queue has no more begin in any period than its rate", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const begun: number[] = [];
  const quick = workflow("quick", (ctx) => ctx.step("now", () => void begun.push(clock.now())));
  const rated = queue("rated", { rate: { limit: 2, period: "10s" } });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick], clock });
  const from = clock.now();
  for (let i = 0; i < 5; i++) await engine.enqueue(quick, { queue: rated });
  engine.work();
  await eventually(() => begun.length === 2);
  clock.advance(9_999);
  await eventually(async () => (await engine.queues())[0]!.depth === 3);
  assertEquals(begun.length, 2);
  clock.advance(1);
  await eventually(() => begun.length === 4);
  await clock.nextTimer();
  clock.advance(10_000);
  await eventually(() => begun.length === 5);
  assertEquals(begun.map((at) => at - from), [0, 0, 10_000, 10_000, 20_000]);
});

Deno.test("the higher priority begins first, until who has waited longer is equal to it", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const begun: string[] = [];
  const quick = workflow("quick", (ctx) => ctx.step("begin", () => void begun.push(ctx.workflowId)));
  const one = queue("one", { concurrency: 1, ageing: "1m" });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick], clock });
  await engine.enqueue(quick, { queue: one, id: "first" });
  await engine.enqueue(quick, { queue: one, id: "urgent", priority: 2 });
  await engine.enqueue(quick, { queue: one, id: "idle", priority: -1 });
  clock.advance(90_000);
  await engine.enqueue(quick, { queue: one, id: "high", priority: 1 });
  engine.work();
  for (const id of ["first", "urgent", "idle", "high"]) await engine.handle(id).result();
  assertEquals(begun, ["urgent", "first", "high", "idle"]);
});

Deno.test("a workflow that is delayed begins when its time has come, and waits for its turn then", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const begun: string[] = [];
  const quick = workflow("quick", (ctx) => ctx.step("begin", () => void begun.push(ctx.workflowId)));
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick], clock });
  await engine.enqueue(quick, { id: "later", delay: "1h" });
  await engine.enqueue(quick, { id: "at", startAt: new Date(clock.now() + 1_800_000) });
  await engine.enqueue(quick, { id: "past", startAt: 0 });
  await engine.enqueue(quick, { id: "cancelled", delay: "1h" });
  await engine.cancel("cancelled");
  assertEquals(await engine.handle("cancelled").status(), "cancelled");
  assertEquals((await engine.get("later"))!.dueAt, new Date(clock.now() + 3_600_000));
  engine.work();
  await engine.handle("past").result();
  await eventually(() => clock.timers.includes(1_800_000));
  clock.advance(1_800_000);
  await engine.handle("at").result();
  await eventually(() => clock.timers.includes(1_800_000));
  clock.advance(1_799_999);
  assertEquals(await engine.handle("later").status(), "waiting");
  clock.advance(1);
  await engine.handle("later").result();
  assertEquals(begun, ["past", "at", "later"]);
});

Deno.test("a queue takes no more than its maxDepth, until some have begun", async () => {
  await using engine = await Engine.open(":memory:", { workflows: [workflow("quick", () => "done")] });
  const short = queue("short", { maxDepth: 2 });
  await engine.enqueue("quick", { queue: short, id: "a" });
  await engine.enqueue("quick", { queue: short, id: "b", delay: "1d" });
  const error = await assertRejects(
    () => engine.enqueue("quick", { queue: short, id: "c" }),
    QueueFullError,
    'Cannot put a workflow into queue "short": 2 wait in it to begin, and its maxDepth is 2',
  );
  assertEquals([error.queue, error.depth, error.maxDepth], ["short", 2, 2]);
  engine.work();
  await engine.handle("a").result();
  await engine.enqueue("quick", { queue: short, id: "c" });
  assertEquals(await engine.handle("c").result(), "done");
  await engine.cancel("b");
  assertEquals((await engine.queues())[0]!.depth, 0);
});

Deno.test("a deduplication key stands for one workflow until that has ended", async () => {
  await using engine = await Engine.open(":memory:", { workflows: [workflow("quick", () => "done")] });
  const enqueue = (deduplicationKey: string, queue = "default") =>
    engine.enqueue("quick", { queue, deduplicationKey });
  const first = await enqueue("k");
  assertEquals([(await enqueue("k")).id, (await enqueue("k")).id], [first.id, first.id]);
  assert((await enqueue("other")).id !== first.id);
  assert((await enqueue("k", "elsewhere")).id !== first.id);
  engine.work();
  await first.result();
  const next = await enqueue("k");
  assert(next.id !== first.id);
  await next.result();
});

Deno.test("a debounced workflow begins with the last input, a period after it, or after maxWait", async () => {
  const clock = new ManualClock();
  const save = workflow("save", (_ctx, text: string) => text);
  await using engine = await Engine.open(":memory:", { workflows: [save], clock });
  engine.work();
  const type = (input: string) =>
    engine.enqueue(save, { input, debounce: { key: "doc", period: "2s", maxWait: "5s" } });
  const handle = await type("a");
  for (const text of ["ab", "abc", "abcd"]) {
    clock.advance(1_500);
    assertEquals((await type(text)).id, handle.id);
  }
  assertEquals((await engine.get(handle.id))!.dueAt!.getTime() - clock.now(), 500);
  await eventually(() => clock.timers.includes(500));
  clock.advance(500);
  assertEquals(await handle.result(), "abcd");
  const next = await type("abcde");
  assert(next.id !== handle.id);
  await eventually(() => clock.timers.includes(2_000));
  clock.advance(2_000);
  assertEquals(await next.result(), "abcde");
});

Deno.test("a throttled workflow stands for all that come in its period", async () => {
  const clock = new ManualClock();
  const ping = workflow("ping", (_ctx, n: number) => n);
  await using engine = await Engine.open(":memory:", { workflows: [ping], clock });
  engine.work();
  const send = (input: number) => engine.enqueue(ping, { input, throttle: { key: "host", period: "10s" } });
  const first = await send(1);
  assertEquals(await first.result(), 1);
  clock.advance(9_999);
  assertEquals((await send(2)).id, first.id);
  clock.advance(1);
  const next = await send(3);
  assert(next.id !== first.id);
  assertEquals(await next.result(), 3);
});

Deno.test("retry() of a deduplicated workflow takes its key again, and is refused while another one has it", async () => {
  await using folder = temporaryFolder();
  let isBroken = true;
  const flaky = workflow("flaky", async (ctx) => {
    await ctx.step("first", () => 1);
    return await ctx.step("call", () => {
      if (isBroken) throw new Error("broken");
      return ctx.workflowId;
    });
  });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [flaky] });
  const enqueue = () => engine.enqueue(flaky, { queue: "q", deduplicationKey: "k" });
  engine.work();
  const first = await enqueue();
  await assertRejects(() => first.result(), Error, "broken");
  const before = await engine.get(first.id);

  await engine.pauseQueue("q");
  const second = await enqueue();
  assert(second.id !== first.id);
  const refused = await assertRejects(() => engine.retry(first.id), WorkflowStateError);
  const wanted = 'it must be the only one with deduplication key "k" that has not ended, and is beside';
  assertStringIncludes(refused.message, `${wanted} "${second.id}"`);
  assertEquals(await engine.get(first.id), before);

  await engine.cancel(second.id);
  isBroken = false;
  const retried = await engine.retry<string>(first.id);
  assertEquals((await enqueue()).id, first.id);
  await engine.resumeQueue("q");
  assertEquals(await retried.result(), first.id);
  assert((await enqueue()).id !== first.id);
});

Deno.test("of engines that retry and enqueue under one deduplication key at a time, one wins", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const failing = workflow("failing", (ctx) => ctx.step("call", () => Promise.reject(new Error("broken"))));
  await using first = await Engine.open(file, { workflows: [failing] });
  await using second = await Engine.open(file, { workflows: [failing] });
  for (let round = 0; round < 20; round++) {
    const key = `k${round}`;
    const failed: string[] = [];
    for (let i = 0; i < 3; i++) {
      const handle = await first.enqueue(failing, { queue: "q", deduplicationKey: key });
      await first.resume(handle.id);
      await assertRejects(() => handle.result(), Error, "broken");
      failed.push(handle.id);
    }
    await first.pauseQueue("q");
    await Promise.allSettled([
      ...failed.map((id) => first.retry(id)),
      second.enqueue(failing, { queue: "q", deduplicationKey: key }),
      ...failed.map((id) => second.retry(id)),
    ]);
    const live = query(
      file,
      `SELECT workflow_id FROM workflows WHERE deduplication_key = '${key}' AND status IN ('pending', 'running', 'waiting')`,
    );
    assertEquals(live.length, 1, `round ${round}`);
    await first.cancel(String(live[0]!.workflow_id));
    await first.resumeQueue("q");
  }
});

Deno.test("a throttle and a debounce last no longer when the clock is set back", async () => {
  const clock = new SettableClock();
  const ping = workflow("ping", (_ctx, n: number) => n);
  await using engine = await Engine.open(":memory:", { workflows: [ping], clock });
  const throttled = (input: number) =>
    engine.enqueue(ping, { input, throttle: { key: "host", period: "10s" } });
  const debounced = (input: number) =>
    engine.enqueue(ping, { input, debounce: { key: "doc", period: "2s", maxWait: "5s" } });
  const [first, typed] = [await throttled(1), await debounced(1)];
  clock.jump(-5_000);
  assertEquals((await throttled(2)).id, first.id, "set back by less than a period, it stands for one more");
  clock.jump(-3_600_000);
  const next = await throttled(3);
  assert(next.id !== first.id);
  assertEquals((await throttled(4)).id, next.id);
  // How long it has waited nobody knows: after maxWait at the latest, it begins.
  assertEquals((await debounced(2)).id, typed.id);
  assertEquals((await engine.get(typed.id))!.dueAt!.getTime(), clock.now());
  engine.work();
  assertEquals([await typed.result(), await next.result()], [2, 3]);
});

Deno.test("a queue that is paused has none begin, and lets go on what has begun", async () => {
  await using folder = temporaryFolder();
  const { definition, begun, open } = gated();
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [definition] });
  await assertRejects(() => engine.pauseQueue("none"), QueueNotFoundError, 'Cannot find queue "none" in');
  engine.work();
  await engine.enqueue(definition, { id: "a" });
  await eventually(() => begun.length === 1);
  await engine.pauseQueue("default");
  assertInstanceOf((await engine.queues())[0]!.pausedAt, Date);
  await engine.enqueue(definition, { id: "b" });
  await open("a");
  assertEquals(await engine.handle("a").result(), "a");
  assertEquals(await engine.handle("b").status(), "pending");
  // Who asks for it by its id does not get round the pause either.
  await engine.start(definition, { id: "b" });
  assertEquals(await engine.handle("b").status(), "pending");
  await engine.resumeQueue("default");
  await open("b");
  assertEquals(await engine.handle("b").result(), "b");
});

Deno.test("work() sees to the queues it is given, and to nothing else", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const quick = workflow("quick", (ctx) => ctx.step("step", () => ctx.workflowId));
  const mail = queue("mail");
  await using engine = await Engine.open(file, { workflows: [quick] });
  await engine.enqueue(quick, { queue: mail, id: "mail" });
  await engine.enqueue(quick, { id: "default" });
  engine.work({ queues: [mail] });
  assertEquals(await engine.handle("mail").result(), "mail");
  assertEquals(await engine.handle("default").status(), "pending");
  await using other = await Engine.open(file, { workflows: [quick] });
  other.work({ queues: ["default"] });
  assertEquals(await engine.handle("default").result(), "default");
});

Deno.test("a long queue keeps no other from its turn", async () => {
  await using folder = temporaryFolder();
  const order: string[] = [];
  const quick = workflow("quick", (ctx) => ctx.step("step", () => void order.push(ctx.workflowId)));
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [quick] });
  for (let i = 0; i < 50; i++) await engine.enqueue(quick, { queue: "long", id: `long${i}` });
  await engine.enqueue(quick, { queue: "short", id: "short" });
  engine.work({ concurrency: 2 });
  await engine.handle("short").result();
  assert(order.indexOf("short") < 5, `${order}`);
});

Deno.test("an input that was given without the code is looked at by its schema when the workflow begins", async () => {
  await using folder = temporaryFolder();
  const schema = {
    "~standard": {
      version: 1,
      vendor: "test",
      validate: (value: unknown) =>
        typeof value === "string"
          ? { value: value.length }
          : { issues: [{ message: "wanted a text", path: [] }] },
      types: undefined as unknown as { input: string; output: number },
    },
  } as const;
  const measure = workflow(
    "measure",
    { input: schema },
    (ctx, length) => ctx.step("double", () => length * 2),
  );
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [measure] });
  const good = await engine.enqueue("measure", { input: "four" });
  const bad = await engine.enqueue("measure", { input: 4 });
  engine.work();
  assertEquals(await good.result(), 8);
  assertEquals((await engine.get(good.id))!.input, 4);
  const error = await assertRejects(() => bad.result());
  assertEquals([(error as Error).name, await bad.status()], ["ValidationError", "failed"]);
  await assertRejects(() => engine.enqueue(measure, { input: 4 as unknown as string }), ValidationError);
});

Deno.test("an input that was given without the code fails its workflow where its schema throws, or makes what cannot be stored", async () => {
  const schemaOf = (validate: (value: unknown) => unknown) => ({
    "~standard": {
      version: 1 as const,
      vendor: "test",
      validate: (value: unknown) => ({ value: validate(value) }),
      types: undefined as unknown as { input: unknown; output: unknown },
    },
  });
  const throwing = schemaOf(() => {
    throw new RangeError("No such schema");
  });
  const steps: string[] = [];
  const throws = workflow("throws", { input: throwing }, () => steps.push("throws"));
  const makes = workflow("makes", { input: schemaOf(() => () => {}) }, () => steps.push("makes"));
  const other = workflow("other", (_, input: string) => input);
  await using engine = await Engine.open(":memory:", { workflows: [throws, makes, other] });
  const first = await engine.enqueue("throws", { input: 1 });
  const second = await engine.enqueue("makes", { input: 1 });
  const third = await engine.enqueue(other, { input: "goes on" });
  engine.work();
  await assertRejects(() => first.result(), RangeError, "No such schema");
  await assertRejects(() => second.result(), SerializationError, `the input of workflow "${second.id}"`);
  assertEquals(await third.result(), "goes on");
  assertEquals([await first.status(), await second.status(), steps], ["failed", "failed", []]);
});

Deno.test("queue() and enqueue() refuse what they cannot use", async () => {
  const refusals: [() => unknown, ErrorConstructor, string][] = [
    [() => queue(""), RangeError, "a queue's name"],
    [() => queue("q", { concurrency: 0 }), RangeError, 'concurrency of queue "q": wanted an integer from 1'],
    [() => queue("q", { rate: { limit: 1, period: 0 } }), RangeError, 'rate.period of queue "q"'],
    [() => queue("q", { ageing: "soon" }), TypeError, 'ageing of queue "q"'],
    [() => queue("q", { maxDepth: 1.5 }), RangeError, "found 1.5"],
  ];
  for (const [act, type, message] of refusals) assertThrows(act, type, message);
  await assertRejects(() => Engine.open(":memory:", { queues: ["mail" as never] }), TypeError, "queues");
  await using engine = await Engine.open(":memory:");
  const bad = [
    [{ priority: 1.5 }, "wanted an integer from -1000 to 1000, found 1.5"],
    [{ delay: "1s", startAt: 5 }, "Cannot enqueue with both delay and startAt"],
    [{ deduplicationKey: "a", throttle: { key: "a", period: 1 } }, "both deduplicationKey and throttle"],
    [{ startAt: new Date(NaN) }, "startAt"],
    [{ partition: "" }, "a partition"],
    [{ queue: 7 as never }, "wanted its name, or what queue() returns, found number"],
    [{ input: () => {} }, "Cannot store"],
  ] as const;
  for (const [options, message] of bad) {
    await assertRejects(() => engine.enqueue("w", options), Error, message);
  }
  await assertRejects(() => engine.enqueue(7 as never), TypeError, "found number");
  await assertRejects(
    () => engine.enqueue(workflow("w", () => {}), { version: "2" }),
    TypeError,
    "wanted none beside a workflow",
  );
  assertEquals(await engine.list(), []);
});

Deno.test("queue(), enqueue() and schedule() refuse the queues of schedules, which can be paused and worked on", async () => {
  const clock = new ManualClock();
  const echo = workflow("echo", (_, input: string) => input);
  const nightly = schedule("nightly", { cron: "@daily", workflow: echo, input: "tick", overlap: "queue" });
  await using engine = await Engine.open(":memory:", { clock, workflows: [echo], schedules: [nightly] });
  engine.work();
  await eventually(async () => (await engine.queues()).length === 1);
  const reserved = 'wanted one that does not begin with "schedule:", which is reserved';
  const daily = { cron: "@daily", workflow: echo, input: "tick" };
  const forged = { ...queue("mail"), name: "schedule:nightly" };
  Object.defineProperty(forged, Symbol.for("@stepwell/stepwell/queue"), { value: true });
  assertThrows(() => queue("schedule:nightly", { concurrency: 50 }), TypeError, reserved);
  assertThrows(() => schedule("s", { ...daily, queue: "schedule:nightly" }), TypeError, reserved);
  assertThrows(() => schedule("s", { ...daily, queue: forged }), TypeError, reserved);
  for (const queue of ["schedule:nightly", "schedule:", forged]) {
    await assertRejects(() => engine.enqueue(echo, { queue, input: "x" }), TypeError, reserved);
  }
  const [own] = await engine.queues();
  assertEquals([own!.name, own!.concurrency, own!.depth], ["schedule:nightly", 1, 0]);

  await engine.pauseQueue("schedule:nightly");
  const tick = await engine.triggerSchedule("nightly");
  assertEquals((await engine.queues())[0]!.depth, 1);
  await engine.resumeQueue("schedule:nightly");
  assertEquals(await tick.result(), "tick");
});

Deno.test("depth and the order of partitions stay right, whatever becomes of who waits", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const divided = queue("divided", { partitionConcurrency: 2 });
  await using engine = await Engine.open(file);
  for (let i = 0; i < 6; i++) {
    await engine.enqueue("w", { queue: divided, id: `w${i}`, partition: "p", priority: i === 5 ? 3 : 0 });
  }
  const order = () =>
    query(
      file,
      "SELECT w.workflow_id FROM lines l JOIN workflows w ON w.line = l.line WHERE w.status = 'pending' ORDER BY w.rank, 1",
    ).map((row) => row.workflow_id);
  const depth = async () => (await engine.queues())[0]!.depth;
  assertEquals([order(), await depth()], [["w5", "w0", "w1", "w2", "w3", "w4"], 6]);
  assertLines(file);
  await engine.pause("w5");
  await engine.cancel("w0");
  assertEquals([order(), await depth()], [["w1", "w2", "w3", "w4"], 4]);
  assertLines(file);
  await assertRejects(() => engine.resume("w5"));
  assertEquals(await engine.handle("w5").status(), "blocked");
  await engine.enqueue("w", {
    queue: queue("divided", { partitionConcurrency: 3 }),
    id: "w6",
    partition: "p",
  });
  assertEquals([order(), await depth()], [["w1", "w2", "w3", "w4", "w6"], 5]);
  assertLines(file);
  await engine.enqueue("w", { queue: queue("divided", {}), id: "w7", partition: "q" });
  assertEquals([order(), await depth()], [["w1", "w2", "w3", "w4", "w6", "w7"], 6]);
  assertLines(file);
  await engine.enqueue("w", {
    queue: queue("divided", { partitionConcurrency: 1 }),
    id: "w8",
    partition: "q",
  });
  assertEquals(query(file, "SELECT partition, waiting FROM lines ORDER BY 1"), [
    { partition: "p", waiting: 5 },
    { partition: "q", waiting: 2 },
  ]);
  assertLines(file);
});
