import { Engine, StepTimeoutError, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("timeout fails a step that takes longer, and aborts its signal", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  let signal: AbortSignal | undefined;
  const slow = workflow("slow", (ctx) =>
    ctx.step("call", (info) => {
      signal = info.signal;
      return new Promise<void>(() => {});
    }, { timeout: "10s" }));
  const handle = await engine.start(slow);
  assertEquals(await clock.nextTimer(), 10_000);
  clock.advance(9_999);
  assert(!signal!.aborted);
  clock.advance(1);
  const error = await assertRejects(() => handle.result(), StepTimeoutError);
  assertEquals(error.message, 'Step "call#000001" did not end within its timeout of 10000 ms');
  assertEquals([error.key, error.timeoutMs], ["call#000001", 10_000]);
  assertInstanceOf(signal!.reason, StepTimeoutError);
});

Deno.test("timeout counts for each attempt, and an attempt that took too long is tried again", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const slow = workflow("slow", (ctx) =>
    ctx.step("call", ({ attempt, signal }) => {
      assert(!signal.aborted);
      return attempt === 3 ? "at last" : new Promise<string>(() => {});
    }, { timeout: 500, retry: { maxAttempts: 3, initialInterval: 200, backoff: 1, jitter: 0 } }));
  const handle = await engine.start(slow);
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    waits.push(await clock.nextTimer());
    clock.advance(waits.at(-1)!);
  }
  assertEquals(await handle.result(), "at last");
  assertEquals(waits, [500, 200, 500, 200]);
  assertEquals(clock.timers, []);
});

Deno.test("timeout lets a step that ends in time alone, and leaves no timer behind", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const quick = workflow("quick", async (ctx) => [
    await ctx.step("sync", () => 1, { timeout: "1s" }),
    await ctx.step("async", () => Promise.resolve(2), { timeout: "1s" }),
    await ctx.step("failing", () => Promise.reject(new Error("3")), { timeout: "1s" }).catch((e) =>
      e.message
    ),
  ]);
  assertEquals(await engine.run(quick), [1, 2, "3"]);
  assertEquals(clock.timers, []);
});

Deno.test("timeout leaves the signals of other steps and of the workflow alone", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const result = Promise.withResolvers<string>();
  let other: AbortSignal | undefined;
  const two = workflow("two", async (ctx) => {
    const second = ctx.step("patient", ({ signal }) => {
      other = signal;
      return result.promise;
    });
    const error = await ctx.step("hasty", () => new Promise<void>(() => {}), { timeout: 1 }).catch((error) =>
      error
    );
    result.resolve("patient");
    return [error.name, await second, other!.aborted, ctx.signal.aborted];
  });
  const handle = await engine.start(two);
  clock.advance(await clock.nextTimer());
  assertEquals(await handle.result(), ["StepTimeoutError", "patient", false, false]);
});

Deno.test("a result that comes after the timeout is not stored", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const late = Promise.withResolvers<string>();
  const slow = workflow("slow", async (ctx) => {
    const error = await ctx.step("call", () => late.promise, { timeout: 100 }).catch((error) => error);
    late.resolve("too late");
    await ctx.step("next", () => late.promise.then(() => {}));
    return error.name;
  });
  const handle = await engine.start(slow);
  clock.advance(await clock.nextTimer());
  assertEquals(await handle.result(), "StepTimeoutError");
  const { steps } = (await engine.get(handle.id))!;
  assertEquals(steps.map(({ key, status }) => [key, status]), [["call#000001", "failed"], [
    "next#000001",
    "completed",
  ]]);
});

Deno.test("StepTimeoutError is the same in a replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const slow = workflow("slow", async (ctx) => {
    const error = await ctx.step("call", () => new Promise<void>(() => {}), { timeout: 0 }).catch((error) =>
      error
    );
    await ctx.step("wait", () => crash.here());
    return [error instanceof StepTimeoutError, error.key, error.timeoutMs];
  });
  await crash.happens(file, slow, { id: "s" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(slow, { id: "s" }), [true, "call#000001", 0]);
});
