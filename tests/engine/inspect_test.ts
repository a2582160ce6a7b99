import {
  Engine,
  type ListFilter,
  type StepDetail,
  workflow,
  WorkflowNotFoundError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("get() shows a workflow with its steps, in the order of their completions", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock(1_000_000);
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const order = workflow("order", async (ctx, _: { sku: string }) => {
    await ctx.step("pay", () => {
      clock.advance(30);
      return { receipt: 1 };
    });
    await ctx.step("fail", () => Promise.reject(new RangeError("No"))).catch(() => {});
    return new Date(5);
  });
  await engine.run(order, { id: "o", input: { sku: "A1" } });
  const { steps, runId, ...summary } = (await engine.get("o"))!;
  assertEquals(summary, {
    id: "o",
    workflow: "order",
    status: "completed",
    createdAt: new Date(1_000_000),
    updatedAt: new Date(1_000_030),
    completedAt: new Date(1_000_030),
    recoveries: 0,
    input: { sku: "A1" },
    output: new Date(5),
  });
  const [pay, fail] = steps as [StepDetail, StepDetail];
  assertEquals(pay, {
    key: "pay#000001",
    id: "pay",
    kind: "step",
    status: "completed",
    attempt: 1,
    runId: runId!,
    output: { receipt: 1 },
    startedAt: new Date(1_000_000),
    completedAt: new Date(1_000_030),
    completion: 1,
  });
  const { error, ...rest } = fail;
  assertEquals([error!.name, error!.message], ["RangeError", "No"]);
  assertEquals(rest, {
    key: "fail#000001",
    id: "fail",
    kind: "step",
    status: "failed",
    attempt: 1,
    runId: runId!,
    output: undefined,
    startedAt: new Date(1_000_030),
    completedAt: new Date(1_000_030),
    completion: 2,
  });
});

Deno.test("get() shows a step that has run for a while as running, after those that are completed", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const go = Promise.withResolvers<void>();
  let begun = false;
  const order = workflow("order", async (ctx) => {
    await ctx.all([
      (ctx) =>
        ctx.step("slow", () => {
          begun = true;
          return go.promise;
        }),
      (ctx) => ctx.step("quick", () => "done"),
    ]);
  });
  const handle = await engine.start(order, { id: "o" });
  await eventually(() => begun);
  clock.advance(1_000);
  const steps = await eventually(async () => {
    const { steps } = (await engine.get("o"))!;
    return steps.length === 2 && steps;
  });
  assertEquals(steps.map(({ key, status, completion }) => [key, status, completion]), [
    ["quick#000001", "completed", 1],
    ["slow#000001", "running", undefined],
  ]);
  go.resolve();
  await handle.result();
});

Deno.test("get() of an unknown id is undefined", async () => {
  await using engine = await Engine.open(":memory:");
  assertEquals(await engine.get("nobody"), undefined);
  await assertRejects(() => engine.get(undefined as never), TypeError, "a workflow id");
});

Deno.test("get() shows what cannot be read as errors, and the rest as it is", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const order = workflow("order", async (ctx, _: { sku: string }) => {
    await ctx.step("pay", () => ({ receipt: 1 }));
    await ctx.step("ship", () => ({ parcel: 2 }));
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, order, { id: "o", input: { sku: "A1" } });
  execute(file, "UPDATE checkpoints SET output_json = '{\"receipt\":' WHERE step_key = 'pay#000001'");
  execute(file, 'UPDATE inputs SET input_json = \'{"sku":"B2"}\'');
  await using engine = await Engine.open(file);
  const { input, steps } = (await engine.get("o"))!;
  assertEquals(input, undefined);
  assertEquals(steps.map(({ key, output, error }) => [key, output, error?.name]).slice(0, 2), [
    ["pay#000001", undefined, "CorruptCheckpointError"],
    ["ship#000001", { parcel: 2 }, undefined],
  ]);
});

Deno.test("list() shows workflows, the newest first", async () => {
  await using engine = await Engine.open(":memory:", { clock: new ManualClock(1_000) });
  const fine = workflow("fine", () => {});
  const failing = workflow("failing", () => Promise.reject(new RangeError("No")));
  await engine.run(fine, { id: "1" });
  await engine.run(failing, { id: "2" }).catch(() => {});
  const [second, first] = await engine.list();
  const { runId, error, ...rest } = second!;
  assert(runId!.startsWith("r_"));
  assertEquals([error!.name, error!.message], ["RangeError", "No"]);
  const at = new Date(1_000);
  const summary = { createdAt: at, updatedAt: at, completedAt: at, recoveries: 0 };
  assertEquals(rest, { id: "2", workflow: "failing", status: "failed", ...summary });
  assertEquals([first!.id, first!.status, "error" in first!], ["1", "completed", false]);
});

Deno.test("list() filters by status and workflow, and goes on where a list ended", async () => {
  await using engine = await Engine.open(":memory:");
  const fine = workflow("fine", () => {});
  const failing = workflow("failing", () => Promise.reject(new Error("No")));
  for (let i = 0; i < 6; i++) await engine.run(i % 3 === 0 ? failing : fine, { id: `${i}` }).catch(() => {});
  const ids = async (filter: Parameters<Engine["list"]>[0]) =>
    (await engine.list(filter)).map(({ id }) => id).join("");
  assertEquals(await ids({}), "543210");
  assertEquals(await ids({ status: "failed" }), "30");
  assertEquals(await ids({ status: ["failed", "completed"] }), "543210");
  assertEquals(await ids({ status: [] }), "543210");
  assertEquals(await ids({ status: "blocked" }), "");
  assertEquals(await ids({ workflow: "fine" }), "5421");
  assertEquals(await ids({ limit: 2 }), "54");
  assertEquals(await ids({ limit: 2, before: "4" }), "32");
  assertEquals(await ids({ workflow: "fine", status: "completed", limit: 3, before: "5" }), "421");
  assertEquals(await ids({ before: "0" }), "");
});

Deno.test("list() gives 100 workflows unless it is told how many", async () => {
  await using engine = await Engine.open(":memory:");
  const fine = workflow("fine", () => {});
  await Promise.all(Array.from({ length: 101 }, () => engine.run(fine)));
  assertEquals((await engine.list()).length, 100);
  assertEquals((await engine.list({ limit: 10_000 })).length, 101);
});

Deno.test("list() refuses a filter that is none", async () => {
  await using engine = await Engine.open(":memory:");
  await assertRejects(() => engine.list({ status: "done" as never }), TypeError, 'found "done"');
  await assertRejects(() => engine.list({ before: "nobody" }), WorkflowNotFoundError, "nobody");
  for (const limit of [0, -1, 1.5, 10_001, NaN]) {
    await assertRejects(
      () => engine.list({ limit }),
      RangeError,
      `wanted a limit from 1 to 10000, found ${limit}`,
    );
  }
});

Deno.test("a person with a SQL shell reads steps in the view of that name", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(1_000_000);
  await using engine = await Engine.open(file, { clock });
  const order = workflow("order", async (ctx) => {
    await ctx.step("pay", () => {
      clock.advance(30);
      return { receipt: 1 };
    });
  });
  await engine.run(order, { id: "o" });
  const [row] = query(file, "SELECT * FROM steps");
  const { checksum, ...rest } = row!;
  assertEquals(typeof checksum, "number");
  assertEquals(rest, {
    workflow_id: "o",
    step_key: "pay#000001",
    kind: "step",
    status: "completed",
    output_json: '{"receipt":1}',
    error_json: null,
    run_id: (await engine.get("o"))!.runId,
    attempt: 1,
    started_at: 1_000_000,
    completed_at: 1_000_030,
    next_attempt_at: null,
    completion: 1,
    retried: 0,
    topic: null,
  });
});

Deno.test("steps() gives all steps page by page, those that run last, and get() says how many more there are", async () => {
  await using engine = await Engine.open(":memory:", { alwaysReplay: false });
  const gate = Promise.withResolvers<void>();
  const many = workflow("many", async (ctx) => {
    for (let i = 0; i < 1_005; i++) await ctx.step("done", () => i);
    await ctx.all(["c", "a", "b"].map((id) => (ctx) => ctx.step(id, () => gate.promise)));
  });
  const handle = await engine.start(many, { id: "m" });
  // Rows of running steps come with the next commit, or after a while.
  await eventually(async () => (await engine.steps("m", { after: "c1005" })).steps.length === 3);
  const detail = (await engine.get("m"))!;
  assertEquals([detail.steps.length, detail.moreSteps], [1_000, { count: 8, after: "c1000" }]);
  for (const limit of [1, 2, 7, 1_000]) {
    const keys: string[] = [];
    let pages = 0;
    let after: string | undefined;
    do {
      const page = await engine.steps("m", { after, limit });
      assert(page.steps.length <= limit);
      keys.push(...page.steps.map(({ key }) => key));
      after = page.next;
      pages++;
      if (limit === 1 && pages === 10) after = "c1001";
    } while (after !== undefined);
    assertEquals(keys.slice(-5), ["done#001004", "done#001005", "a#000001", "b#000001", "c#000001"]);
    if (limit > 1) assertEquals([keys.length, pages], [1_008, Math.ceil(1_008 / limit)]);
  }
  assertEquals((await engine.steps("m")).steps.length, 100);
  gate.resolve();
  await handle.result();
  assertEquals((await engine.get("m"))!.moreSteps?.count, 8);
  for (const after of ["", "1", "c", "c1x", "r1", "c1 a", "x1"]) {
    await assertRejects(() => engine.steps("m", { after }), TypeError, "an earlier page");
  }
  for (const limit of [0, 1_001, 1.5]) {
    await assertRejects(() => engine.steps("m", { limit }), RangeError, `found ${limit}`);
  }
  await assertRejects(() => engine.steps("m", { before: "c1" } as object), TypeError, "before");
  await assertRejects(() => engine.steps("nobody"), WorkflowNotFoundError);
});

Deno.test("list() by status, by name and by both gives the newest of them, whatever lies between", async () => {
  await using engine = await Engine.open(":memory:", { alwaysReplay: false });
  const [good, bad] = ["good", "bad"].map((name) =>
    workflow(name, (_ctx, fails: boolean) => {
      if (fails) throw new Error("x".repeat(50_000));
    })
  );
  for (let i = 0; i < 12; i++) {
    const input = i % 3 === 0;
    await engine.run([good!, bad!][i % 2]!, { id: `w${i}`, input }).catch(() => {});
  }
  const ids = async (filter: ListFilter) => (await engine.list(filter)).map(({ id }) => id).join(" ");
  assertEquals(await ids({ limit: 3 }), "w11 w10 w9");
  assertEquals(await ids({ status: "failed" }), "w9 w6 w3 w0");
  assertEquals(await ids({ status: ["failed", "completed"], limit: 4 }), "w11 w10 w9 w8");
  assertEquals(await ids({ status: ["failed", "failed"], limit: 2, before: "w9" }), "w6 w3");
  assertEquals(await ids({ workflow: "good" }), "w10 w8 w6 w4 w2 w0");
  assertEquals(await ids({ workflow: "good", before: "w4" }), "w2 w0");
  assertEquals(await ids({ workflow: "bad", status: "failed" }), "w9 w3");
  assertEquals(await ids({ workflow: "nobody" }), "");
  const gate = Promise.withResolvers<void>();
  const held = workflow("good", (ctx) => ctx.step("held", () => gate.promise));
  const handles = [await engine.start(held, { id: "h0" }), await engine.start(held, { id: "h1" })];
  assertEquals(await ids({ status: "running" }), "h1 h0");
  assertEquals(await ids({ status: ["running", "failed"], limit: 3 }), "h1 h0 w9");
  assertEquals(await ids({ workflow: "good", limit: 3, before: "h1" }), "h0 w10 w8");
  assertEquals(await ids({ workflow: "bad", status: "running" }), "");
  gate.resolve();
  for (const handle of handles) await handle.result();
  const [failed] = await engine.list({ status: "failed", limit: 1 });
  assertEquals(failed!.error, { name: "Error", message: "x".repeat(1_000) });
  assertEquals((await engine.get("w9"))!.error!.message.length, 50_000);
});
