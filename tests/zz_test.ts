import {
  CancelledError,
  Engine,
  type EngineEvent,
  type signal,
  workflow,
  WorkflowTimeoutError,
} from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { temporaryFolder } from "./temporary_folder.ts";
import { ManualClock } from "./manual_clock.ts";
import { eventually } from "./eventually.ts";
import { query } from "./raw_sqlite.ts";

Deno.test("sleep long", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const file = folder.file("a.db");
  const events: EngineEvent[] = [];
  await using engine = await Engine.open(file, { clock, onEvent: (e) => events.push(e) });
  const w = workflow("w", async (ctx) => {
    const a = ctx.now();
    await ctx.step("a", () => 1);
    await ctx.sleep("3d");
    return ctx.now().getTime() - a.getTime();
  });
  const h = await engine.start(w, { id: "x" });
  await eventually(async () => (await h.status()) === "waiting");
  console.log(query(file, "select * from steps"), query(file, "select status,due_at from workflows"));
  clock.advance(259_200_000);
  assertEquals(await h.result(), 259_200_000);
  console.log(events.map((e) => e.type));
});
Deno.test("short sleeps, races and signals", async () => {
  const engine = await Engine.open(":memory:");
  const w = workflow("w", async (ctx) => {
    await ctx.sleep(5);
    const r = await Promise.race([ctx.sleep(20).then(() => "slept"), ctx.waitForSignal<string>("go")]);
    const s = await ctx.waitForSignal<number>("n");
    const t = await ctx.waitForSignal("never", { timeout: 10 });
    return [r, s, t];
  });
  const h = await engine.start(w, { id: "x" });
  await h.signal("n", 7);
  assertEquals(await h.result(), ["slept", 7, undefined]);
  console.log((await engine.get("x"))!.steps.map((s) => [s.key, s.kind, s.status, s.output]));
  await engine.close();
});
Deno.test("children", async () => {
  const engine = await Engine.open(":memory:");
  const c = workflow("c", async (ctx, n: number) => {
    const x = await ctx.step("s", () => n * 2);
    if (n === 3) throw new RangeError("three");
    return x;
  });
  const p = workflow("p", async (ctx) => {
    const a = await ctx.child(c, { input: 1 });
    const b = await ctx.child(c, { input: 3 }).catch((e) => `${e}`);
    const many = await Promise.all([5, 6, 7].map((input) => ctx.child(c, { input })));
    return [a, b, many];
  });
  assertEquals(await engine.run(p, { id: "p" }), [2, "RangeError: three", [10, 12, 14]]);
  console.log((await engine.list()).map((w) => w.id + " " + w.status));
  await engine.close();
});
Deno.test("cancel, timeout", async () => {
  const engine = await Engine.open(":memory:");
  const w = workflow("w", { timeout: 50 }, async (ctx) => {
    try {
      await ctx.sleep("1h");
    } catch (e) {
      return `${e}`;
    }
  });
  await assertRejects(() => engine.run(w, { id: "t" }), WorkflowTimeoutError);
  const v = workflow("v", async (ctx) => {
    await ctx.sleep("1h");
  });
  const h = await engine.start(v, { id: "v" });
  await eventually(async () => (await h.status()) === "waiting");
  await h.cancel();
  await assertRejects(() => h.result(), CancelledError);
  assertEquals(await h.status(), "cancelled");
  await engine.close();
});
Deno.test("many children", async () => {
  const engine = await Engine.open(":memory:");
  const c = workflow("c", async (ctx, n: number) => await ctx.step("s", () => n));
  const p = workflow(
    "p",
    async (ctx) =>
      (await Promise.all(Array.from({ length: 1000 }, (_, input) => ctx.child(c, { input })))).length,
  );
  const t = performance.now();
  assertEquals(await engine.run(p, { id: "p" }), 1000);
  console.log("fan", performance.now() - t);
  const deep: any = workflow(
    "deep",
    async (ctx, n: number) => n === 0 ? 0 : 1 + await ctx.child<number, number>(deep, { input: n - 1 }),
  );
  const t2 = performance.now();
  assertEquals(await engine.run(deep, { id: "d", input: 1000 }), 1000);
  console.log("deep", performance.now() - t2);
  await engine.close();
});
