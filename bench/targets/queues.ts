import { Engine, queue, workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { median, percentile } from "../statistics.ts";
import { type Figure, milliseconds, perSecond, type Target } from "./figure.ts";

/** Between two of what is enqueued: each time the other process has come to rest. */
const REST_MS = 300;
const WANTED_START_MS = 20;
const WANTED_RECOVERY_MS = 1_000;
const [FEW, MANY] = [1_000, 100_000];
/** How many workflows are run from a queue of either length. */
const RUNS = 500;

/** How soon another process begins what is enqueued, and goes on with what a killed one has left; what long queues cost. */
export const queues: Target = {
  name: "queues",
  measure: async ({ effort }) => [
    ...await start(30 * effort),
    await recovery(5 * effort),
    ...await long(),
  ],
};

async function start(rounds: number): Promise<Figure[]> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const worker = new BenchChild("bench/child/queue_worker.ts", file);
  await worker.told();
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await rest();
    const asked = Date.now();
    const handle = await engine.enqueue<undefined, number>("now");
    times.push(await handle.result() - asked);
  }
  await worker.kill();
  const found = median(times);
  return [
    {
      name: "enqueued in one process: until its step begins in another, median",
      engine: milliseconds(found),
      raw: "",
      wanted: `≤ ${WANTED_START_MS} ms`,
      met: found <= WANTED_START_MS,
    },
    { name: "    the longest of nine in ten", engine: milliseconds(percentile(times, 90)), raw: "" },
  ];
}

async function recovery(rounds: number): Promise<Figure> {
  const times: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    await using engine = await Engine.open(file);
    await Deno.writeTextFile(`${file}.held`, "");
    const workers = [0, 1].map(() => new BenchChild("bench/child/queue_worker.ts", file));
    await Promise.all(workers.map((worker) => worker.told()));
    await engine.enqueue("held");
    const [first] = await held(file, 1);
    await rest();
    Deno.kill(first!.pid, "SIGKILL");
    const killed = Date.now();
    const [, second] = await held(file, 2);
    times.push(second!.at - killed);
    await Promise.all(workers.map((worker) => worker.kill().catch(() => {})));
  }
  const longest = Math.max(...times);
  return {
    name: "killed: until another process runs what it ran, the longest",
    engine: milliseconds(longest),
    raw: "",
    wanted: `≤ ${WANTED_RECOVERY_MS} ms`,
    met: longest <= WANTED_RECOVERY_MS,
  };
}

/** When processes began to hold, once there are so many. */
async function held(file: string, count: number): Promise<{ at: number; pid: number }[]> {
  while (true) {
    const lines = (await Deno.readTextFile(`${file}.held`)).trimEnd().split("\n").filter(Boolean);
    if (lines.length >= count) {
      return lines.map((line) => line.split(" ").map(Number)).map(([at, pid]) => ({ at: at!, pid: pid! }));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

async function long(): Promise<Figure[]> {
  const [few, many] = [await drain(FEW), await drain(MANY)];
  const ratio = many.perRun / few.perRun;
  return [{
    name: `a workflow from a queue of ${MANY}; from one of ${FEW}`,
    engine: perSecond(1, many.perRun),
    raw: perSecond(1, few.perRun),
    ratio: (few.perRun / many.perRun).toFixed(2),
    wanted: "flat",
    met: ratio <= 1.5,
  }, {
    name: `    putting ${MANY} there`,
    engine: perSecond(MANY, many.fillMs),
    raw: perSecond(FEW, few.fillMs),
  }];
}

/** What it takes to fill a queue, and for each of the first workflows that it gives. */
async function drain(length: number): Promise<{ fillMs: number; perRun: number }> {
  await using folder = temporaryFolder();
  const quick = workflow("quick", (ctx) => ctx.step("step", () => {}));
  const full = queue("full", { concurrency: 10, partitionConcurrency: 2 });
  let completed = 0;
  let done = () => {};
  await using engine = await Engine.open(folder.file("a.db"), {
    durability: "normal",
    workflows: [quick],
    onEvent: ({ type }) => {
      if (type === "completed" && ++completed === RUNS) done();
    },
  });
  const begun = performance.now();
  for (let from = 0; from < length; from += 1_000) {
    await Promise.all(Array.from({ length: 1_000 }, (_, i) => {
      const partition = `p${(from + i) % 50}`;
      return engine.enqueue(quick, { queue: full, partition, priority: i % 5 });
    }));
  }
  const fillMs = performance.now() - begun;
  const ended = new Promise<void>((resolve) => done = resolve);
  const drained = performance.now();
  void engine.work();
  await ended;
  return { fillMs, perRun: (performance.now() - drained) / RUNS };
}

function rest(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, REST_MS));
}
