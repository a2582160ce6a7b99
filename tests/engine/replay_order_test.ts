import { type Context, Engine, type EngineEvent, workflow } from "@stepwell/stepwell";
import { assertEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Results that a test lets out one by one, in an order of its choice. */
class Doors {
  readonly #doors = new Map<string, PromiseWithResolvers<void>>();

  #door(name: string): PromiseWithResolvers<void> {
    if (!this.#doors.has(name)) this.#doors.set(name, Promise.withResolvers());
    return this.#doors.get(name)!;
  }

  /** Waits until the door of this name is open, and gives its name. */
  async through(name: string): Promise<string> {
    await this.#door(name).promise;
    return name;
  }

  open(name: string): void {
    this.#door(name).resolve();
  }

  fail(name: string): void {
    this.#door(name).reject(new Error(name));
  }
}

/** Opens each door once the one before it has been committed. */
function openInOrder(doors: Doors, keys: Record<string, string>, order: readonly string[]) {
  const rest = [...order];
  const next = () => {
    const name = rest.shift();
    if (name?.endsWith("!")) doors.fail(name.slice(0, -1));
    else if (name !== undefined) doors.open(name);
  };
  const waiting = new Set(Object.values(keys));
  return (event: EngineEvent) => {
    if (event.type === "stepStarted" && waiting.delete(event.key) && waiting.size === 0) next();
    if (event.type === "stepCompleted" || event.type === "stepFailed") next();
  };
}

Deno.test("a replay gives the outcomes of parallel steps in the order in which they were first seen", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const doors = new Doors();
  const crash = new Crash();
  let seen: string[] = [];
  const parallel = workflow("parallel", async (ctx) => {
    const order: string[] = [];
    seen = order;
    const branch = (name: string) =>
      ctx.step(name, () => doors.through(name)).then((value) => order.push(value));
    await Promise.all(["a", "b", "c", "d"].map(branch));
    await ctx.step("wait", () => crash.here());
    return order;
  });
  const keys = { a: "a#000001", b: "b#000001", c: "c#000001", d: "d#000001" };
  const onEvent = openInOrder(doors, keys, ["c", "a", "d", "b"]);
  await crash.happens(file, parallel, { id: "p" }, { onEvent });
  const before = seen;
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(parallel, { id: "p" }), ["c", "a", "d", "b"]);
  assertEquals([before, seen], [["c", "a", "d", "b"], ["c", "a", "d", "b"]]);
});

Deno.test("branches that call one step id in loops get the same values after a crash as before it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const doors = new Doors();
  const crash = new Crash();
  let seen: string[][] = [];
  const loops = workflow("loops", async (ctx) => {
    const got: string[][] = [[], []];
    seen = got;
    const branch = (which: number, start: string) => async (ctx: Context) => {
      got[which]!.push(await ctx.step(start, () => doors.through(start)));
      for (let i = 0; i < 3; i++) {
        got[which]!.push(await ctx.step("loop", ({ idempotencyKey }) => `${idempotencyKey} by ${which}`));
      }
    };
    await ctx.all([branch(0, "first"), branch(1, "second")]);
    await ctx.step("wait", () => crash.here());
    return got;
  });
  // The branch that was started last is let go first, so that it gets the lower numbers.
  const onEvent = (event: EngineEvent) => {
    if (event.type === "stepStarted" && event.key === "second#000001") doors.open("second");
    if (event.type === "stepCompleted" && event.key === "loop#000002") doors.open("first");
  };
  await crash.happens(file, loops, { id: "l" }, { onEvent });
  const before = seen;
  await using engine = await Engine.open(file);
  const result = await engine.run(loops, { id: "l" });
  assertEquals(result[1]!.slice(0, 3), ["second", "l/loop#000001 by 1", "l/loop#000002 by 1"]);
  assertEquals(seen, before);
  assertEquals(result.flat().filter((value) => value.endsWith("by 0")).length, 3);
});

Deno.test("Promise.race() is won by the same step in a replay, and goes on from there the same way", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const doors = new Doors();
  const crash = new Crash();
  const race = workflow("race", async (ctx) => {
    const slow = ctx.step("slow", () => doors.through("slow"));
    const fast = ctx.step("fast", () => doors.through("fast"));
    const winner = await Promise.race([slow, fast]);
    const after = await ctx.step(`after ${winner}`, () => "after");
    const both = await Promise.all([slow, fast]);
    await ctx.step("wait", () => crash.here());
    return [winner, after, ...both];
  });
  const onEvent = (event: EngineEvent) => {
    if (event.type === "stepStarted" && event.key === "fast#000001") doors.open("fast");
    if (event.type === "stepCompleted" && event.key === "after fast#000001") doors.open("slow");
  };
  await crash.happens(file, race, { id: "r" }, { onEvent });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(race, { id: "r" }), ["fast", "after", "slow", "fast"]);
});

Deno.test("Promise.race() whose loser had no checkpoint runs only the loser again", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const calls: string[] = [];
  const race = workflow("race", async (ctx) => {
    const slow = ctx.step("slow", async () => {
      calls.push("slow");
      await crash.here();
      return "slow";
    });
    const fast = ctx.step("fast", () => {
      calls.push("fast");
      return "fast";
    });
    return [await Promise.race([slow, fast]), await slow];
  });
  const fastCommitted = Promise.withResolvers<void>();
  const onEvent = (event: EngineEvent) => event.type === "stepCompleted" && fastCommitted.resolve();
  await crash.happens(file, race, { id: "r" }, { onEvent }, () => fastCommitted.promise);
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(race, { id: "r" }), ["fast", "slow"]);
  assertEquals(calls, ["slow", "fast", "slow"]);
});

Deno.test("Promise.allSettled() sees results and errors in the same order in a replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const doors = new Doors();
  const crash = new Crash();
  let seen: string[] = [];
  const settle = workflow("settle", async (ctx) => {
    const order: string[] = [];
    seen = order;
    const branch = async (name: string) => {
      try {
        order.push(await ctx.step(name, () => doors.through(name)));
      } catch (error) {
        order.push(`${(error as Error).message} failed`);
        throw error;
      }
    };
    const settled = await Promise.allSettled(["a", "b", "c"].map(branch));
    await ctx.step("wait", () => crash.here());
    return settled.map(({ status }) => status);
  });
  const keys = { a: "a#000001", b: "b#000001", c: "c#000001" };
  const onEvent = openInOrder(doors, keys, ["b!", "c", "a!"]);
  await crash.happens(file, settle, { id: "s" }, { onEvent });
  const before = seen;
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(settle, { id: "s" }), ["rejected", "rejected", "fulfilled"]);
  assertEquals([before, seen], [["b failed", "c", "a failed"], ["b failed", "c", "a failed"]]);
});

Deno.test("a workflow sees one completion a turn: what it sets off comes to rest before the next", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const order: string[] = [];
  const turns = workflow("turns", async (ctx) => {
    const branch = async (name: string) => {
      await ctx.step(name, () => name);
      for (let tick = 0; tick < 50; tick++) {
        order.push(name);
        await Promise.resolve();
      }
    };
    await Promise.all([branch("a"), branch("b"), branch("c")]);
  });
  await engine.run(turns);
  assertEquals(order, [..."abc"].flatMap((name) => Array(50).fill(name)));
});

Deno.test("completions are numbered from 1 without a gap, in the order in which the workflow saw them", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  let seen: string[] = [];
  const many = workflow("many", async (ctx) => {
    seen = [];
    await Promise.allSettled(Array.from({ length: 30 }, async (_, i) => {
      const act = () =>
        i % 7 === 0 ? Promise.reject(new Error(`${i}`)) : new Promise((done) => setTimeout(done, i % 5));
      await ctx.step(`s${i}`, act).catch(() => {});
      seen.push(`s${i}#000001`);
    }));
  });
  await engine.run(many, { id: "m" });
  const rows = query(file, "SELECT step_key, completion FROM steps ORDER BY completion");
  assertEquals(rows.map(({ completion }) => completion), rows.map((_, i) => i + 1));
  assertEquals(rows.map(({ step_key }) => step_key), seen);
});

Deno.test("signals and steps that are committed together are seen in the order of their numbers", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const doors = new Doors();
  const mixed = workflow("mixed", async (ctx) => {
    const order: string[] = [];
    await Promise.all(Array.from({ length: 60 }, async (_, i) => {
      const step = ctx.step(`s${i}`, () => doors.through(`${i}`)).then(() => order.push(`s${i}#000001`));
      await ctx.waitForSignal(`${i}`);
      order.push(`signal:${i}#000001`);
      await step;
    }));
    return order;
  });
  const handle = await engine.start(mixed, { id: "m" });
  for (let i = 0; i < 60; i++) {
    await handle.signal(`${i}`);
    // The step ends a little later each time: now and then between what has come of the signal and its commit.
    for (let tick = 0; tick < i; tick++) await undefined;
    doors.open(`${i}`);
  }
  const order = await handle.result();
  const rows = query(file, "SELECT step_key FROM steps ORDER BY completion");
  assertEquals(rows.map(({ step_key }) => step_key), order);
});

Deno.test("a history longer than a page is replayed in its order, each step once", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  let calls = 0;
  const long = workflow("long", async (ctx) => {
    let sum = 0;
    for (let i = 0; i < 10; i++) {
      const part = await Promise.all(
        Array.from({ length: 250 }, (_, k) => ctx.step("add", () => (calls++, i * k))),
      );
      sum += part.reduce((a, b) => a + b, 0);
    }
    await ctx.step("wait", () => crash.here());
    return sum;
  });
  await crash.happens(file, long, { id: "l" }, { durability: "normal" });
  await using engine = await Engine.open(file);
  const expected = Array.from({ length: 10 }, (_, i) => i * 250 * 249 / 2).reduce((a, b) => a + b, 0);
  assertEquals(await engine.run(long, { id: "l" }), expected);
  assertEquals(calls, 2500);
});
