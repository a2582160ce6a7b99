import { StatementSync } from "node:sqlite";
import { Engine, type EngineOptions, queue, workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import type { Figure, Target } from "./figure.ts";

/** What something has cost: in statements, in rows that they gave, and in milliseconds of processor time. */
interface Cost {
  readonly statements: number;
  readonly rows: number;
  readonly cpuMs: number;
}

/** How a cost may grow where there is four times as much: not at all, or four times as well, but for what is measured badly. */
type Growth = "flat" | "linear";

/** Something whose cost is measured at one size and at four times that. */
interface Case {
  readonly name: string;
  /** The smaller size. */
  readonly size: number;
  readonly growth: Growth;
  /** Makes what there is of the size, and does what is measured. */
  run(size: number, file: string, measure: <T>(act: () => Promise<T>) => Promise<T>): Promise<void>;
}

const OPTIONS: EngineOptions = { durability: "normal" };
/** By what factor each measure may be off: the processor is shared, and some of it is spent on memory. */
const SLACK = { statements: 1.2, rows: 1.2, cpuMs: 1.8 };

const CASES: readonly Case[] = [
  {
    name: "signals kept for one workflow, for each that is sent",
    size: 3_000,
    growth: "linear",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      await measure(() => inParts(size, 500, (i) => engine.signal("nobody", "s", i)));
    },
  },
  {
    name: "a workflow with so many parallel sleeps, to its end",
    size: 2_500,
    growth: "linear",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const sleeps = workflow("sleeps", async (ctx) => {
        await ctx.all(Array.from({ length: size }, (_, i) => (ctx) => ctx.sleep(i % 50)));
      });
      await measure(() => engine.run(sleeps));
    },
  },
  {
    name: "a workflow with so many children, to its end",
    size: 2_000,
    growth: "linear",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const child = workflow("child", () => {});
      const parent = workflow("parent", async (ctx) => {
        await ctx.all(Array.from({ length: size }, () => (ctx) => ctx.child(child)));
      });
      await measure(() => engine.run(parent));
    },
  },
  {
    name: "a workflow that waits for so many signals by as many names",
    size: 1_000,
    growth: "linear",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const waits = workflow("waits", async (ctx) => {
        await ctx.all(Array.from({ length: size }, (_, i) => (ctx) => ctx.waitForSignal(`s${i}`)));
      });
      const handle = await engine.start(waits, { id: "w" });
      await measure(async () => {
        await inParts(size, 20, (i) => engine.signal("w", `s${i}`));
        await handle.result();
      });
    },
  },
  {
    name: "list({ status }) of the few that failed, among others",
    size: 5_000,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const fails = workflow("fails", () => Promise.reject(new Error("No")));
      for (let i = 0; i < 20; i++) await engine.run(fails).catch(() => {});
      await runMany(engine, size);
      await measure(() => times(100, () => engine.list({ status: "failed" })));
    },
  },
  {
    name: "list({ workflow }) of a few, among others",
    size: 5_000,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const rare = workflow("rare", () => {});
      for (let i = 0; i < 20; i++) await engine.run(rare);
      await runMany(engine, size);
      await measure(() => times(100, () => engine.list({ workflow: "rare" })));
    },
  },
  {
    name: "why() of the last one in a queue",
    size: 5_000,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      await inParts(size, 500, (i) => engine.enqueue("quick", { id: `w${i}`, queue: "q" }));
      await measure(() => times(100, () => engine.why(`w${size - 1}`)));
    },
  },
  {
    name: "get() of a workflow of so many steps",
    size: 1_500,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      await runSteps(engine, size);
      await measure(() => times(10, () => engine.get("w")));
    },
  },
  {
    name: "replaying so many steps, for each",
    size: 3_000,
    growth: "linear",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, OPTIONS);
      const steps = await runSteps(engine, size);
      await using another = await Engine.open(file, { ...OPTIONS, workflows: [steps] });
      await engine.close();
      await another.signal("w", "go");
      await measure(() => another.run(steps, { id: "w" }));
    },
  },
  {
    name: "200 workflows of a queue, beside so many other queues in which nothing waits",
    size: 200,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, { ...OPTIONS, workflows: [quick] });
      await inParts(size, 100, (i) => engine.enqueue("other", { id: `o${i}`, queue: `q${i}` }));
      await inParts(size, 100, (i) => engine.cancel(`o${i}`));
      await measure(() => work(engine, 200, "mine"));
    },
  },
  {
    name: "200 workflows of a queue, behind so many in it of another version",
    size: 5_000,
    growth: "flat",
    run: async (size, file, measure) => {
      await using engine = await Engine.open(file, { ...OPTIONS, workflows: [quick] });
      await inParts(size, 500, () => engine.enqueue("quick", { version: "old", queue: "mine" }));
      await measure(() => work(engine, 200, "mine"));
    },
  },
  {
    name: "200 workflows of a queue, beside so many full partitions of another in which some wait",
    size: 500,
    growth: "flat",
    run: async (size, file, measure) => {
      const waits = workflow("waits", (ctx) => ctx.waitForSignal("go"));
      const parts = queue("parts", { partitionConcurrency: 1 });
      {
        await using engine = await Engine.open(file, { ...OPTIONS, workflows: [waits], queues: [parts] });
        engine.work({ concurrency: 2_000 });
        await inParts(
          size,
          250,
          (i) => engine.enqueue(waits, { queue: parts, partition: `p${i}`, id: `a${i}` }),
        );
        while ((await engine.list({ status: "waiting", limit: 10_000 })).length < size) await turn();
        await inParts(size, 250, (i) => engine.enqueue(waits, { queue: parts, partition: `p${i}` }));
      }
      await using engine = await Engine.open(file, { ...OPTIONS, workflows: [quick, waits] });
      await measure(() => work(engine, 200, "mine"));
    },
  },
  {
    name: "workflows that wait for a signal, until all of so many have begun, five at a time",
    size: 250,
    growth: "linear",
    run: async (size, file, measure) => {
      const waits = workflow("waits", (ctx) => ctx.waitForSignal("go"));
      await using engine = await Engine.open(file, { ...OPTIONS, workflows: [waits] });
      await inParts(size, 250, (i) => engine.enqueue(waits, { id: `w${i}` }));
      await measure(async () => {
        engine.work({ concurrency: 5 });
        while ((await engine.list({ status: "pending", limit: 1 })).length > 0) await turn();
      });
    },
  },
];

/** How what things cost grows with what there is, in statements, rows and processor time: not in seconds. */
export const growth: Target = {
  name: "growth",
  async measure() {
    const figures: Figure[] = [];
    for (const each of CASES) figures.push(...await grow(each));
    return figures;
  },
};

async function grow({ name, size, growth, run }: Case): Promise<Figure[]> {
  const costs: Cost[] = [];
  for (const n of [size, 4 * size]) {
    await using folder = temporaryFolder();
    let cost: Cost | undefined;
    await run(n, folder.file("a.db"), async (act) => {
      const [result, found] = await costOf(act);
      cost = found;
      return result;
    });
    costs.push(cost!);
  }
  const [small, large] = costs as [Cost, Cost];
  const allowed = growth === "flat" ? 1 : 4;
  return (["statements", "rows", "cpuMs"] as const).map((measure, i) => {
    const ratio = large[measure] / Math.max(1, small[measure]);
    return {
      name: i === 0
        ? `${name}: ${size} and ${4 * size}, statements`
        : `    ${measure === "rows" ? "rows" : "ms of a processor"}`,
      engine: Math.round(large[measure]).toString(),
      raw: Math.round(small[measure]).toString(),
      ratio: ratio.toFixed(2),
      wanted: `≤ ${allowed}`,
      met: ratio <= allowed * SLACK[measure],
    };
  });
}

/** What something costs in this process. */
async function costOf<T>(act: () => Promise<T>): Promise<[T, Cost]> {
  let statements = 0;
  let rows = 0;
  const prototype = StatementSync.prototype as unknown as Record<
    "run" | "all",
    (...args: unknown[]) => unknown
  >;
  const { run, all } = prototype;
  prototype.run = function (...args) {
    statements++;
    return run.apply(this, args);
  };
  prototype.all = function (...args) {
    statements++;
    const found = all.apply(this, args) as unknown[];
    rows += found.length;
    return found;
  };
  const before = cpuMs();
  try {
    const result = await act();
    return [result, { statements, rows, cpuMs: cpuMs() - before }];
  } finally {
    Object.assign(prototype, { run, all });
  }
}

declare const process: { cpuUsage(): { user: number; system: number } };

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

async function inParts(count: number, at: number, act: (i: number) => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i += at) {
    await Promise.all(Array.from({ length: Math.min(at, count - i) }, (_, k) => act(i + k)));
  }
}

async function times(count: number, act: () => Promise<unknown>): Promise<void> {
  for (let i = 0; i < count; i++) await act();
}

const quick = workflow("quick", () => {});

const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 5));

/** Runs so many workflows of a queue. */
async function work(engine: Engine, count: number, queue: string): Promise<void> {
  const handles = await Promise.all(Array.from({ length: count }, () => engine.enqueue(quick, { queue })));
  engine.work({ concurrency: 10 });
  await Promise.all(handles.map((handle) => handle.result()));
}

async function runMany(engine: Engine, count: number): Promise<void> {
  await inParts(count, 500, () => engine.run(quick));
}

async function runSteps(engine: Engine, count: number) {
  const steps = workflow("steps", async (ctx) => {
    for (let i = 0; i < count; i++) await ctx.step("step", () => i);
    await ctx.waitForSignal("go");
  });
  const handle = await engine.start(steps, { id: "w" });
  while (await handle.status() !== "waiting") await turn();
  return steps;
}
