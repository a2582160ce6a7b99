import { Engine, StepInterruptedError, workflow } from "@stepwell/stepwell";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const semantics = "at-most-once";

Deno.test("an at-most-once step is committed as running before its function starts", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const pay = workflow(
    "pay",
    (ctx) =>
      ctx.step("charge", () => query(file, "SELECT step_key, status, attempt FROM steps"), { semantics }),
  );
  assertEquals(await engine.run(pay), [{ step_key: "charge#000001", status: "running", attempt: 1 }]);
});

Deno.test("an at-most-once step that was interrupted fails with StepInterruptedError, and is not run again", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  let calls = 0;
  const pay = workflow("pay", (ctx) =>
    ctx.step("charge", async () => {
      calls++;
      await crash.here();
    }, { semantics }));
  await crash.happens(file, pay, { id: "p" });
  for (let i = 0; i < 2; i++) {
    await using engine = await Engine.open(file);
    const error = await assertRejects(() => engine.run(pay, { id: "p" }), StepInterruptedError);
    assertEquals(error.key, "charge#000001");
    assertEquals(
      error.message,
      'Step "charge#000001" was interrupted: it had been started, and its semantics is at-most-once',
    );
  }
  assertEquals(calls, 1);
});

Deno.test("a workflow can handle StepInterruptedError, and does the same in each replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const during = new Crash();
  const later = new Crash();
  const pay = workflow("pay", async (ctx) => {
    let how = "charged";
    try {
      await ctx.step("charge", () => during.here(), { semantics });
    } catch (error) {
      assertInstanceOf(error, StepInterruptedError);
      how = await ctx.step("ask the bank", () => "it was charged");
    }
    await ctx.step("wait", () => later.here());
    return how;
  });
  await during.happens(file, pay, { id: "p" });
  await later.happens(file, pay, { id: "p" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(pay, { id: "p" }), "it was charged");
});

Deno.test("an at-most-once step that had not been started runs after a crash", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const pay = workflow("pay", async (ctx) => {
    await ctx.step("wait", () => crash.here());
    return await ctx.step("charge", () => "charged", { semantics });
  });
  await crash.happens(file, pay, { id: "p" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(pay, { id: "p" }), "charged");
});

Deno.test("an at-most-once step whose result is committed returns it after a crash", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  let calls = 0;
  const pay = workflow("pay", async (ctx) => {
    const receipt = await ctx.step("charge", () => ++calls, { semantics });
    await ctx.step("wait", () => crash.here());
    return receipt;
  });
  await crash.happens(file, pay, { id: "p" });
  await using engine = await Engine.open(file);
  assertEquals([await engine.run(pay, { id: "p" }), calls], [1, 1]);
});

Deno.test("an at-most-once step that failed is tried again, each attempt at most once", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const attempts: number[] = [];
  const pay = workflow("pay", (ctx) =>
    ctx.step("charge", async ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("Declined");
      await crash.here();
    }, { semantics, retry: { maxAttempts: 5, initialInterval: 0 } }));
  await crash.happens(file, pay, { id: "p" });
  await using engine = await Engine.open(file);
  await assertRejects(() => engine.run(pay, { id: "p" }), StepInterruptedError);
  assertEquals(attempts, [1, 2]);
});

Deno.test("an at-most-once step that was in its pause makes its next attempt after a crash", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const crash = new Crash();
  const attempts: number[] = [];
  const pay = workflow("pay", async (ctx) => {
    const charged = ctx.step("charge", ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("Declined");
      return attempt;
    }, { semantics, retry: { maxAttempts: 5, initialInterval: "10s", jitter: 0 } });
    await ctx.step("wait", () => crash.here());
    return await charged;
  });
  await crash.happens(
    file,
    pay,
    { id: "p" },
    { clock },
    () => eventually(() => clock.timers.includes(10_000)),
  );
  await using engine = await Engine.open(file, { clock });
  const handle = await engine.start(pay, { id: "p" });
  clock.advance(await clock.nextTimer());
  assertEquals(await handle.result(), 2);
  assertEquals(attempts, [1, 2]);
});

Deno.test("an at-most-once step that was given up while its row was written is not run", async () => {
  // Otherwise the function is called anew first, and only then sees the failure that gives the branch up.
  await using engine = await Engine.open(":memory:", { alwaysReplay: false });
  let paid = 0;
  const pay = workflow("pay", (ctx) =>
    ctx.all([
      (ctx) => ctx.step("check", () => Promise.reject(new Error("stolen"))),
      (ctx) => ctx.step("pay", () => void paid++, { semantics }),
    ]));
  await assertRejects(() => engine.run(pay, { id: "p" }), Error, "stolen");
  const steps = (await engine.get("p"))!.steps;
  assertEquals(steps.map(({ key, status }) => [key, status]), [["check#000001", "failed"], [
    "pay#000001",
    "failed",
  ]]);
  assertEquals(paid, 0);
});
