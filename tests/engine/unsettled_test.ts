import { type Context, Engine, type EngineEvent, StoreError, workflow } from "@stepwell/stepwell";
import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { openCrashing } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** The details of the events of some types, without those of all. */
function told(events: readonly EngineEvent[], ...types: EngineEvent["type"][]): unknown[] {
  return events.filter(({ type }) => types.includes(type))
    .map(({ at: _at, workflowId: _id, workflow: _name, runId: _run, ...detail }) => detail);
}

Deno.test("ctx that is used after its workflow has ended is refused, and an event says so", async () => {
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(":memory:", { onEvent: (event) => events.push(event) });
  const other = workflow("other", () => {});
  const calls: Record<string, (ctx: Context) => Promise<unknown>> = {
    step: (ctx) => ctx.step("late", () => 1),
    transaction: (ctx) => ctx.transaction("late", () => 1),
    sleep: (ctx) => ctx.sleep(0),
    sleepUntil: (ctx) => ctx.sleepUntil(0),
    waitForSignal: (ctx) => ctx.waitForSignal("late"),
    child: (ctx) => ctx.child(other),
    publish: (ctx) => ctx.publish("late", 1),
    emit: (ctx) => ctx.emit("late", 1),
  };
  for (const ending of ["returned", "failed"]) {
    for (const [method, call] of Object.entries(calls)) {
      const id = `${method}-${ending}`;
      let kept!: Context;
      const leaking = workflow("leaking", async (ctx) => {
        kept = ctx;
        await ctx.step("first", () => 1);
        if (ending === "failed") throw new Error("No");
      });
      await engine.run(leaking, { id }).catch(() => {});
      events.length = 0;
      // Nobody need wait for it: that ends no process.
      void call(kept);
      await assertRejects(
        () => call(kept),
        TypeError,
        `Cannot call ctx.${method}(): workflow "${id}" has ended; ` +
          "its function must await all that uses ctx before it returns",
      );
      const misused = events.filter(({ type }) => type === "contextMisused");
      assertEquals(misused.map((event) => [event.workflowId, (event as { method: string }).method]), [
        [id, method],
        [id, method],
      ]);
      await assertRejects(() => kept.all([(ctx) => call(ctx)]), TypeError, "has ended");
      assertEquals((await engine.get(id))!.steps.map(({ key }) => key), ["first#000001"]);
    }
  }
});

Deno.test("ctx that is used while the outcome of its workflow is being stored is refused as well", async () => {
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(":memory:", { onEvent: (event) => events.push(event) });
  let late: Promise<unknown> | undefined;
  const racing = workflow("racing", async (ctx) => {
    await ctx.step("first", () => 1);
    // Its continuation comes right after the function's own.
    queueMicrotask(() => queueMicrotask(() => queueMicrotask(() => late = ctx.step("late", () => 1))));
  });
  await engine.run(racing, { id: "r" });
  await assertRejects(() => late!, TypeError, "has ended");
  assertEquals(told(events, "contextMisused").length, 1);
});

Deno.test("a workflow that ends with a step that was never awaited tells stepAbandoned, before its end", async () => {
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(":memory:", { onEvent: (event) => events.push(event) });
  const open = Promise.withResolvers<void>();
  const forgetful = workflow("forgetful", async (ctx) => {
    void ctx.step("mail", () => open.promise);
    void ctx.step("log", () => open.promise, { retry: { maxAttempts: 2 } });
    void ctx.sleep("1h");
    return await ctx.step("pay", () => "paid");
  });
  assertEquals(await engine.run(forgetful, { id: "f" }), "paid");
  assertEquals(told(events, "stepAbandoned", "completed"), [
    { type: "stepAbandoned", key: "mail#000001", attempt: 1 },
    { type: "stepAbandoned", key: "log#000001", attempt: 1 },
    { type: "completed", output: "paid" },
  ]);
  open.resolve();
});

Deno.test("a step whose function waits for its own workflow is told so", async () => {
  await using engine = await Engine.open(":memory:");
  const refusal = 'Cannot wait for the result of workflow "self" in the function of its own step "';
  const waiting = workflow("waiting", async (ctx) => {
    const errors: unknown[] = [];
    const note = (error: unknown) => void errors.push(error);
    await ctx.step("handle", () => engine.handle("self").result()).catch(note);
    await ctx.step("run", () => engine.run(waiting, { id: "self" })).catch(note);
    await ctx.transaction("transaction", () => engine.handle("self").result()).catch(note);
    return errors.map((error) => (error as Error).message.slice(0, refusal.length));
  });
  assertEquals(await engine.run(waiting, { id: "self" }), [refusal, refusal, refusal]);
  // What waits for another workflow is none of these.
  const other = workflow("other", () => "other");
  await engine.start(other, { id: "other" });
  const asking = workflow("asking", (ctx) => ctx.step("ask", () => engine.handle<string>("other").result()));
  assertEquals(await engine.run(asking), "other");
});

Deno.test("result() that is asked for after a storage error has suspended the workflow waits for its outcome", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const events: EngineEvent[] = [];
  const { engine, database } = await openCrashing(file, {
    clock: new ManualClock(),
    onEvent: (event) => events.push(event),
  }, () => false);
  const big = "x".repeat(50_000);
  const go = Promise.withResolvers<void>();
  const saving = workflow("saving", async (ctx) => {
    await ctx.step("begin", () => 1);
    await ctx.step("save", async () => {
      await go.promise;
      return big;
    });
    return "saved";
  });
  const handle = await engine.start(saving, { id: "s" });
  const before = handle.result().catch((error) => error);
  await eventually(() => events.some(({ type }) => type === "stepCompleted"));
  await database.read({ sql: "PRAGMA max_page_count = 1", params: [] });
  go.resolve();
  assertInstanceOf(await before, StoreError);
  await eventually(() => events.some(({ type }) => type === "suspended"));
  const after = handle.result();
  await database.read({ sql: "PRAGMA max_page_count = 1000000", params: [] });
  const other = engine.run(saving, { id: "s" });
  assertEquals([await after, await other], ["saved", "saved"]);
  await engine.close();
});
