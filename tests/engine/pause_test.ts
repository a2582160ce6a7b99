import { assertEquals, assertRejects } from "@std/assert";
import {
  CancelledError,
  Engine,
  workflow,
  WorkflowNotFoundError,
  WorkflowPausedError,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR_MS = 3_600_000;

Deno.test("pause() lets steps that run end, commits them, and begins no other until resume()", async () => {
  const go = Promise.withResolvers<void>();
  const steps: string[] = [];
  let aborted = false;
  const three = workflow("three", async (ctx) => {
    await ctx.step("first", async ({ signal }) => {
      signal.addEventListener("abort", () => aborted = true);
      steps.push("first");
      await go.promise;
    });
    await ctx.step("second", () => void steps.push("second"));
    return "done";
  });
  await using engine = await Engine.open(":memory:", { workflows: [three] });
  const handle = await engine.start(three, { id: "t" });
  const refused = assertRejects(() => handle.result(), WorkflowPausedError);
  await eventually(() => steps.length === 1);
  await handle.pause();
  assertEquals([await handle.status(), aborted], ["running", false]);
  go.resolve();
  const error = await refused;
  assertEquals(error.workflowId, "t");
  assertEquals([await handle.status(), aborted], ["blocked", false]);
  assertEquals((await engine.get("t"))!.steps.map(({ key, status }) => [key, status]), [[
    "first#000001",
    "completed",
  ]]);
  await assertRejects(() => engine.run(three, { id: "t" }), WorkflowPausedError);
  await engine.pause("t");

  assertEquals(await (await engine.resume("t")).result(), "done");
  assertEquals(steps, ["first", "second"]);
});

Deno.test("pause() of a workflow that waits keeps its times and its signals, which it sees after resume()", async () => {
  for (const alwaysReplay of [false, true]) {
    const clock = new ManualClock();
    const start = clock.now();
    const waits = workflow("waits", (ctx) =>
      ctx.all([
        async (ctx) => {
          await ctx.sleep("1h");
          return (ctx.now().getTime() - start) / HOUR_MS;
        },
        (ctx) => ctx.waitForSignal("s", { timeout: "2h" }),
        (ctx) => ctx.waitForSignal("too late", { timeout: "2h" }),
      ]));
    await using engine = await Engine.open(":memory:", { clock, alwaysReplay, workflows: [waits] });
    const handle = await engine.start(waits, { id: "w" });
    if (alwaysReplay) await eventualStatus(handle, "waiting");
    await handle.pause();
    await eventualStatus(handle, "blocked");
    clock.advance(1.5 * HOUR_MS);
    await handle.signal("s", "kept");
    clock.advance(HOUR_MS);
    await handle.signal("too late", 1);
    assertEquals(await handle.status(), "blocked");
    await engine.resume("w");
    assertEquals(await handle.result(), [2.5, "kept", undefined]);
  }
});

Deno.test("pause() of a workflow that waits for nothing but a backoff holds it until resume()", async () => {
  const clock = new ManualClock();
  let attempts = 0;
  const flaky = workflow("flaky", (ctx) =>
    ctx.step("step", () => {
      if (++attempts === 1) throw new Error("once");
      return attempts;
    }, { retry: { maxAttempts: 2, initialInterval: 500 } }));
  await using engine = await Engine.open(":memory:", { clock, workflows: [flaky] });
  const handle = await engine.start(flaky, { id: "f" });
  await eventually(() => clock.timers.length > 0);
  await handle.pause();
  await eventualStatus(handle, "blocked");
  clock.advance(HOUR_MS);
  assertEquals([attempts, await handle.status()], [1, "blocked"]);
  assertEquals(await (await engine.resume("f")).result(), 2);
});

Deno.test("pause() of a workflow that nobody runs is heeded by who takes it up", async () => {
  for (const lost of ["close", "kill"] as const) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    let begun = 0;
    const held = workflow("held", async (ctx) => {
      await ctx.step("step", () => begun++ === 0 ? new Promise<void>(() => {}) : undefined);
      return "done";
    });
    const mortal = await openMortal(file, { closeGrace: 0 });
    const first = await mortal.engine.start(held, { id: "h" });
    await eventually(() => begun === 1);
    first.result().catch(() => {});
    await (lost === "close" ? mortal.engine.close() : mortal.kill());

    await using engine = await Engine.open(file, { workflows: [held] });
    await engine.pause("h");
    if (lost === "close") assertEquals(await engine.handle("h").status(), "blocked");
    await assertRejects(() => engine.run(held, { id: "h" }), WorkflowPausedError);
    assertEquals([begun, await engine.handle("h").status()], [1, "blocked"]);
    assertEquals(await (await engine.resume("h")).result(), "done");
  }
});

Deno.test("pause() from another process stops a workflow that runs, and one that waits", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const go = Promise.withResolvers<void>();
  const runs = workflow("runs", async (ctx) => {
    await ctx.step("step", () => go.promise);
    return await ctx.step("next", () => "done");
  });
  const waits = workflow("waits", (ctx) => ctx.waitForSignal("s"));
  await using one = await Engine.open(file, { alwaysReplay: true });
  await using other = await Engine.open(file, { workflows: [runs, waits] });
  const handles = [await one.start(runs, { id: "runs" }), await one.start(waits, { id: "waits" })];
  await eventualStatus(handles[1]!, "waiting");
  const refused = handles.map((handle) => assertRejects(() => handle.result(), WorkflowPausedError));
  for (const { id } of handles) await other.pause(id);
  await refused[1];
  // It stops once its process has seen the request, which waits for the step.
  await eventually(async () => {
    go.resolve();
    return await handles[0]!.status() !== "running";
  });
  const status = await handles[0]!.status();
  if (status === "blocked") {
    await refused[0];
    assertEquals(await (await other.resume("runs")).result(), "done");
  } else refused[0]!.catch(() => {});
  await other.signal("waits", "s", "kept");
  assertEquals(await (await other.resume("waits")).result(), "kept");
});

Deno.test("resume() and cancel() withdraw a pause that waits for a step to end", async () => {
  const other = workflow("other", (ctx) => ctx.step("step", () => {}));
  for (const alwaysReplay of [false, true]) {
    for (const withdraw of ["resume", "cancel", "cancel before"] as const) {
      const [charged, mailed] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      const steps: string[] = [];
      const booking = workflow("booking", async (ctx) => {
        await ctx.all([
          (ctx) =>
            ctx.step("charge", () => {
              steps.push("charge");
              return charged.promise;
            }, { compensate: () => void steps.push("refund") }),
          async (ctx) => {
            await ctx.step("mail", () => mailed.promise);
            await ctx.step("late", () => void steps.push("late"));
          },
        ]);
        return "booked";
      });
      await using engine = await Engine.open(":memory:", { workflows: [booking], alwaysReplay });
      const handle = await engine.start(booking, { id: "b" });
      await eventually(() => steps.length === 1);
      if (withdraw === "cancel before") await handle.cancel();
      await handle.pause();
      await engine.run(other);
      mailed.resolve();
      await eventually(async () =>
        (await engine.get("b"))!.steps.some(({ status }) => status === "completed")
      );
      await engine.run(other);
      assertEquals(steps, ["charge"]);

      if (withdraw === "resume") await engine.resume("b");
      if (withdraw === "cancel") await handle.cancel();
      charged.resolve();
      if (withdraw === "resume") {
        assertEquals([await handle.result(), steps], ["booked", ["charge", "late"]]);
        continue;
      }
      if (withdraw === "cancel before") {
        // The pause came after it, and holds what undoes the steps.
        await assertRejects(() => handle.result(), WorkflowPausedError);
        await handle.cancel();
      }
      await assertRejects(() => handle.result(), CancelledError);
      assertEquals([await handle.status(), steps], ["cancelled", ["charge", "refund"]]);
    }
  }
});

for (const who of ["the engine that runs it", "another one"]) {
  Deno.test(`cancel() of a workflow that is paused undoes its steps: by ${who}`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const undone: string[] = [];
    const booking = workflow("booking", async (ctx) => {
      await ctx.step("charge", () => {}, { compensate: () => void undone.push("charge") });
      await ctx.sleep("1h");
    });
    await using engine = await Engine.open(file, { workflows: [booking] });
    const handle = await engine.start(booking, { id: "b" });
    await eventualStatus(handle, "waiting");
    await handle.pause();
    await eventualStatus(handle, "blocked");
    if (who === "another one") {
      await using other = await Engine.open(file);
      await other.cancel("b");
      assertEquals(await handle.status(), "pending");
      await engine.resume("b");
    } else {
      await engine.cancel("b");
    }
    await assertRejects(() => handle.result(), CancelledError);
    assertEquals(undone, ["charge"]);
  });
}

Deno.test("pause() refuses a workflow that has ended, or is blocked for another reason", async () => {
  await using engine = await Engine.open(":memory:");
  await engine.run(workflow("done", () => 1), { id: "done" });
  const error = await assertRejects(() => engine.pause("done"), WorkflowStateError);
  assertEquals([error.found, error.workflowId], ["completed", "done"]);
  await assertRejects(() => engine.pause("nobody"), WorkflowNotFoundError);
});

Deno.test("pause() at the instant at which the workflow ends is told by one of the two, and does not stop a retry", async () => {
  let outcomes = 0;
  // The request and the end are brought to meet in every way.
  for (let turnsBefore = 0; turnsBefore < 8; turnsBefore++) {
    const go = Promise.withResolvers<void>();
    let broken = true;
    const fails = workflow("fails", async (ctx) => {
      await ctx.step("step", async () => {
        await go.promise;
        if (broken) throw new Error("broken");
      });
      return "done";
    });
    await using engine = await Engine.open(":memory:", { workflows: [fails] });
    const handle = await engine.start(fails, { id: "f" });
    const result = handle.result().catch((error) => error);
    const end = async () => {
      for (let i = 0; i < turnsBefore; i++) await new Promise<void>((next) => queueMicrotask(next));
      go.resolve();
    };
    const [error] = await Promise.all([result, handle.pause().catch((error) => error), end()]);
    const isPaused = error instanceof WorkflowPausedError;
    assertEquals(await handle.status(), isPaused ? "blocked" : "failed");
    broken = false;
    let again = await (isPaused ? engine.resume("f") : engine.retry("f"));
    // The step's failure may have been committed before the pause.
    if (isPaused && await again.result().catch((error) => error.message) === "broken") {
      again = await engine.retry("f");
    }
    assertEquals(await again.result(), "done");
    outcomes++;
  }
  assertEquals(outcomes, 8);
});
