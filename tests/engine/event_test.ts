import { Engine, type EngineEvent, workflow } from "@stepwell/stepwell";
import { assert, assertEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What an event says besides what all of them say, its errors as messages. */
function detail({ at: _at, workflowId: _id, workflow: _name, runId: _run, ...rest }: EngineEvent): unknown {
  return "error" in rest ? { ...rest, error: (rest.error as Error).message } : rest;
}

Deno.test("onEvent tells each thing that happens, in its order", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    onEvent: (event) => events.push(event),
  });
  const order = workflow("order", async (ctx) => {
    await ctx.step("pay", ({ attempt }) => {
      clock.advance(5);
      if (attempt === 1) throw new Error("Once");
      return "paid";
    }, { retry: { maxAttempts: 2, initialInterval: 0 } });
    await ctx.step("fail", () => Promise.reject(new Error("Never"))).catch(() => {});
    return "output";
  });
  await engine.run(order, { id: "o" });
  const nextAttemptAt = new Date(clock.now() - 5);
  assertEquals(events.map(detail), [
    { type: "started", recovered: false },
    { type: "stepStarted", key: "pay#000001", attempt: 1 },
    { type: "stepRetried", key: "pay#000001", attempt: 1, maxAttempts: 2, error: "Once", nextAttemptAt },
    { type: "stepStarted", key: "pay#000001", attempt: 2 },
    { type: "stepReturned", key: "pay#000001", attempt: 2 },
    { type: "stepCompleted", key: "pay#000001", attempt: 2, durationMs: 5 },
    { type: "stepStarted", key: "fail#000001", attempt: 1 },
    { type: "stepFailed", key: "fail#000001", attempt: 1, durationMs: 0, error: "Never" },
    { type: "completed", output: "output" },
  ]);
  const { runId } = (await engine.get("o"))!;
  for (const event of events) {
    assertEquals([event.workflowId, event.workflow, event.runId], ["o", "order", runId]);
    assert(event.at instanceof Date);
  }
  assertEquals(events[0]!.at, new Date(clock.now() - 10));
});

Deno.test("onEvent tells of stored outcomes that a replay gives, and of nothing else twice", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const crash = new Crash();
  const events: EngineEvent[] = [];
  const order = workflow("order", async (ctx) => {
    await ctx.step("pay", ({ attempt }) => {
      clock.advance(7);
      if (attempt === 1) throw new Error("Once");
    }, { retry: { maxAttempts: 2, initialInterval: 0 } });
    await ctx.step("fail", () => Promise.reject(new Error("Never"))).catch(() => {});
    await ctx.step("wait", () => crash.here());
    throw new Error("At last");
  });
  await crash.happens(file, order, { id: "o" }, { clock });
  await using engine = await Engine.open(file, { clock, onEvent: (event) => events.push(event) });
  await engine.run(order, { id: "o" }).catch(() => {});
  assertEquals(events.map(detail), [
    { type: "started", recovered: true },
    { type: "replayed", key: "pay#000001", status: "completed", attempt: 2, durationMs: 7 },
    { type: "replayed", key: "fail#000001", status: "failed", attempt: 1, durationMs: 0 },
    { type: "stepStarted", key: "wait#000001", attempt: 1 },
    { type: "stepReturned", key: "wait#000001", attempt: 1 },
    { type: "stepCompleted", key: "wait#000001", attempt: 1, durationMs: 0 },
    { type: "failed", error: "At last" },
  ]);
});

Deno.test("onEvent is called at the very instant: before the function, before the commit, after the commit", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const seen: unknown[] = [];
  let calls = 0;
  let delivered = false;
  const committed = () =>
    query(file, "SELECT count(*) AS n FROM steps WHERE status IN ('completed', 'failed')")[0]!.n as number;
  const onEvent = ({ type }: EngineEvent) => seen.push([type, calls, committed(), delivered]);
  await using engine = await Engine.open(file, { onEvent });
  const order = workflow("order", async (ctx) => {
    await ctx.step("pay", () => calls++);
    delivered = true;
    await ctx.step("fail", () => Promise.reject(new Error(`${calls++}`))).catch(() => {});
  });
  await engine.run(order);
  assertEquals(seen, [
    ["started", 0, 0, false],
    ["stepStarted", 0, 0, false],
    ["stepReturned", 1, 0, false],
    ["stepCompleted", 1, 1, false],
    ["stepStarted", 1, 1, true],
    ["stepFailed", 2, 2, true],
    ["completed", 2, 2, true],
  ]);
});

Deno.test("completed and failed are told once the outcome is committed", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const seen: unknown[] = [];
  const onEvent = ({ type, workflowId }: EngineEvent) => {
    if (type === "started") return;
    seen.push([
      type,
      query(file, "SELECT status FROM workflows WHERE workflow_id = ?", workflowId!)[0]!.status,
    ]);
  };
  await using engine = await Engine.open(file, { onEvent });
  await engine.run(workflow("fine", () => {}));
  await engine.run(workflow("failing", () => Promise.reject(new Error("No")))).catch(() => {});
  assertEquals(seen, [["completed", "completed"], ["failed", "failed"]]);
});

Deno.test("suspended is told, and the workflow left as it is, when the engine is closed", async () => {
  await using folder = temporaryFolder();
  const events: EngineEvent[] = [];
  const engine = await Engine.open(folder.file("a.db"), {
    closeGrace: 0,
    onEvent: (event) => events.push(event),
  });
  const handle = await engine.start(
    workflow("long", (ctx) => ctx.step("wait", () => new Promise<void>(() => {}))),
  );
  for await (const { type } of handle.events()) if (type === "stepStarted") break;
  await engine.close();
  assertEquals(events.map(({ type }) => type), ["started", "stepStarted", "suspended"]);
  const [suspended] = events.filter((event) => event.type === "suspended");
  assertEquals((suspended!.error as Error).name, "EngineClosedError");
});

Deno.test("an onEvent that throws is reported as an uncaught error, and stops nothing", async () => {
  const reported: string[] = [];
  const listener = (event: ErrorEvent) => {
    event.preventDefault();
    reported.push(event.error.message);
  };
  addEventListener("error", listener);
  try {
    const onEvent = ({ type }: EngineEvent) => {
      throw new Error(type);
    };
    await using engine = await Engine.open(":memory:", { onEvent });
    assertEquals(await engine.run(workflow("fine", (ctx) => ctx.step("a", () => 1))), 1);
  } finally {
    removeEventListener("error", listener);
  }
  assertEquals(reported, ["started", "stepStarted", "stepReturned", "stepCompleted", "completed"]);
});

Deno.test("JSON.stringify() of an event says what it is: its error, its output, its fields, whatever they are", async () => {
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(":memory:", { onEvent: (event) => events.push(event) });
  const circle: Record<string, unknown> = {
    big: 10n,
    when: new Date(0),
    tags: new Set(["a"]),
    by: new Map([["x", NaN]]),
  };
  circle.self = circle;
  const unreadable = {
    get field() {
      throw new Error("No");
    },
    error: new RangeError("inside"),
  };
  const rich = workflow("rich", async (ctx) => {
    ctx.log.info("looked", { circle, unreadable, many: Array(1_000_000).fill("x") });
    await ctx.step("fail", () => Promise.reject({ message: "declined", code: 7 })).catch(() => {});
    return { circle };
  });
  await engine.run(rich, { id: "r" });
  await engine.run(workflow("failing", () => Promise.reject(new TypeError("No", { cause: "why" }))), {
    id: "f",
  })
    .catch(() => {});
  const texts = events.map((event) => JSON.stringify(event));
  assert(texts.every((text) => text.length < 200_000));
  const json = texts.map((text) => JSON.parse(text));
  const of = (type: string) => json.findLast((each) => each.type === type);
  assertEquals(Object.keys(json[0]).slice(0, 4), [
    "at",
    "workflowId",
    "workflow",
    "runId",
  ]);
  assertEquals(json[0].at, events[0]!.at.toISOString());
  const plain = {
    big: "10",
    when: "1970-01-01T00:00:00.000Z",
    tags: ["a"],
    by: { x: "NaN" },
    self: "[Circular]",
  };
  assertEquals(of("completed").output, { circle: plain });
  assertEquals(of("log").fields.circle, plain);
  assertEquals(of("log").fields.unreadable.field, "(unreadable)");
  assertEquals(of("log").fields.unreadable.error.message, "inside");
  assertEquals(of("stepFailed").error.message, "declined");
  assertEquals([of("failed").error.name, of("failed").error.message, of("failed").error.cause.thrown], [
    "TypeError",
    "No",
    "why",
  ]);
  // It is no part of what an event says.
  assertEquals(Object.keys(events[0]!).includes("toJSON"), false);
});
