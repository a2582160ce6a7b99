import {
  type Context,
  CorruptCheckpointError,
  Engine,
  LimitExceededError,
  type Workflow,
  workflow,
} from "@stepwell/stepwell";
import type { Write } from "../../engine/store/database.ts";
import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { CrashingDatabase, openCrashing, type StoreCall } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** The code before a change, and after it: another step between the first and the last. */
function versions(crash = new Crash(0)) {
  const answers: boolean[] = [];
  const first = (ctx: Context) => ctx.step("first", () => "first");
  const last = (ctx: Context) => ctx.step("last", () => crash.here());
  const before = workflow("w", async (ctx) => {
    await first(ctx);
    await ctx.step("old", () => "old");
    await last(ctx);
    return "old";
  });
  const after = workflow("w", async (ctx) => {
    await first(ctx);
    const isNew = ctx.patched("change");
    answers.push(isNew);
    const found = await ctx.step(isNew ? "new" : "old", () => isNew ? "new" : "old");
    await last(ctx);
    return found;
  });
  return { before, after, answers };
}

function markers(file: string): unknown[] {
  return query(file, "SELECT change_id FROM patches ORDER BY change_id").map(({ change_id }) => change_id);
}

Deno.test("patched() is true for a workflow that begins with the new code, and stored", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(versions().after, { id: "a" }), "new");
  assertEquals(markers(file), ["change"]);
});

Deno.test("patched() is true again in a replay", async () => {
  await using folder = temporaryFolder();
  // It notes each call of the function: so it is to be called for each run only.
  const options = { alwaysReplay: false };
  const file = folder.file("a.db");
  const crash = new Crash(2);
  const { after, answers } = versions(crash);
  await crash.happens(file, after, { id: "a" }, options);
  await crash.happens(file, after, { id: "a" }, options);
  await using engine = await Engine.open(file, options);
  assertEquals(await engine.run(after, { id: "a" }), "new");
  assertEquals(answers, [true, true, true]);
});

Deno.test("patched() is false for a workflow that has gone by without it, in every replay", async () => {
  await using folder = temporaryFolder();
  // It notes each call of the function: so it is to be called for each run only.
  const options = { alwaysReplay: false };
  const file = folder.file("a.db");
  const crash = new Crash(2);
  const { before, after, answers } = versions(crash);
  await crash.happens(file, before, { id: "a" }, options);
  await crash.happens(file, after, { id: "a" }, options);
  await using engine = await Engine.open(file, options);
  assertEquals(await engine.run(after, { id: "a" }), "old");
  assertEquals(answers, [false, false]);
  assertEquals(markers(file), []);
});

Deno.test("patched() is true after a sleep that began before the change", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const definition = (isChanged: boolean) =>
    workflow("w", async (ctx) => {
      await ctx.step("first", () => 1);
      await ctx.sleep("3d");
      const isNew = isChanged && ctx.patched("change");
      return await ctx.step(isNew ? "new" : "old", () => isNew);
    });
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(definition(false), { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  clock.advance(3 * 86_400_000);
  await using engine = await Engine.open(file, { clock });
  assertEquals(await engine.run(definition(true), { id: "a" }), true);
});

Deno.test("patched() is false before a sleep that began without it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const definition = (isChanged: boolean) =>
    workflow("w", async (ctx) => {
      await ctx.step("first", () => 1);
      const isNew = isChanged && ctx.patched("change");
      await (isNew ? ctx.step("instead of sleeping", () => 1) : ctx.sleep("3d"));
      return isNew;
    });
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(definition(false), { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  await using engine = await Engine.open(file, { clock, workflows: [definition(true)] });
  const handle = await engine.start(definition(true), { id: "a" });
  clock.advance(3 * 86_400_000);
  assertEquals(await handle.result(), false);
});

for (const steps of [0, 1]) {
  Deno.test(`patched() is false where a step of the old path had begun, after ${steps} others`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const crash = new Crash();
    const definition = (isChanged: boolean) =>
      workflow("w", async (ctx) => {
        for (let i = 0; i < steps; i++) await ctx.step("first", () => 1);
        const isNew = isChanged && ctx.patched("change");
        await ctx.step(isNew ? "new" : "old", () => crash.here());
        return isNew;
      });
    const isRunning = () =>
      eventually(() => query(file, "SELECT 1 FROM steps WHERE status = 'running'").length > 0);
    await crash.happens(file, definition(false), { id: "a" }, {}, isRunning);
    await using engine = await Engine.open(file);
    assertEquals(await engine.run(definition(true), { id: "a" }), false);
    assertEquals(markers(file), []);
  });
}

Deno.test("patched() is false where another branch has gone on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const definition = (isChanged: boolean) =>
    workflow("w", async (ctx) => {
      const gate = Promise.withResolvers<void>();
      const [found] = await ctx.all([
        async (ctx) => {
          await ctx.step("left", () => 1);
          const isNew = isChanged && ctx.patched("change");
          gate.resolve();
          return isNew;
        },
        async (ctx) => {
          await gate.promise;
          await ctx.step("right", () => 1);
        },
      ]);
      await ctx.step("last", () => crash.here());
      return found;
    });
  await crash.happens(file, definition(false), { id: "a" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(definition(true), { id: "a" }), false);
});

Deno.test("patched() has one answer in a loop: that of the first time", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash(2);
  const answers: boolean[][] = [];
  const loop = (isChanged: boolean) =>
    workflow("loop", async (ctx) => {
      const mine: boolean[] = [];
      answers.push(mine);
      for (let i = 0; i < 4; i++) {
        const isNew = isChanged && ctx.patched("change");
        mine.push(isNew);
        await ctx.step(isNew ? "new" : "old", () => i === 1 || i === 2 ? crash.here() : undefined);
      }
    });
  await crash.happens(file, loop(false), { id: "old" });
  await crash.happens(file, loop(true), { id: "old" });
  await using engine = await Engine.open(file);
  await engine.run(loop(true), { id: "old" });
  assertEquals(answers.at(-1), [false, false, false, false]);
  await engine.run(loop(true), { id: "new" });
  assertEquals(answers.at(-1), [true, true, true, true]);
});

Deno.test("patched() knows the end of a history of whole pages", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const definition = (isChanged: boolean) =>
    workflow("w", async (ctx) => {
      await ctx.all(Array.from({ length: 1_000 }, () => (ctx) => ctx.step("page", () => 1)));
      if (isChanged) return ctx.patched("change");
      await ctx.step("last", () => crash.here());
    });
  await crash.happens(file, definition(false), { id: "a" }, { durability: "normal" });
  assertEquals(query(file, "SELECT max(completion) AS n FROM checkpoints"), [{ n: 1_000 }]);
  await using engine = await Engine.open(file);
  execute(file, "DELETE FROM checkpoints WHERE completion IS NULL");
  assertEquals(await engine.run(definition(true), { id: "a" }), true);
});

Deno.test("a marker that the code does not ask for any more is no change of the history", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const { after } = versions(crash);
  await crash.happens(file, after, { id: "a" });
  const cleaned = workflow("w", async (ctx) => {
    await ctx.step("first", () => "first");
    const found = await ctx.step("new", () => "new");
    await ctx.step("last", () => {});
    return found;
  });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(cleaned, { id: "a" }), "new");
});

Deno.test("patched() gives the same answers to a workflow that is let go at every wait", async () => {
  const answers: boolean[] = [];
  const definition = workflow("w", async (ctx) => {
    for (let i = 0; i < 3; i++) {
      answers.push(ctx.patched(`change ${i}`));
      await ctx.sleep(1);
    }
  });
  await using engine = await Engine.open(":memory:", { alwaysReplay: true });
  await engine.run(definition, { id: "a" });
  assertGreater(answers.length, 3);
  assertEquals(answers.includes(false), false);
});

Deno.test("a marker that is not as it was written blocks the workflow", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const { after } = versions(crash);
  await crash.happens(file, after, { id: "a" });
  execute(file, "UPDATE patches SET at = at + 1");
  await using engine = await Engine.open(file);
  const error = await assertRejects(() => engine.run(after, { id: "a" }), CorruptCheckpointError);
  assertEquals(error.key, "patched:change");
  assertEquals(await engine.handle("a").status(), "blocked");
});

Deno.test("patched() refuses what is no change id, and calls from a step's function", async () => {
  await using engine = await Engine.open(":memory:");
  const asks = (ask: (ctx: Context) => unknown) =>
    engine.run(workflow("w", async (ctx) => void await ask(ctx)));
  await assertRejects(() => asks((ctx) => ctx.patched("")), RangeError, "a change id");
  await assertRejects(() => asks((ctx) => ctx.patched(1 as unknown as string)), TypeError, "a change id");
  await assertRejects(
    () => asks((ctx) => ctx.step("s", () => ctx.patched("change"))),
    TypeError,
    'Cannot ask for the change "change" in the function of step "s#000001"',
  );
});

Deno.test("patched() has a limit", async () => {
  await using engine = await Engine.open(":memory:");
  const many = workflow("w", (ctx) => {
    for (let i = 0; i <= 10_000; i++) ctx.patched(`change ${i}`);
  });
  await assertRejects(() => engine.run(many), LimitExceededError, "patches of a workflow");
});

// --- Crashes ---

/** What the code does to the world; a dead process does nothing, and does not go on. */
interface World {
  readonly effects: string[];
  readonly answers: boolean[];
  dead: () => boolean;
}

const samples: Record<string, (world: World, isChanged: boolean) => Workflow> = {
  "one step after the other": (world, isChanged) =>
    workflow("w", async (ctx) => {
      const act = (id: string) => ctx.step(id, () => effect(world, id));
      await act("first");
      const isNew = isChanged && answer(world, ctx);
      await act(isNew ? "new" : "old");
      await act("last");
      return isNew;
    }),
  "branches": (world, isChanged) =>
    workflow("w", async (ctx) => {
      const act = (ctx: Context, id: string) => ctx.step(id, () => effect(world, id));
      const [isNew] = await ctx.all([
        async (ctx) => {
          await act(ctx, "first");
          const isNew = isChanged && answer(world, ctx);
          await act(ctx, isNew ? "new" : "old");
          return isNew;
        },
        async (ctx) => {
          for (const id of ["a", "b", "c"]) await act(ctx, id);
        },
      ]);
      await act(ctx, "last");
      return isNew;
    }),
};

function answer(world: World, ctx: Context): boolean {
  const isNew = ctx.patched("change");
  if (!world.dead()) world.answers.push(isNew);
  return isNew;
}

async function effect(world: World, id: string): Promise<string> {
  if (world.dead()) await new Promise<never>(() => {});
  world.effects.push(id);
  return id;
}

/** One process's life. @returns the output, undefined if it died */
async function live(
  file: string,
  world: World,
  definition: Workflow,
  crashesAt: (call: StoreCall) => boolean,
): Promise<{ output: unknown; calls: number }> {
  const options = { clock: new ManualClock(), durability: "normal" as const };
  const { engine, database } = await openCrashing(file, options, crashesAt);
  world.dead = () => database.dead;
  const ran = engine.run(definition, { id: "w" }).then(async (output) => {
    await engine.close();
    return output;
  });
  const output = await Promise.race([ran, database.crashed]);
  return { output, calls: database.calls };
}

for (const [name, sample] of Object.entries(samples)) {
  for (const isOldFirst of [false, true]) {
    const began = isOldFirst ? "by a workflow that began with the old code" : "by a new workflow";
    Deno.test(`patched() answers alike after a crash at any call of the store: ${name}, ${began}`, async () => {
      const seen = new Set<boolean>();
      for (let number = 1, calls = Infinity; number <= calls; number++) {
        for (const when of ["before", "after"] as const) {
          await using folder = temporaryFolder();
          const file = folder.file("a.db");
          const world: World = { effects: [], answers: [], dead: () => false };
          const crashesAt = (call: StoreCall) => call.number === number && call.when === when;
          if (isOldFirst) await live(file, world, sample(world, false), crashesAt);
          const answersBefore = world.answers.length;
          const before = world.effects.length;
          let output: unknown;
          for (const lives of [2, 1, 0]) {
            const life = await live(file, world, sample(world, true), lives > 0 ? crashesAt : () => false);
            output = life.output ?? output;
            if (number === 1 && lives === 0) calls = Math.max(12, life.calls);
          }
          const where = `lost ${when} call ${number}`;
          if (typeof output !== "boolean") {
            // The old code had ended already.
            assert(isOldFirst, where);
            continue;
          }
          seen.add(output);
          // What was answered in vain has had no effect: no step of the other path has run.
          const others = world.effects.slice(before).filter((id) => id === (output ? "old" : "new"));
          assertEquals(others, [], where);
          if (name !== "branches") {
            assertEquals([...new Set(world.answers.slice(answersBefore))].length <= 1, true, where);
          }
          assertEquals(markers(file), output ? ["change"] : [], where);
        }
      }
      assertEquals(seen.has(true), true);
    });
  }
}

/** A database that keeps markers to itself until it is told to let go of them. */
class WithholdingDatabase extends CrashingDatabase {
  readonly #held: Write[] = [];

  override submit(write: Write): void {
    if (write.batch.some(({ sql }) => sql.includes("INTO patches"))) this.#held.push(write);
    else super.submit(write);
  }

  release(): void {
    for (const write of this.#held.splice(0)) super.submit(write);
  }
}

async function withheld(file: string): Promise<{ engine: Engine; database: WithholdingDatabase }> {
  let database: WithholdingDatabase;
  const engine = Engine.openOn(
    (settings, turns) => database = new WithholdingDatabase(file, settings, turns, () => false),
    { alwaysReplay: false },
  );
  await database!.open();
  return { engine, database: database! };
}

Deno.test("no step begins before the marker is stored, where another outcome may be stored before it", async () => {
  await using folder = temporaryFolder();
  const { engine, database } = await withheld(folder.file("a.db"));
  await using _closing = engine;
  const world: World = { effects: [], answers: [], dead: () => false };
  const ended = engine.run(samples["branches"]!(world, true), { id: "a" });
  await eventually(() => world.answers.length > 0);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(world.effects, ["first", "a"]);
  database.release();
  assertEquals(await ended, true);
  assertEquals(world.effects.toSorted(), ["a", "b", "c", "first", "last", "new"]);
});

Deno.test("patched() waits for nothing where nothing can come between", async () => {
  await using folder = temporaryFolder();
  const { engine, database } = await withheld(folder.file("a.db"));
  await using _closing = engine;
  const world: World = { effects: [], answers: [], dead: () => false };
  const ended = engine.run(samples["one step after the other"]!(world, true), { id: "a" });
  await eventually(() => world.effects.includes("new"));
  database.release();
  assertEquals(await ended, true);
});
