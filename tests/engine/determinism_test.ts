import { type Context, Engine, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What a workflow draws before its process is lost, and in the replay. */
async function drawTwice<T>(draw: (ctx: Context) => T | Promise<T>): Promise<[T, T]> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const drawn: T[] = [];
  const drawing = workflow("drawing", async (ctx) => {
    drawn.push(await draw(ctx));
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, drawing, { id: "d" });
  await using engine = await Engine.open(file);
  await engine.run(drawing, { id: "d" });
  return [drawn[0]!, drawn[1]!];
}

Deno.test("ctx.random() gives the same numbers in a replay, each at least 0 and less than 1", async () => {
  const [live, replayed] = await drawTwice((ctx) => Array.from({ length: 100 }, () => ctx.random()));
  assertEquals(replayed, live);
  assertEquals(new Set(live).size, 100);
  for (const number of live) assert(number >= 0 && number < 1);
});

Deno.test("ctx.uuid() gives the same UUIDs in a replay", async () => {
  const [live, replayed] = await drawTwice((ctx) => Array.from({ length: 20 }, () => ctx.uuid()));
  assertEquals(replayed, live);
  assertEquals(new Set(live).size, 20);
  for (const uuid of live) {
    assertMatch(uuid, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  }
});

Deno.test("ctx.random() gives parallel branches the same numbers in a replay, whoever comes first", async () => {
  const [live, replayed] = await drawTwice(async (ctx) => {
    const drawn: string[] = [];
    await ctx.all([3, 1, 2].map((ms) => async (ctx: Context) => {
      for (let i = 0; i < 3; i++) {
        await ctx.step("work", () => new Promise((done) => setTimeout(done, ms)));
        drawn.push(`${ms}: ${ctx.random()}`);
      }
    }));
    return drawn;
  });
  assertEquals(replayed, live);
});

Deno.test("ctx.random() and ctx.uuid() are others in each workflow", async () => {
  await using engine = await Engine.open(":memory:");
  const draw = workflow("draw", (ctx) => [ctx.random(), ctx.uuid()]);
  assertNotEquals(await engine.run(draw), await engine.run(draw));
});

Deno.test("ctx.now() is when the workflow was started, then when the outcome was that it saw last", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const clock = new ManualClock(1_000_000);
  const seen: number[][] = [];
  const times = workflow("times", async (ctx) => {
    const now: number[] = [];
    seen.push(now);
    now.push(ctx.now().getTime());
    if (seen.length === 1) clock.advance(5);
    now.push(ctx.now().getTime());
    await ctx.step("work", () => clock.advance(100));
    now.push(ctx.now().getTime());
    await ctx.step("fail", () => {
      clock.advance(1_000);
      throw new Error("No");
    }).catch(() => {});
    now.push(ctx.now().getTime());
    await ctx.step("wait", () => crash.here());
  });
  await crash.happens(file, times, { id: "t" }, { clock });
  const before = seen.at(-1);
  clock.advance(1_000_000);
  await using engine = await Engine.open(file, { clock });
  await engine.run(times, { id: "t" });
  assertEquals(before, [1_000_000, 1_000_000, 1_000_105, 1_001_105]);
  assertEquals(seen.at(-1), before);
});

Deno.test("ctx.now() never goes back, also where the clock does", async () => {
  await using engine = await Engine.open(":memory:", { clock: new ManualClock(1_000) });
  let now = 5_000;
  const clock = { now: () => now -= 100, setTimer: () => () => {} };
  await using backwards = await Engine.open(":memory:", { clock });
  const times = workflow("times", async (ctx) => {
    const seen = [ctx.now().getTime()];
    for (let i = 0; i < 5; i++) {
      await ctx.step("work", () => {});
      seen.push(ctx.now().getTime());
    }
    return seen;
  });
  for (const each of [engine, backwards]) {
    const seen = await each.run(times);
    assertEquals(seen, seen.toSorted((a, b) => a - b));
  }
});

Deno.test("everything the engine draws comes from its random source", async () => {
  const run = async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    let next = 0;
    const random = (bytes: Uint8Array) => void bytes.forEach((_, i) => bytes[i] = next++ * 37);
    await using engine = await Engine.open(file, { random, clock: new ManualClock() });
    const draw = workflow("draw", (ctx) => [ctx.workflowId, ctx.runId, ctx.random(), ctx.uuid()]);
    return await engine.run(draw);
  };
  assertEquals(await run(), await run());
});
