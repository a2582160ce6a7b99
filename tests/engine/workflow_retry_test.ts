import {
  type Context,
  Engine,
  type EngineEvent,
  UnknownWorkflowError,
  workflow,
  WorkflowNotFoundError,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { eventually } from "../eventually.ts";
import { openMortal } from "../mortal_database.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("retry() runs a failed workflow again from the step whose failure it was", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  let bankIsUp = false;
  const order = workflow("order", async (ctx, sku: string) => {
    await ctx.step("reserve", () => calls.push("reserve"));
    await ctx.step("pay", () => {
      calls.push("pay");
      if (!bankIsUp) throw new Error("The bank is down");
    });
    await ctx.step("ship", () => calls.push("ship"));
    return `shipped ${sku}`;
  });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [order] });
  await assertRejects(() => engine.run(order, { id: "o", input: "A1" }), Error, "The bank is down");
  await assertRejects(async () => await (await engine.retry("o")).result(), Error, "The bank is down");
  bankIsUp = true;
  assertEquals(await (await engine.retry("o")).result(), "shipped A1");
  assertEquals(calls, ["reserve", "pay", "pay", "pay", "ship"]);
  const { status, error, steps } = (await engine.get("o"))!;
  assertEquals([status, error], ["completed", undefined]);
  assertEquals(steps.map(({ key, status }) => [key, status]), [
    ["reserve#000001", "completed"],
    ["pay#000001", "completed"],
    ["ship#000001", "completed"],
  ]);
});

Deno.test("retry() gives a step its attempts anew", async () => {
  await using engine = await Engine.open(":memory:", { workflows: [] });
  const attempts: number[] = [];
  const flaky = workflow("flaky", (ctx) =>
    ctx.step("call", ({ attempt }) => {
      attempts.push(attempt);
      if (attempts.length < 4) throw new Error("No");
    }, { retry: { maxAttempts: 2, initialInterval: 0 } }));
  await using other = await Engine.open(":memory:", { workflows: [flaky] });
  await assertRejects(() => other.run(flaky, { id: "f" }));
  await (await other.retry("f")).result();
  assertEquals(attempts, [1, 2, 1, 2]);
  await assertRejects(() => engine.retry("f"), WorkflowNotFoundError);
});

Deno.test("retry() keeps what other branches had done by then", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  let broken = true;
  const failed = Promise.withResolvers<void>();
  const branches = workflow("branches", (ctx) =>
    ctx.all([
      (ctx) =>
        ctx.step("broken", () => {
          calls.push("broken");
          if (broken) throw new Error("Broken");
          return "mended";
        }),
      (ctx) =>
        ctx.step("late", async () => {
          calls.push("late");
          await failed.promise;
          return "late";
        }),
      async (ctx) => {
        await ctx.step("first", () => calls.push("first"));
        return await ctx.step("refused", () => "second");
      },
    ]));
  const onEvent = (event: EngineEvent) => event.type === "stepFailed" && failed.resolve();
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [branches], onEvent });
  await assertRejects(() => engine.run(branches, { id: "b" }), Error, "Broken");
  broken = false;
  assertEquals(await (await engine.retry("b")).result(), ["mended", "late", "second"]);
  assertEquals(calls.toSorted(), ["broken", "broken", "first", "late"]);
});

Deno.test("retry() of branches lets the workflow see the same in each replay after it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  let broken = true;
  let stays = true;
  const seen: unknown[] = [];
  const branches = workflow("branches", async (ctx) => {
    const results = await ctx.all(["a", "b", "c"].map((id) => async (ctx: Context) => {
      const first = await ctx.step(id, () => {
        if (broken && id === "b") throw new Error("Broken");
        return id;
      });
      return first + await ctx.step("then", ({ idempotencyKey }) => idempotencyKey);
    }));
    seen.push(results);
    await ctx.step("wait", () => stays ? new Promise<void>(() => {}) : undefined);
    return results;
  });
  for (let i = 0; i < 2; i++) {
    await using engine = await Engine.open(file, { workflows: [branches], closeGrace: 0 });
    if (broken) await assertRejects(() => engine.run(branches, { id: "b" }), Error, "Broken");
    await (broken ? engine.retry("b") : engine.resume("b"));
    broken = false;
    await eventually(() => seen.length === i + 1);
  }
  stays = false;
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(branches, { id: "b" }), seen[0]);
  assert(seen.length >= 3);
  for (const results of seen) assertEquals(results, seen[0]);
});

Deno.test("retry() goes on after its process was lost", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  const order = workflow("order", async (ctx) => {
    await ctx.step("reserve", () => calls.push("reserve"));
    await ctx.step("pay", () => {
      calls.push("pay");
      if (calls.length === 2) throw new Error("No");
      return calls.length === 3 ? new Promise<void>(() => {}) : undefined;
    });
  });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(order, { id: "o" }));
  }
  {
    const mortal = await openMortal(file, { workflows: [order] });
    await mortal.engine.retry("o");
    await eventually(() => calls.length === 3);
    await mortal.kill();
  }
  await using engine = await Engine.open(file);
  await engine.run(order, { id: "o" });
  assertEquals(calls, ["reserve", "pay", "pay", "pay"]);
});

Deno.test("retry() finds the step whose failure is the cause of the workflow's error", async () => {
  await using engine0 = await Engine.open(":memory:");
  let calls = 0;
  const wrapping = workflow("wrapping", async (ctx) => {
    try {
      await ctx.step("pay", () => {
        if (calls++ === 0) throw new Error("No money");
      });
    } catch (cause) {
      throw new Error("Cannot order", { cause });
    }
  });
  await using engine = await Engine.open(":memory:", { workflows: [wrapping] });
  await assertRejects(() => engine.run(wrapping, { id: "w" }), Error, "Cannot order");
  const { error } = (await engine.get("w"))!;
  assertEquals([error!.step, error!.cause!.message], ["pay#000001", "No money"]);
  await (await engine.retry("w")).result();
  assertEquals([calls, await engine0.list()], [2, []]);
});

Deno.test("retry() of a workflow that failed by itself runs its code again over what is stored", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  const define = (fixed: boolean) =>
    workflow("order", async (ctx) => {
      ctx.step("background", () => fixed ? "done" : new Promise<string>(() => {})).catch(() => {});
      await ctx.step("pay", () => calls.push("pay"));
      if (!fixed) throw new TypeError("undefined is not a function");
      return await ctx.step("ship", () => calls.push("ship"));
    });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(define(false), { id: "o" }), TypeError);
  }
  await using engine = await Engine.open(file, { workflows: [define(true)] });
  assertEquals(await (await engine.retry("o")).result(), 2);
  assertEquals(calls, ["pay", "ship"]);
});

Deno.test("retry() runs again what was abandoned when its workflow failed by itself", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const define = (fixed: boolean) =>
    workflow("order", async (ctx) => {
      const background = ctx.step("background", () => fixed ? "done" : new Promise<string>(() => {}), {
        semantics: fixed ? "at-least-once" : "at-most-once",
      });
      await ctx.step("pay", () => {});
      if (!fixed) throw new TypeError("undefined is not a function");
      return await background;
    });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(define(false), { id: "o" }), TypeError);
    const abandoned = (await engine.get("o"))!.steps.find(({ id }) => id === "background")!;
    assertEquals([abandoned.status, abandoned.error!.name], ["failed", "StepAbandonedError"]);
  }
  await using engine = await Engine.open(file, { workflows: [define(true)] });
  assertEquals(await (await engine.retry("o")).result(), "done");
});

Deno.test("retry() refuses a workflow that has not failed, is unknown, or whose code is missing", async () => {
  await using engine = await Engine.open(":memory:");
  const fine = workflow("fine", () => {});
  const failing = workflow("failing", () => Promise.reject(new Error("No")));
  await engine.run(fine, { id: "fine" });
  await assertRejects(() => engine.run(failing, { id: "failing" }));
  const error = await assertRejects(() => engine.retry("fine"), WorkflowStateError);
  assertEquals(error.message, 'Cannot retry workflow "fine": it must be failed, and is completed');
  assertEquals([error.wanted, error.found], ["failed", "completed"]);
  await assertRejects(() => engine.retry("nobody"), WorkflowNotFoundError);
  await assertRejects(() => engine.retry("failing"), UnknownWorkflowError);
  assertEquals(await engine.handle("failing").status(), "failed");
});
