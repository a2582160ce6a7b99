import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  CorruptCheckpointError,
  Engine,
  LimitExceededError,
  SerializationError,
  signal,
  workflow,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR_MS = 3_600_000;

/** A workflow that takes so many signals of a name, one after the other. */
const taker = workflow("taker", async (ctx, count: number) => {
  const taken: unknown[] = [];
  while (taken.length < count) taken.push(await ctx.waitForSignal("s"));
  return taken;
});

Deno.test("signal() keeps signals from before the start, and the workflow takes each once, in their order", async () => {
  await using engine = await Engine.open(":memory:");
  for (const payload of [1, 2, 3]) await engine.signal("t", "s", payload);
  const handle = await engine.start(taker, { id: "t", input: 5 });
  await handle.signal("s", 4);
  await eventually(async () => (await engine.get("t"))!.steps.length === 5);
  await handle.signal("s", 5);
  assertEquals(await handle.result(), [1, 2, 3, 4, 5]);
});

Deno.test("signal() takes a definition, which gives the payload its type", async () => {
  const approved = signal<{ by: string }>("approved");
  const request = workflow("request", async (ctx) => {
    const { by } = (await ctx.waitForSignal(approved))!;
    // The same name is the same signal.
    const second = await ctx.waitForSignal<{ by: string }>("approved");
    return [by, second?.by];
  });
  await using engine = await Engine.open(":memory:");
  const handle = await engine.start(request, { id: "r" });
  await engine.signal("r", approved, { by: "Ada" });
  // @ts-expect-error -- another payload than the definition says
  const send = (): Promise<void> => engine.signal("r", approved, { from: "Bob" });
  assertEquals(typeof send, "function");
  await handle.signal("approved", { by: "Bob" });
  assertEquals(await handle.result(), ["Ada", "Bob"]);
});

Deno.test("signal() with the same idempotency key is the same signal, also once that is consumed", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.signal("t", "s", "first", { idempotencyKey: "k" });
  await engine.signal("t", "s", "again", { idempotencyKey: "k" });
  await engine.signal("t", "other", "another signal", { idempotencyKey: "k" });
  await engine.signal("u", "s", "another workflow", { idempotencyKey: "k" });
  const handle = await engine.start(taker, { id: "t", input: 2 });
  await eventually(async () => (await engine.get("t"))!.steps.some(({ output }) => output === "first"));
  await handle.signal("s", "after consumption", { idempotencyKey: "k" });
  await handle.signal("s", "second", { idempotencyKey: "l" });
  assertEquals(await handle.result(), ["first", "second"]);
  // And once the workflow has ended: the caller who tries again need not know.
  await handle.signal("s", "first", { idempotencyKey: "k" });
  assertEquals(await engine.run(taker, { id: "u", input: 1 }), ["another workflow"]);
});

Deno.test("waitForSignal() twice for one name at a time gives each its own, in the order of the calls", async () => {
  await using engine = await Engine.open(":memory:", { alwaysReplay: true });
  const two = workflow("two", (ctx) =>
    ctx.all([
      (ctx) => ctx.waitForSignal("s"),
      (ctx) => ctx.waitForSignal("s"),
      (ctx) => ctx.waitForSignal("t"),
    ]));
  const handle = await engine.start(two, { id: "t" });
  await eventualStatus(handle, "waiting");
  await handle.signal("s", 1);
  await eventually(async () => (await engine.get("t"))!.steps.some(({ output }) => output === 1));
  await handle.signal("t", 3);
  await handle.signal("s", 2);
  assertEquals(await handle.result(), [1, 2, 3]);
});

Deno.test("waitForSignal() gives undefined when its time is over, and leaves a later signal for the next", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock, alwaysReplay: false });
  const patient = workflow("patient", async (ctx) => [
    await ctx.waitForSignal("s", { timeout: "1h" }),
    await ctx.waitForSignal("s", { timeout: "1h" }),
  ]);
  const handle = await engine.start(patient, { id: "p" });
  await eventually(() => clock.timers.includes(1_000));
  clock.advance(1_000);
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  await eventually(async () => (await engine.get("p"))!.steps[0]!.status === "completed");
  await handle.signal("s", "late");
  assertEquals(await handle.result(), [undefined, "late"]);
});

Deno.test("waitForSignal() counts what was sent before its time was over, also where nobody looked until long after", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const options = workflow("options", async (ctx) => [
    await ctx.waitForSignal("in time", { timeout: "1h" }),
    await ctx.waitForSignal("too late", { timeout: "1h" }),
    await ctx.waitForSignal("too late"),
  ]);
  {
    const mortal = await openMortal(file, { clock, alwaysReplay: true });
    const handle = await mortal.engine.start(options, { id: "o" });
    await eventualStatus(handle, "waiting");
    await mortal.kill();
  }
  {
    await using engine = await Engine.open(file, { clock });
    clock.advance(HOUR_MS);
    await engine.signal("o", "in time", 1);
    clock.advance(10 * HOUR_MS);
  }
  await using engine = await Engine.open(file, { clock, alwaysReplay: true });
  const handle = await engine.start(options, { id: "o" });
  await eventually(async () => (await engine.get("o"))!.steps[0]!.output === 1);
  await eventually(async () => (await engine.get("o"))!.steps.length === 2);
  clock.advance(HOUR_MS);
  await eventually(async () => (await engine.get("o"))!.steps.length === 3);
  await handle.signal("too late", 2);
  assertEquals(await handle.result(), [1, undefined, 2]);
});

Deno.test("signal() refuses a workflow that has ended", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.run(workflow("done", () => 1), { id: "done" });
  const error = await assertRejects(() => engine.signal("done", "s"), WorkflowStateError);
  assertEquals([error.workflowId, error.found], ["done", "completed"]);
  await engine.run(workflow("failed", () => Promise.reject(new Error("no"))), { id: "failed" }).catch(
    () => {},
  );
  await assertRejects(() => engine.handle("failed").signal("s"), WorkflowStateError, '"failed"');
});

Deno.test("signal() refuses more than 100,000 messages for one workflow, and others go on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file, { durability: "normal" });
  await engine.signal("full", "s", 0);
  execute(
    file,
    `WITH RECURSIVE n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n LIMIT 99998)
     INSERT INTO messages (workflow_id, topic, payload_json, sent_at, checksum)
     SELECT 'full', 'signal:other', NULL, 0, 0 FROM n`,
  );
  await engine.signal("full", "s", 1, { idempotencyKey: "last" });
  const error = await assertRejects(() => engine.signal("full", "s", 2), LimitExceededError);
  assertEquals([error.limit, error.max], ["messages kept for a workflow", 100_000]);
  await engine.signal("full", "s", 1, { idempotencyKey: "last" });
  await engine.signal("other", "s", 2);
  // What is consumed makes room.
  assertEquals(await engine.run(taker, { id: "full", input: 2 }), [0, 1]);
});

Deno.test("signal() keeps payloads that are not plain JSON, and refuses those that cannot be kept", async () => {
  await using engine = await Engine.open(":memory:", { maxValueBytes: 1_000, alwaysReplay: true });
  const handle = await engine.start(taker, { id: "t", input: 4 });
  const payloads = [new Map([[1, new Date(0)]]), undefined, 12n, new Uint8Array([1, 2])];
  await assertRejects(() => handle.signal("s", () => 1), SerializationError, 'the payload of signal "s"');
  await assertRejects(() => handle.signal("s", "x".repeat(2_000)));
  for (const payload of payloads) await handle.signal("s", payload);
  assertEquals(await handle.result(), payloads);
  assertEquals((await engine.get("t"))!.steps.map(({ output }) => output), payloads);
});

Deno.test("signal() and waitForSignal() refuse what is no name", async () => {
  await using engine = await Engine.open(":memory:");
  assertThrows(() => signal(""), RangeError, "a signal's name");
  assertThrows(() => signal("a\nb"), TypeError, "a signal's name");
  assertThrows(() => signal(5 as unknown as string), TypeError, "a signal's name");
  await assertRejects(() => engine.signal("w", ""), RangeError, "a signal's name");
  await assertRejects(() => engine.signal("w", "x".repeat(257)), RangeError, "a signal's name");
  await assertRejects(() => engine.signal("", "s"), RangeError, "a workflow id");
  await assertRejects(() => engine.signal("w", "s", 1, { idempotencyKey: "" }), RangeError, "key");
  const bad = workflow("bad", async (ctx) => [
    await ctx.waitForSignal("").catch((error) => error.name),
    await ctx.waitForSignal(null as unknown as string).catch((error) => error.name),
    await ctx.waitForSignal("s", { timeout: "soon" as "1s" }).catch((error) => error.name),
    await ctx.step("step", () => ctx.waitForSignal("s").catch((error) => error.message)),
  ]);
  const [empty, none, time, inStep] = await engine.run(bad);
  assertEquals([empty, none, time], ["RangeError", "TypeError", "TypeError"]);
  assert(String(inStep).includes('wait for a signal in the function of step "step#000001"'));
});

Deno.test("a message that is not as it was written blocks its workflow, and no other", async () => {
  for (const state of ["waiting", "running"] as const) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const go = Promise.withResolvers<void>();
    const victim = workflow("victim", async (ctx) => {
      if (state === "running") await ctx.step("step", () => go.promise);
      return await ctx.waitForSignal("s");
    });
    await using engine = await Engine.open(file, {
      workflows: [victim],
      alwaysReplay: true,
      durability: "normal",
    });
    if (state === "running") {
      const handle = await engine.start(victim, { id: "v" });
      const refused = assertRejects(() => handle.result(), CorruptCheckpointError);
      await engine.signal("v", "s", "payload");
      execute(file, `UPDATE messages SET payload_json = '"spoilt"'`);
      go.resolve();
      await refused;
    } else {
      await engine.signal("v", "s", "payload");
      execute(file, `UPDATE messages SET payload_json = '"spoilt"'`);
      const error = await assertRejects(
        () => engine.run(victim, { id: "v" }),
        CorruptCheckpointError,
      );
      assertEquals([error.workflowId, error.key, error.file], ["v", "signal:s", file]);
    }
    assertEquals(await engine.handle("v").status(), "blocked");
    assertEquals(query(file, "SELECT consumed FROM messages"), [{ consumed: null }]);
    await engine.signal("t", "s", 1);
    assertEquals(await engine.run(taker, { id: "t", input: 1 }), [1]);

    execute(file, `UPDATE messages SET payload_json = '"payload"' WHERE workflow_id = 'v'`);
    assertEquals(await (await engine.resume("v")).result(), "payload");
  }
});

Deno.test("a retried workflow gets no signal twice that it has taken, and loses none", async () => {
  let fail = true;
  const failing = workflow("fails once", async (ctx) => {
    const first = await ctx.waitForSignal("s");
    const [, second] = await ctx.all([
      (ctx) => ctx.step("step", () => fail ? Promise.reject(new Error("no")) : "did"),
      (ctx) => ctx.waitForSignal("s"),
    ]);
    return [first, second];
  });
  await using engine = await Engine.open(":memory:", { workflows: [failing] });
  for (const payload of [1, 2]) await engine.signal("f", "s", payload);
  await assertRejects(() => engine.run(failing, { id: "f" }), Error, "no");
  fail = false;
  assertEquals(await (await engine.retry("f")).result(), [1, 2]);
});
