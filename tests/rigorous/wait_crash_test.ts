import {
  CancelledError,
  type Context,
  type Engine,
  Engine as RealEngine,
  type EngineOptions,
  workflow,
} from "@stepwell/stepwell";
import { assertEquals, assertGreater } from "@std/assert";
import { openCrashing, type StoreCall } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { RIGOROUS } from "../effort.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** The outside world: what is done to it, and what the workflow has seen, in each of its lives. */
class World {
  readonly effects: string[] = [];
  readonly lives: string[][] = [];
  dead = () => false;

  /** Does something. A dead process does nothing, and does not go on. */
  async act(effect: string): Promise<string> {
    if (this.dead()) await new Promise<never>(() => {});
    this.effects.push(effect);
    return `did ${effect}`;
  }

  /** Notes what the workflow sees. */
  see<T>(value: T): T {
    if (!this.dead()) this.lives.at(-1)!.push(String(value));
    return value;
  }
}

/** A call of the store, and where it is lost. */
type Point = Pick<StoreCall, "number" | "when">;

/** How many processes are lost side by side: they mostly wait. */
const AT_A_TIME = 10;

interface Sample {
  readonly name: string;
  readonly run: (ctx: Context, world: World) => Promise<unknown>;
  /** What else is done to the workflow, in every life. */
  readonly drive?: (engine: Engine, file: string) => Promise<unknown>;
  readonly timeout?: "3h";
}

const leaf = (world: World) =>
  workflow("leaf", async (ctx, name: string) => {
    const result = await ctx.step("leaf", ({ idempotencyKey }) => world.act(idempotencyKey));
    await ctx.sleep("1h");
    if (name === "fails") throw new RangeError("leaf");
    return result;
  });

/** A step of the saga. */
function undoable(ctx: Context, world: World, id: string): Promise<string> {
  return ctx.step(id, ({ idempotencyKey }) => world.act(idempotencyKey), {
    compensate: {
      undo: async (_, { idempotencyKey, attempt }) => {
        await world.act(idempotencyKey);
        if (id === "two" && attempt === 1) throw new Error("not yet");
      },
      retry: { maxAttempts: 2, initialInterval: "1h", jitter: 0 },
    },
  });
}

const samples: Sample[] = [
  {
    name: "sleeps and signals",
    async run(ctx, world) {
      const step = (id: string) => ctx.step(id, ({ idempotencyKey }) => world.act(idempotencyKey));
      world.see(await step("before"));
      const results = await ctx.all([
        async (ctx) => {
          await ctx.sleep("2h");
          world.see("slept");
          return world.see(await ctx.waitForSignal("s"));
        },
        async (ctx) => [
          world.see(await ctx.waitForSignal("s")),
          world.see(await ctx.waitForSignal("nobody", { timeout: "1h" })),
        ],
      ]);
      return [results, world.see(await step("after"))];
    },
    async drive(engine) {
      for (const payload of ["1", "2"]) await engine.signal("w", "s", payload, { idempotencyKey: payload });
    },
  },
  {
    name: "children",
    async run(ctx, world) {
      const child = leaf(world);
      const [one, two] = await Promise.all([
        ctx.child(child, { input: "one", id: "one" }).then((result) => world.see(result)),
        ctx.child(child, { input: "fails" }).catch((error) => world.see(String(error))),
      ]);
      return [one, two, await ctx.step("after", ({ idempotencyKey }) => world.act(idempotencyKey))];
    },
  },
  {
    name: "cancel",
    async run(ctx, world) {
      try {
        await ctx.all([
          async (ctx) => {
            world.see(await ctx.waitForSignal("never"));
          },
          async (ctx) => {
            for (let i = 0; i < 3; i++) {
              world.see(await ctx.step("step", ({ idempotencyKey }) => world.act(idempotencyKey)));
              await ctx.sleep(100);
            }
            await ctx.child(leaf(world), { id: "leaf", input: "x" });
            await ctx.sleep("1d");
          },
        ]);
      } catch (error) {
        world.see(error);
        throw error;
      } finally {
        world.see("finally");
      }
    },
    async drive(engine, file) {
      const begun = "SELECT 1 FROM workflows WHERE workflow_id = 'leaf' OR status = 'cancelled'";
      await eventually(() => query(file, begun).length > 0);
      await engine.cancel("w");
    },
  },
  {
    name: "saga",
    async run(ctx, world) {
      await undoable(ctx, world, "one");
      await ctx.all(["two", "three"].map((id) => (ctx) => undoable(ctx, world, id)));
      await ctx.sleep("1h");
      await ctx.step("fails", () => Promise.reject(new RangeError("the end")));
    },
  },
  {
    name: "timeout",
    timeout: "3h",
    async run(ctx, world) {
      await undoable(ctx, world, "one");
      world.see(await ctx.waitForSignal("never", { timeout: "1h" }));
      await ctx.waitForSignal("never").catch((error) => world.see(error.name));
      return "whatever";
    },
  },
];

/** What a process that lives does. @returns how the workflow ended; undefined if the process died */
async function live(
  sample: Sample,
  file: string,
  world: World,
  life: { clock: ManualClock; crashesAt: (call: StoreCall) => boolean },
): Promise<{ ending: string | undefined }> {
  const { clock, crashesAt } = life;
  const options: EngineOptions & { clock: ManualClock } = {
    clock,
    durability: "normal",
    alwaysReplay: RIGOROUS,
    workflows: [leaf(world)],
  };
  const { engine, database } = await openCrashing(file, options, crashesAt);
  const wasOver =
    query(file, "SELECT 1 FROM workflows WHERE workflow_id = 'w' AND completed_at > 0").length > 0;
  world.dead = () => database.dead;
  world.lives.push([]);
  const { timeout } = sample;
  const definition = workflow(
    "sample",
    timeout === undefined ? {} : { timeout },
    (ctx) => sample.run(ctx, world),
  );
  let ended = false;
  const ran = (async () => {
    const [result] = await Promise.allSettled([
      engine.run(definition, { id: "w" }),
      sample.drive?.(engine, file),
    ]);
    const ending = result.status === "fulfilled" ? JSON.stringify(result.value) : `${result.reason}`;
    // The children too; only one whose process was lost after its parent had ended is left to who is asked to go on.
    const open = "SELECT workflow_id AS id FROM workflows WHERE completed_at IS NULL";
    if (wasOver) { for (const { id } of query(file, open)) await engine.resume(String(id)); }
    await eventually(() => query(file, open).length === 0);
    await engine.close();
    ended = true;
    return ending;
  })();
  // What it waits for comes at once.
  const moved = eventually(() => {
    if (ended || database.dead) return true;
    const next = clock.timers.find((ms) => ms > 0);
    if (next !== undefined) clock.advance(Math.ceil(next));
    return false;
  });
  const ending = await Promise.race([ran, database.crashed.then(() => undefined)]);
  await moved;
  return { ending };
}

for (const sample of samples) {
  Deno.test(`a process may be lost at any call of the store while it waits: ${sample.name}`, async () => {
    const undisturbed = new World();
    const points: Point[] = [];
    let wanted: string | undefined;
    {
      await using folder = temporaryFolder();
      const crashesAt = ({ number, name, when }: StoreCall) => {
        // A read that was answered changes nothing: to die after it is to die before the next call.
        if (when === "before" || name === "write") points.push({ number, when });
        return false;
      };
      const life = { clock: new ManualClock(), crashesAt };
      wanted = (await live(sample, folder.file("a.db"), undisturbed, life)).ending;
    }
    assertGreater(points.length, 20);
    const left = points.values();
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      for (const point of left) await crashAt(point, sample, wanted, new Set(undisturbed.effects));
    }));
  });
}

/** Loses the first process at a call, and lets the second go on to the end. */
async function crashAt(
  { number, when }: Point,
  sample: Sample,
  wanted: string | undefined,
  effects: Set<string>,
): Promise<void> {
  const where = `call ${number}, ${when}`;
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const world = new World();
  let clock = new ManualClock();
  let ending: string | undefined;
  for (const dies of [true, false]) {
    const crashesAt = (call: StoreCall) => dies && call.number === number && call.when === when;
    clock = new ManualClock(clock.now());
    const committed = done(file);
    const before = world.effects.length;
    ending = (await live(sample, file, world, { clock, crashesAt })).ending ?? ending;
    const again = world.effects.slice(before).filter((effect) => committed.has(effect));
    assertEquals(again, [], `${where}: what had a checkpoint was done again`);
  }
  assertEquals(ending, wanted, where);
  // Where it was cancelled, chance decides how far it came.
  if (sample.name !== "cancel") assertEquals(new Set(world.effects), effects, where);
  checkLives(world.lives, where);
  await checkStore(sample, file, where);
}

/** The idempotency keys of what has a checkpoint. */
function done(file: string): Set<unknown> {
  try {
    return new Set(
      query(file, "SELECT workflow_id || '/' || step_key AS key FROM steps WHERE status = 'completed'")
        .map(({ key }) => key),
    );
  } catch {
    return new Set();
  }
}

/** What a workflow sees in one life begins as what it saw in another. */
function checkLives(lives: readonly (readonly string[])[], where: string): void {
  // A workflow that is let go sees it all again each time: only the order in which it first does counts.
  const seen = lives.map((life) => [...new Set(life)]);
  for (const life of seen) {
    const longest = seen.reduce((a, b) => a.length >= b.length ? a : b);
    assertEquals(life, longest.slice(0, life.length), `${where}: other things seen than in another life`);
  }
}

async function checkStore(sample: Sample, file: string, where: string): Promise<void> {
  await using engine = await RealEngine.open(file);
  const status = await engine.handle("w").status();
  const wanted = { cancel: "cancelled", saga: "failed", timeout: "failed" }[sample.name] ?? "completed";
  assertEquals(status, wanted, where);
  if (sample.name === "cancel") {
    const leaf = await engine.get("leaf");
    if (leaf !== undefined) {
      const error = await engine.handle("leaf").result().catch((error) => error);
      assertEquals(error instanceof CancelledError || leaf.status === "completed", true, where);
    }
  }
  if (sample.name === "children") {
    assertEquals((await engine.list({ workflow: "leaf" })).length, 2, where);
  }
  for (const { id } of await engine.list()) {
    const completions = (await engine.get(id))!.steps.map(({ completion }) => completion);
    assertEquals(completions, completions.map((_, i) => i + 1), `${where}: ${id}`);
  }
  const kept = "SELECT * FROM messages WHERE consumed IS NULL AND topic LIKE 'signal:%'";
  assertEquals(query(file, kept), [], where);
}
