import { type Context, Engine, type EngineOptions, workflow } from "@stepwell/stepwell";
import { assertEquals, assertGreater } from "@std/assert";
import { openCrashing, type StoreCall } from "../crashing_database.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** The outside world: what the steps of a sample do to it, and whether the process that does it is dead. */
class World {
  readonly effects: string[] = [];
  /** What the workflow has drawn at random, in all its lives. */
  readonly drawn = new Set<string>();
  dead = () => false;

  /** Does something. A dead process does nothing, and does not go on. */
  async act(effect: string): Promise<string> {
    if (this.dead()) await new Promise<never>(() => {});
    this.effects.push(effect);
    return `did ${effect}`;
  }
}

/** A workflow, and how it is run. */
interface Sample {
  readonly name: string;
  readonly run: (ctx: Context, world: World) => Promise<unknown>;
  /** Its steps that are at-most-once. */
  readonly atMostOnce?: readonly string[];
}

const samples: Sample[] = [
  {
    name: "sequence",
    async run(ctx, world) {
      world.drawn.add(ctx.uuid());
      const results: string[] = [];
      for (const id of ["a", "b", "a"]) {
        results.push(await ctx.step(id, ({ idempotencyKey }) => world.act(idempotencyKey)));
      }
      return results;
    },
  },
  {
    name: "branches",
    async run(ctx, world) {
      const branch = (name: string) => async (ctx: Context) => {
        const results: string[] = [];
        for (let i = 0; i < 2; i++) {
          results.push(
            await ctx.step("shared", ({ idempotencyKey }) => world.act(`${idempotencyKey} by ${name}`)),
          );
        }
        return results;
      };
      const results = await ctx.all([branch("left"), branch("right")]);
      return [...results, await ctx.step("last", ({ idempotencyKey }) => world.act(idempotencyKey))];
    },
  },
  {
    name: "retries",
    async run(ctx, world) {
      const retry = { maxAttempts: 3, initialInterval: 0 };
      const flaky = await ctx.step("flaky", async ({ attempt, idempotencyKey }) => {
        await world.act(`${idempotencyKey} attempt ${attempt}`);
        if (attempt < 3) throw new Error(`Attempt ${attempt}`);
        return attempt;
      }, { retry });
      const failed = await ctx.step("failing", async ({ idempotencyKey }) => {
        await world.act(idempotencyKey);
        throw new RangeError("For good");
      }).catch((error) => `${error.name}: ${error.message}`);
      return [flaky, failed];
    },
  },
  {
    name: "race",
    async run(ctx, world) {
      const steps = ["one", "two", "three"].map((id) =>
        ctx.step(id, ({ idempotencyKey }) => world.act(idempotencyKey)).then(() => id)
      );
      const winner = await Promise.race(steps);
      const after = await ctx.step(`after ${winner}`, ({ idempotencyKey }) => world.act(idempotencyKey));
      return [winner, after, ...await Promise.all(steps)];
    },
  },
  {
    name: "cleanup",
    async run(ctx, world) {
      const act = (ctx: Context, id: string) =>
        ctx.step(id, ({ idempotencyKey }) => world.act(idempotencyKey));
      try {
        await act(ctx, "book");
        await ctx.step("failing", () => Promise.reject(new RangeError("For good")));
      } catch (error) {
        const cleaned = await ctx.cleanup(async (ctx) => [
          await ctx.all([(ctx) => act(ctx, "release"), (ctx) => act(ctx, "tell")]),
          await ctx.cleanup((ctx) => act(ctx, "inner")),
        ]);
        return [(error as Error).message, cleaned, await act(ctx, "after")];
      }
    },
  },
  {
    name: "at-most-once",
    async run(ctx, world) {
      const semantics = "at-most-once";
      const paid = await ctx.step("pay", ({ idempotencyKey }) => world.act(idempotencyKey), { semantics })
        .then(
          () => "paid or interrupted",
          (error) => error.name === "StepInterruptedError" ? "paid or interrupted" : error,
        );
      return [paid, await ctx.step("ship", ({ idempotencyKey }) => world.act(idempotencyKey))];
    },
    atMostOnce: ["pay"],
  },
];

const noCrash = () => false;

/** What a process that lives does: it starts or resumes the workflow. @returns its output, undefined if it died */
async function process(
  sample: Sample,
  file: string,
  world: World,
  crashesAt: (call: StoreCall) => boolean,
): Promise<{ output?: unknown; calls: number; keysBefore: unknown[]; effectsBefore: number }> {
  const clock = new ManualClock();
  const options: EngineOptions & { clock: ManualClock } = { clock, durability: "normal" };
  const { engine, database } = await openCrashing(file, options, crashesAt);
  world.dead = () => database.dead;
  const keysBefore = completedKeys(file);
  const effectsBefore = world.effects.length;
  const definition = workflow("sample", (ctx) => sample.run(ctx, world));
  const ran = engine.run(definition, { id: "w" }).then(async (output) => {
    await engine.close();
    return output;
  });
  const output = await Promise.race([ran, database.crashed]);
  return { output, calls: database.calls, keysBefore, effectsBefore };
}

function completedKeys(file: string): unknown[] {
  try {
    return query(file, "SELECT workflow_id || '/' || step_key AS key FROM steps WHERE status <> 'running'")
      .map(({ key }) => key);
  } catch (error) {
    throw new Error(`Cannot look into ${file}`, { cause: error });
  }
}

for (const sample of samples) {
  Deno.test(`a process may be lost at any call of the store: ${sample.name}`, async () => {
    const undisturbed = new World();
    let expected: unknown;
    let calls = 0;
    {
      await using folder = temporaryFolder();
      ({ output: expected, calls } = await process(sample, folder.file("a.db"), undisturbed, noCrash));
    }
    assertGreater(calls, 5);
    for (let number = 1; number <= calls; number++) {
      for (const when of ["before", "after"] as const) {
        await crashAt({ number, when }, sample, expected, undisturbed);
      }
    }
  });
}

/** Loses the first process at a call and the second at the same distance, and lets the third go on to the end. */
async function crashAt(
  point: Pick<StoreCall, "number" | "when">,
  sample: Sample,
  expected: unknown,
  undisturbed: World,
): Promise<void> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const world = new World();
  const where = `${sample.name}, lost ${point.when} call ${point.number}`;
  let output: unknown;
  for (const lives of [2, 1, 0]) {
    const crashesAt = ({ number, when }: StoreCall) =>
      lives > 0 && number === point.number && when === point.when;
    const life = await process(sample, file, world, crashesAt);
    const repeated = world.effects.slice(life.effectsBefore).filter((effect) =>
      life.keysBefore.includes(keyOf(effect))
    );
    assertEquals(repeated, [], `${where}: a checkpointed step ran again`);
    output = life.output ?? output;
  }
  assertEquals(output, expected, where);
  // A retry is of the same attempt; so even in parallel and in any order, nothing is done that is not done undisturbed.
  const done = new Set(world.effects);
  const all = undisturbed.effects.filter((effect) =>
    !sample.atMostOnce?.includes(idOf(effect)) || done.has(effect)
  );
  assertEquals([...done].sort(), all.sort(), where);
  for (const effect of undisturbed.effects) {
    const times = world.effects.filter((other) => other === effect).length;
    assertEquals(
      times <= (sample.atMostOnce?.includes(idOf(effect)) ? 1 : 3),
      true,
      `${where}: ${times} times ${effect}`,
    );
  }
  assertEquals(world.drawn.size, undisturbed.drawn.size, `${where}: a replay drew something else`);
  await using engine = await Engine.open(file);
  assertEquals(await engine.handle("w").status(), "completed", where);
  const completions = (await engine.get("w"))!.steps.map(({ completion }) => completion);
  assertEquals(completions, completions.map((_, i) => i + 1), where);
}

function keyOf(effect: string): string {
  return effect.split(" ")[0]!;
}

function idOf(effect: string): string {
  return keyOf(effect).replace(/^w\/|#.*$/g, "");
}
