import { assert, assertEquals, assertInstanceOf, assertRejects, assertThrows } from "@std/assert";
import { CancelledError, Engine, workflow, WorkflowTimeoutError } from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR_MS = 3_600_000;

Deno.test("a workflow's timeout ends it while it waits, however it is let go", async () => {
  for (const alwaysReplay of [false, true]) {
    const clock = new ManualClock();
    const start = clock.now();
    await using engine = await Engine.open(":memory:", { clock, alwaysReplay });
    const caught: unknown[] = [];
    const waiting = workflow("waiting", { timeout: "2h" }, async (ctx) => {
      await ctx.sleep("1h");
      await ctx.waitForSignal("s").catch((error) => caught.push(error));
      return "whatever it returns";
    });
    const handle = await engine.start(waiting, { id: "w" });
    await eventualStatus(handle, "waiting");
    clock.advance(HOUR_MS);
    await eventually(async () => (await engine.get("w"))!.steps[0]!.status === "completed");
    clock.advance(HOUR_MS - 1);
    await engine.run(workflow("other", (ctx) => ctx.step("step", () => 1)));
    assertEquals(caught, []);
    clock.advance(1);
    const error = await assertRejects(() => handle.result(), WorkflowTimeoutError);
    assertEquals([error.workflowId, error.deadline], ["w", new Date(start + 2 * HOUR_MS)]);
    assertInstanceOf(caught[0], WorkflowTimeoutError);
    assertEquals([caught.length, await handle.status()], [1, "failed"]);
  }
});

Deno.test("a workflow's timeout aborts the signal of a step that runs", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const signals: AbortSignal[] = [];
  const slow = workflow("slow", { timeout: "1h" }, (ctx) =>
    ctx.step("step", ({ signal }) => {
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }, { retry: { maxAttempts: 3 } }));
  const handle = await engine.start(slow, { id: "s" });
  await eventually(() => signals.length === 1);
  clock.advance(HOUR_MS);
  await assertRejects(() => handle.result(), WorkflowTimeoutError);
  assertInstanceOf(signals[0]!.reason, WorkflowTimeoutError);
  assertEquals(signals.length, 1);
});

Deno.test("a workflow's timeout goes on while nobody runs it, and is counted from its first start", async () => {
  for (const end of ["close", "kill"] as const) {
    for (const state of ["waiting", "running"] as const) {
      await using folder = temporaryFolder();
      const file = folder.file("a.db");
      const clock = new ManualClock();
      let begun = false;
      const held = workflow("held", { timeout: "2h" }, async (ctx) => {
        if (state === "waiting") await ctx.waitForSignal("s");
        await ctx.step("step", () => {
          begun = true;
          return new Promise(() => {});
        });
      });
      {
        const mortal = await openMortal(file, { clock, closeGrace: 0, alwaysReplay: true });
        const handle = await mortal.engine.start(held, { id: "h" });
        if (state === "waiting") await eventualStatus(handle, "waiting");
        else await eventually(() => begun);
        handle.result().catch(() => {});
        if (end === "kill") await mortal.kill();
        else {
          const closed = mortal.engine.close();
          clock.advance(0);
          await closed;
        }
      }
      clock.advance(2 * HOUR_MS);
      await using engine = await Engine.open(file, { clock });
      begun = false;
      const error = await assertRejects(() => engine.run(held, { id: "h" }), WorkflowTimeoutError);
      assertEquals(error.deadline, new Date(clock.now()), `${end} ${state}`);
      assertEquals(begun, false);
    }
  }
});

Deno.test("a workflow's timeout is what start() says rather than its definition, and is none for one that ends before", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const waiting = workflow("waiting", { timeout: "1h" }, (ctx) => ctx.waitForSignal("s"));
  const short = await engine.start(waiting, { id: "short", timeout: "10m" });
  const long = await engine.start(waiting, { id: "long", timeout: "3h" });
  await eventualStatus(short, "running");
  clock.advance(600_000);
  await assertRejects(() => short.result(), WorkflowTimeoutError);
  clock.advance(HOUR_MS);
  await long.signal("s", "in time");
  assertEquals(await long.result(), "in time");
  assertEquals(clock.timers, []);
  await assertRejects(() => engine.start(waiting, { timeout: "soon" as "1s" }), TypeError, "timeout");
  assertThrows(() => workflow("bad", { timeout: -1 }, () => 1), RangeError, "timeout");
});

Deno.test("what came before a workflow's timeout is seen before it, also where nobody looked until later", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const seen: unknown[] = [];
  const waiting = workflow("waiting", { timeout: "2h" }, async (ctx) => {
    seen.push(await ctx.waitForSignal("s"));
    await ctx.sleep("1h").then(() => seen.push("slept"), (error) => seen.push(error.name));
  });
  {
    const mortal = await openMortal(file, { clock, alwaysReplay: true });
    await eventualStatus(await mortal.engine.start(waiting, { id: "w" }), "waiting");
    await mortal.kill();
  }
  {
    await using engine = await Engine.open(file, { clock });
    await engine.signal("w", "s", "in time");
    clock.advance(3 * HOUR_MS);
    await engine.cancel("w");
  }
  await using engine = await Engine.open(file, { clock });
  await assertRejects(() => engine.run(waiting, { id: "w" }), WorkflowTimeoutError);
  assertEquals(seen.slice(-2), ["in time", "WorkflowTimeoutError"]);
});

Deno.test("retry() of a workflow that was out of time gives it all of its time once more", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const steps: string[] = [];
  const waiting = workflow("waiting", { timeout: "2h" }, async (ctx) => {
    await ctx.step("step", () => void steps.push("step"));
    return await ctx.waitForSignal("s");
  });
  await using engine = await Engine.open(file, { clock, workflows: [waiting], alwaysReplay: true });
  const handle = await engine.start(waiting, { id: "w" });
  for (let time = 1; time <= 3; time++) {
    await eventualStatus(handle, "waiting");
    clock.advance(2 * HOUR_MS);
    const error = await assertRejects(() => handle.result(), WorkflowTimeoutError);
    assertEquals(error.deadline, new Date(clock.now()), `time ${time}`);
    clock.advance(HOUR_MS);
    await engine.retry("w");
  }
  await eventualStatus(handle, "waiting");
  clock.advance(2 * HOUR_MS - 1);
  await handle.signal("s", "in time");
  assertEquals(await handle.result(), "in time");
  assertEquals(steps, ["step"]);
});

Deno.test("a workflow's timeout goes down to its children, unless they are detached or have less time", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock, alwaysReplay: true });
  const child = workflow("child", (ctx) => ctx.waitForSignal("s"));
  const parent = workflow("parent", { timeout: "2h" }, (ctx) =>
    ctx.all([
      async (ctx) => {
        const error = await ctx.child(child, { id: "short", timeout: "1h" }).catch((error) =>
          error
        ) as WorkflowTimeoutError;
        return [error.name, error.workflowId];
      },
      (ctx) => ctx.child(child, { id: "inherits" }),
      (ctx) => ctx.child(child, { id: "long", timeout: "5h" }),
      (ctx) => ctx.child(child, { id: "detached", detached: true }),
    ]));
  const handle = await engine.start(parent, { id: "p" });
  for (const id of ["short", "inherits", "long", "detached"]) {
    await eventually(async () => (await engine.get(id))?.status === "waiting");
  }
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  await assertRejects(() => engine.handle("short").result(), WorkflowTimeoutError);
  await eventually(async () => (await engine.get("p"))!.steps.some(({ status }) => status === "failed"));
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  await assertRejects(() => handle.result(), WorkflowTimeoutError);
  for (const id of ["inherits", "long"]) {
    const error = await engine.handle(id).result().catch((error) => error);
    assert(error instanceof WorkflowTimeoutError || error instanceof CancelledError, `${id}: ${error}`);
  }
  assertEquals(await engine.handle("detached").status(), "waiting");
});
