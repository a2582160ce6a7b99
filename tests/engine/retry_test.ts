import { Engine, type EngineEvent, NonRetryableError, type RetryOptions, workflow } from "@stepwell/stepwell";
import { assertEquals, assertGreaterOrEqual, assertLessOrEqual, assertRejects } from "@std/assert";
import { retryDelayMs, retryPolicy } from "../../engine/retry.ts";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** A workflow of one step that fails so many times, and the attempts it has made. */
function flaky(failures: number, retry: RetryOptions) {
  const attempts: number[] = [];
  const definition = workflow("flaky", (ctx) =>
    ctx.step("call", ({ attempt }) => {
      attempts.push(attempt);
      if (attempts.length <= failures) throw new Error(`Failure ${attempt}`);
      return `attempt ${attempt}`;
    }, { retry }));
  return { attempts, definition };
}

Deno.test("a step is tried once where it has no retry options", async () => {
  await using engine = await Engine.open(":memory:");
  let calls = 0;
  const once = workflow("once", (ctx) =>
    ctx.step("call", () => {
      calls++;
      throw new Error("No");
    }));
  await assertRejects(() => engine.run(once), Error, "No");
  assertEquals(calls, 1);
});

Deno.test("a step is tried until it succeeds, up to maxAttempts", async () => {
  await using engine = await Engine.open(":memory:");
  const third = flaky(2, { maxAttempts: 3, initialInterval: 0 });
  assertEquals(await engine.run(third.definition, { id: "third" }), "attempt 3");
  assertEquals(third.attempts, [1, 2, 3]);

  const never = flaky(9, { maxAttempts: 3, initialInterval: 0 });
  await assertRejects(() => engine.run(never.definition, { id: "never" }), Error, "Failure 3");
  assertEquals(never.attempts, [1, 2, 3]);

  const endless = flaky(50, { maxAttempts: Infinity, initialInterval: 0 });
  assertEquals(await engine.run(endless.definition, { id: "endless" }), "attempt 51");
});

Deno.test("the pause before each attempt is longer than the one before, up to maxInterval", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const { definition } = flaky(5, {
    maxAttempts: 6,
    initialInterval: "1s",
    backoff: 3,
    maxInterval: "20s",
    jitter: 0,
  });
  const handle = await engine.start(definition);
  const pauses: number[] = [];
  for (let i = 0; i < 5; i++) {
    pauses.push(await clock.nextTimer());
    clock.advance(pauses.at(-1)!);
  }
  assertEquals(await handle.result(), "attempt 6");
  assertEquals(pauses, [1_000, 3_000, 9_000, 20_000, 20_000]);
});

Deno.test("an attempt is not made before its time", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const { attempts, definition } = flaky(1, { maxAttempts: 2, initialInterval: "10s", jitter: 0 });
  const handle = await engine.start(definition);
  await clock.nextTimer();
  clock.advance(9_999);
  await engine.list();
  assertEquals(attempts, [1]);
  clock.advance(1);
  assertEquals(await handle.result(), "attempt 2");
});

Deno.test("retryDelayMs() takes a random part of the pause away, as much as jitter says", () => {
  const policy = retryPolicy({ initialInterval: 1_000, backoff: 2, jitter: 0.5, maxInterval: "1h" });
  for (let attempt = 1; attempt <= 5; attempt++) {
    const full = 1_000 * 2 ** (attempt - 1);
    assertEquals(retryDelayMs(policy, attempt, 0), full);
    const least = retryDelayMs(policy, attempt, 1 - 2 ** -47);
    assertGreaterOrEqual(least, full / 2);
    assertLessOrEqual(least, full / 2 + 1);
  }
  assertEquals(retryDelayMs(policy, 1_000_000, 0), 3_600_000);
});

Deno.test("a step is tried again by default after a second, then two, with up to a fifth left to chance", () => {
  const policy = retryPolicy({ maxAttempts: 9 });
  assertEquals([1, 2, 3, 9].map((attempt) => retryDelayMs(policy, attempt, 0)), [
    1_000,
    2_000,
    4_000,
    60_000,
  ]);
  assertEquals(retryDelayMs(policy, 1, 0.5), 900);
});

Deno.test("the chance in a pause comes from the engine's random source", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const random = (bytes: Uint8Array) => void bytes.fill(++fills);
  let fills = 0;
  await using engine = await Engine.open(folder.file("a.db"), { clock, random });
  let fillsAtFailure: number | undefined;
  const definition = workflow("failing once", (ctx) =>
    ctx.step("call", ({ attempt }) => {
      if (attempt > 1) return;
      fillsAtFailure = fills;
      throw new Error("once");
    }, { retry: { maxAttempts: 2, initialInterval: 1_000, jitter: 1 } }));
  const handle = await engine.start(definition, { id: "f" });
  const pause = await clock.nextTimer();
  // Not the last draw: where the workflow is dropped from memory for the pause, others may have followed.
  const bytes = new Uint8Array(8).fill(fillsAtFailure! + 1);
  const [high, low] = new Uint32Array(bytes.buffer);
  assertEquals(pause, Math.round(1_000 * (1 - ((high! % 2 ** 15) * 2 ** 32 + low!) / 2 ** 47)));
  clock.advance(pause);
  await handle.result();
});

Deno.test("retryable() decides by the error whether a step is tried again", async () => {
  await using engine = await Engine.open(":memory:");
  class Unavailable extends Error {}
  const asked: unknown[] = [];
  const errors = [new Unavailable("Later"), new TypeError("Never")];
  const picky = workflow("picky", (ctx) =>
    ctx.step("call", ({ attempt }) => {
      throw errors[attempt - 1];
    }, {
      retry: {
        maxAttempts: 9,
        initialInterval: 0,
        retryable: (error) => {
          asked.push(error);
          return error instanceof Unavailable;
        },
      },
    }));
  await assertRejects(() => engine.run(picky), TypeError, "Never");
  assertEquals(asked, errors);
});

Deno.test("a step fails with what retryable() throws", async () => {
  await using engine = await Engine.open(":memory:");
  const retryable = () => {
    throw new RangeError("Cannot tell");
  };
  const broken = workflow(
    "broken",
    (ctx) =>
      ctx.step("call", () => Promise.reject(new Error("No")), { retry: { maxAttempts: 2, retryable } }),
  );
  await assertRejects(() => engine.run(broken), RangeError, "Cannot tell");
});

Deno.test("NonRetryableError fails a step for good", async () => {
  await using engine = await Engine.open(":memory:");
  let calls = 0;
  const fatal = workflow("fatal", (ctx) =>
    ctx.step("call", () => {
      calls++;
      throw new NonRetryableError("Card expired", { cause: new Error("51") });
    }, { retry: { maxAttempts: 9, retryable: () => true } }));
  const error = await assertRejects(() => engine.run(fatal), NonRetryableError, "Card expired");
  assertEquals((error.cause as Error).message, "51");
  assertEquals(calls, 1);
});

Deno.test("the next attempt and its time are stored, with what the last one failed with", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock });
  const { definition } = flaky(1, { maxAttempts: 3, initialInterval: "30s", jitter: 0 });
  const handle = await engine.start(definition, { id: "f" });
  await clock.nextTimer();
  const due = clock.now() + 30_000;
  const columns = "status, attempt, next_attempt_at, json_extract(error_json, '$.message') AS message";
  assertEquals(query(file, `SELECT ${columns} FROM steps`), [
    { status: "running", attempt: 2, next_attempt_at: due, message: "Failure 1" },
  ]);
  const [step] = (await engine.get("f"))!.steps;
  assertEquals([step!.attempt, step!.nextAttemptAt, step!.error!.message], [2, new Date(due), "Failure 1"]);
  clock.advance(30_000);
  await handle.result();
});

Deno.test("a crash resets neither attempts nor backoff", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { attempts, definition } = flaky(3, { maxAttempts: 4, initialInterval: "10s", jitter: 0 });
  const afterBackoff = new Crash(2);
  const crashing = workflow("flaky", (ctx) => {
    const running = definition.run(ctx, undefined);
    return Promise.race([running, ctx.step("wait", () => afterBackoff.here()).then(() => running)]);
  });
  await afterBackoff.happens(
    file,
    crashing,
    { id: "f" },
    { clock },
    () => eventually(() => clock.timers[0] === 10_000),
  );
  assertEquals(attempts, [1]);

  clock.advance(4_000);
  const restPassed = async () => {
    await eventually(() => clock.timers[0] === 6_000);
    clock.advance(6_000);
    await eventually(() => clock.timers[0] === 20_000);
  };
  await afterBackoff.happens(file, crashing, { id: "f" }, { clock }, restPassed);
  assertEquals(attempts, [1, 2]);

  clock.advance(60_000);
  await using engine = await Engine.open(file, { clock });
  const handle = await engine.start(crashing, { id: "f" });
  await eventually(() => attempts.length === 3 && clock.timers[0] === 40_000);
  clock.advance(40_000);
  assertEquals(await handle.result(), "attempt 4");
  assertEquals(attempts, [1, 2, 3, 4]);
});

Deno.test("an attempt that ended with its process is made again under its number", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const attempts: number[] = [];
  const flaky = workflow("flaky", (ctx) =>
    ctx.step("call", async ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("Once");
      await crash.here();
      return attempt;
    }, { retry: { maxAttempts: 2, initialInterval: 0 } }));
  await crash.happens(file, flaky, { id: "f" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(flaky, { id: "f" }), 2);
  assertEquals(attempts, [1, 2, 2]);
});

Deno.test("stepRetried tells the attempt, the limit, the error and the time of the next, once that is stored", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const events: unknown[] = [];
  const onEvent = (event: EngineEvent) => {
    if (event.type !== "stepRetried") return;
    const { key, attempt, maxAttempts, error, nextAttemptAt } = event;
    const [row] = query(file, "SELECT next_attempt_at FROM steps");
    events.push({ key, attempt, maxAttempts, message: (error as Error).message, nextAttemptAt, ...row });
  };
  await using engine = await Engine.open(file, { clock, onEvent });
  const { definition } = flaky(1, { maxAttempts: 7, initialInterval: "1s", jitter: 0 });
  const handle = await engine.start(definition);
  clock.advance(await clock.nextTimer());
  await handle.result();
  const due = clock.now();
  const [told] = events;
  assertEquals(told, {
    key: "call#000001",
    attempt: 1,
    maxAttempts: 7,
    message: "Failure 1",
    nextAttemptAt: new Date(due),
    next_attempt_at: due,
  });
});

Deno.test("a step in its pause ends at once when its branch is given up", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const paused = Promise.withResolvers<void>();
  const group = workflow("group", (ctx) =>
    ctx.all([
      (ctx) => flaky(9, { maxAttempts: 9, initialInterval: "1h" }).definition.run(ctx, undefined),
      (ctx) => ctx.step("other", () => paused.promise.then(() => Promise.reject(new Error("Given up")))),
    ]));
  const handle = await engine.start(group);
  await clock.nextTimer();
  paused.resolve();
  await assertRejects(() => handle.result(), Error, "Given up");
  assertEquals(clock.timers, []);
});

Deno.test("retryable that returns a promise fails the step, by name, and keeps its error as the cause", async () => {
  await using engine = await Engine.open(":memory:");
  let calls = 0;
  const promises = [
    async () => await false,
    () => Promise.reject(new Error("unheard")),
    () => ({ then() {} }),
  ];
  for (const [i, retryable] of promises.entries()) {
    const asking = workflow("asking", (ctx) =>
      ctx.step("pay", () => {
        calls++;
        throw new Error("declined");
      }, { retry: { maxAttempts: 5, initialInterval: 0, retryable: retryable as never } }));
    const error = await assertRejects(
      () => engine.run(asking, { id: `${i}` }),
      TypeError,
      'Cannot tell whether step "pay#000001" is to be tried again: wanted true or false of retry.retryable, ' +
        "found a promise",
    );
    assertEquals((error.cause as Error).message, "declined");
  }
  assertEquals(calls, promises.length);
});
