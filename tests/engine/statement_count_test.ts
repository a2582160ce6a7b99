import { StatementSync } from "node:sqlite";
import { assertEquals, assertLess } from "@std/assert";
import { Engine, workflow } from "@stepwell/stepwell";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";

/** How many statements this process runs while something is done. */
async function countStatements(act: () => Promise<unknown>): Promise<number> {
  let count = 0;
  const prototype = StatementSync.prototype as unknown as Record<"run" | "all", () => unknown>;
  const { run, all } = prototype;
  const counted = (method: () => unknown) =>
    function (this: unknown, ...args: []) {
      count++;
      return method.apply(this, args);
    };
  Object.assign(prototype, { run: counted(run), all: counted(all) });
  try {
    await act();
    return count;
  } finally {
    Object.assign(prototype, { run, all });
  }
}

async function signalled(count: number): Promise<number> {
  await using engine = await Engine.open(":memory:", { alwaysReplay: false, clock: new ManualClock() });
  const waits = workflow("waits", async (ctx) => {
    const all = Array.from({ length: count }, (_, i) => ctx.waitForSignal<number>(`s${i}`));
    return (await Promise.all(all)).length;
  });
  const handle = await engine.start(waits, { id: "w" });
  return await countStatements(async () => {
    for (let i = 0; i < count; i++) await engine.signal("w", `s${i}`, i);
    assertEquals(await handle.result(), count);
  });
}

async function withChildren(count: number): Promise<number> {
  await using engine = await Engine.open(":memory:", { alwaysReplay: false, clock: new ManualClock() });
  const child = workflow("child", (ctx) => ctx.waitForSignal("end"));
  const parent = workflow("parent", async (ctx) => {
    const all = Array.from({ length: count }, (_, i) => ctx.child(child, { id: `c${i}` }));
    return (await Promise.all(all)).length;
  });
  const handle = await engine.start(parent);
  await eventually(async () => (await engine.list({ workflow: "child", limit: 1_000 })).length === count);
  return await countStatements(async () => {
    for (let i = 0; i < count; i++) {
      await engine.signal(`c${i}`, "end");
      await engine.handle(`c${i}`).result();
    }
    assertEquals(await handle.result(), count);
  });
}

Deno.test("a signal costs as many statements however many others a workflow waits for", async () => {
  const [few, many] = [await signalled(100), await signalled(400)];
  assertLess(many / few, 4.4);
});

Deno.test("the end of a child costs as many statements however many others its parent waits for", async () => {
  const [few, many] = [await withChildren(100), await withChildren(400)];
  assertLess(many / few, 4.4);
});
