import { type Context, Engine, isWorkflow, step, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("step() returns what its function returns", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const sum = workflow("sum", async (ctx, input: { a: number; b: number }) => {
    const now = await ctx.step("sync", () => input.a + input.b);
    const later = await ctx.step("async", () => Promise.resolve(now * 2));
    return { now, later };
  });
  assertEquals(await engine.run(sum, { input: { a: 1, b: 2 } }), { now: 3, later: 6 });
});

Deno.test("step() returns the stored value on the second run, and does not call its function again", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const calls: string[] = [];
  const order = workflow("order", async (ctx) => {
    const paid = await ctx.step("pay", () => `receipt ${calls.push("pay")}`);
    await ctx.step("ship", async () => {
      await crash.here();
      calls.push("ship");
    });
    return paid;
  });
  await crash.happens(file, order, { id: "order-1" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(order, { id: "order-1" }), "receipt 1");
  assertEquals(calls, ["pay", "ship"]);
});

Deno.test("step() has committed its result when it returns", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const look = (key: string) => query(file, "SELECT status, output_json FROM steps WHERE step_key = ?", key);
  const order = workflow("order", async (ctx) => {
    await ctx.step("pay", () => ({ receipt: 17 }));
    const paid = look("pay#000001");
    await ctx.step("fail", () => Promise.reject(new Error("No"))).catch(() => {});
    return [...paid, ...look("fail#000001")];
  });
  assertEquals<unknown>(await engine.run(order), [
    { status: "completed", output_json: '{"receipt":17}' },
    { status: "failed", output_json: null },
  ]);
});

Deno.test("step() runs a function again whose result was not committed", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  let calls = 0;
  const order = workflow("order", (ctx) =>
    ctx.step("pay", async () => {
      calls++;
      await crash.here();
      return calls;
    }));
  await crash.happens(file, order, { id: "order-1" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(order, { id: "order-1" }), 2);
});

Deno.test("step() is the same as ctx.step()", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const both = workflow("both", async (ctx) => [
    await step(ctx, "one", () => 1),
    await ctx.step("one", () => 2),
    await step(ctx, "late", () => 3, { timeout: "1m", retry: { maxAttempts: 2 } }),
  ]);
  assertEquals(await engine.run(both, { id: "b" }), [1, 2, 3]);
  const keys = (await engine.get("b"))!.steps.map(({ key }) => key);
  assertEquals(keys, ["one#000001", "one#000002", "late#000001"]);
});

Deno.test("step() tells its function the idempotency key, the attempt and a signal", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const told: unknown[] = [];
  const order = workflow("order", async (ctx) => {
    for (let i = 0; i < 2; i++) {
      await ctx.step("pay", ({ idempotencyKey, attempt, signal }) => {
        told.push([idempotencyKey, attempt, signal.aborted]);
        if (attempt === 1 && i === 1) throw new Error("Once more");
      }, { retry: { maxAttempts: 2, initialInterval: 0 } });
    }
  });
  await engine.run(order, { id: "order-17" });
  assertEquals(told, [
    ["order-17/pay#000001", 1, false],
    ["order-17/pay#000002", 1, false],
    ["order-17/pay#000002", 2, false],
  ]);
});

Deno.test("step() rejects arguments that are none, and takes no key for them", async () => {
  await using engine = await Engine.open(":memory:");
  // deno-lint-ignore no-explicit-any -- what a caller without types may pass
  const refused = (ctx: Context) => ctx.step as (...args: any[]) => Promise<unknown>;
  const check = workflow("check", async (ctx) => {
    const call = refused(ctx).bind(ctx);
    await assertRejects(
      () => call("pay", 5),
      TypeError,
      'Cannot run step "pay": wanted a function, found number',
    );
    await assertRejects(
      () => call(5, () => {}),
      TypeError,
      "Cannot use a step's id: wanted a string, found number",
    );
    await assertRejects(() => call("a\nb", () => {}), TypeError, 'found "a\\nb"');
    await assertRejects(() => call("\ud800", () => {}), TypeError, "a step's id");
    await assertRejects(
      () => call("x".repeat(257), () => {}),
      RangeError,
      "wanted 1 to 256 characters, found 257",
    );
    await assertRejects(() => call("pay", () => {}, { semantics: "twice" }), TypeError, 'found "twice"');
    await assertRejects(() => call("pay", () => {}, { timeout: "soon" }), TypeError, "timeout of step");
    await assertRejects(() => call("pay", () => {}, { timeout: -1 }), RangeError, "timeout of step");
    await assertRejects(
      () => call("pay", () => {}, { retry: { maxAttempts: 0 } }),
      RangeError,
      "maxAttempts",
    );
    await assertRejects(() => call("pay", () => {}, { retry: { backoff: 0.5 } }), RangeError, "backoff");
    await assertRejects(() => call("pay", () => {}, { retry: { jitter: 2 } }), RangeError, "jitter");
    await assertRejects(() => call("pay", () => {}, { retry: { retryable: true } }), TypeError, "retryable");
    await assertRejects(
      () => call("pay", () => {}, { retry: { maxInterval: "x" } }),
      TypeError,
      "maxInterval",
    );
    return await ctx.step("pay", ({ idempotencyKey }) => idempotencyKey);
  });
  assertEquals(await engine.run(check, { id: "c" }), "c/pay#000001");
});

Deno.test("step() whose promise nobody waits for does not end the process when it fails", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const careless = workflow("careless", async (ctx) => {
    ctx.step("forgotten", () => Promise.reject(new Error("Nobody looks")));
    ctx.step("refused", 5 as never);
    return await ctx.step("last", () => "done");
  });
  assertEquals(await engine.run(careless, { id: "c" }), "done");
  const forgotten = (await engine.get("c"))!.steps.find(({ key }) => key.startsWith("forgotten"));
  assertEquals([forgotten!.key, forgotten!.status, forgotten!.error!.message], [
    "forgotten#000001",
    "failed",
    "Nobody looks",
  ]);
});

Deno.test("workflow() refuses a name that is none, and what is not a function", () => {
  assertThrows(() => workflow("", () => {}), RangeError, "a workflow's name");
  assertThrows(() => workflow("x".repeat(257), () => {}), RangeError, "found 257");
  assertThrows(() => workflow("a\u0007", () => {}), TypeError, "control characters");
  assertThrows(() => workflow(undefined as never, () => {}), TypeError, "found undefined");
  assertThrows(() => workflow("order", "order" as never), TypeError, "wanted a function, found string");
});

Deno.test("isWorkflow() knows what workflow() has made", () => {
  assert(isWorkflow(workflow("order", () => {})));
  for (const other of [undefined, null, () => {}, { name: "order", run: () => {} }, "order"]) {
    assert(!isWorkflow(other));
  }
});

Deno.test("ctx tells the workflow's id and its run's, another one for each run", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const runs: string[] = [];
  const order = workflow("order", async (ctx) => {
    assertMatch(ctx.runId, /^r_[0-9a-f]{12}$/);
    runs.push(ctx.runId);
    await ctx.step("wait", () => crash.here());
    return ctx.workflowId;
  });
  await crash.happens(file, order, { id: "order-17" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(order, { id: "order-17" }), "order-17");
  assertEquals(new Set(runs).size, 2);
  assertEquals((await engine.get("order-17"))!.runId, runs[1]);
});

Deno.test("step() fails with what looking at its function's result throws, the same in a replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const seen: string[] = [];
  const lazy = workflow("lazy", async (ctx) => {
    const result = () =>
      Object.defineProperty({}, "then", {
        get: () => {
          throw new RangeError("boom");
        },
      });
    await ctx.step("look", result).catch((error) => seen.push(error.name));
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, lazy, { id: "l" });
  await using engine = await Engine.open(file);
  await engine.run(lazy, { id: "l" });
  assertEquals([...new Set(seen)], ["RangeError"]);
  assert(seen.length >= 2);
});
