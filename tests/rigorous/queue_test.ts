import { assert, assertEquals, assertLessOrEqual } from "@std/assert";
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { type ChildProcess, startChild } from "../child_process.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { type Entry, jobs, LIMITS, readLedger, STEPS } from "./queue_workflow.ts";
import { integer, withSeeds } from "./seed.ts";

const WORKER = import.meta.resolve("./queue_worker.ts");
const PROCESSES = 4;
const PARTITIONS = 7;
const WORKFLOWS = RIGOROUS ? 2_000 : 300;
/** How long it is between two kills. */
const KILL_INTERVAL_MS = RIGOROUS ? 500 : 150;

/** Where in the ledger something is under way: from its first line to its last. */
interface Span {
  readonly from: number;
  readonly to: number;
}

function spans(ledger: readonly Entry[], keyOf: (entry: Entry) => string): Map<string, Span> {
  const found = new Map<string, Span>();
  for (const [i, entry] of ledger.entries()) {
    const key = keyOf(entry);
    found.set(key, { from: found.get(key)?.from ?? i, to: i });
  }
  return found;
}

/** How many of these overlap, at most. */
function mostAtOnce(all: readonly Span[]): number {
  const changes = all.flatMap(({ from, to }) => [[from, 1], [to + 0.5, -1]] as [number, number][])
    .sort(([a], [b]) => a - b);
  let now = 0;
  return Math.max(0, ...changes.map(([, change]) => now += change));
}

function grouped(all: Map<string, Span>, groupOf: (key: string) => string): Span[][] {
  return [...Map.groupBy(all.entries(), ([key]) => groupOf(key)).values()]
    .map((members) => members.map(([, span]) => span));
}

function partitionOf(id: string): string {
  return `p${Number(id.slice(1)) % PARTITIONS}`;
}

Deno.test("four processes that are killed again and again run each workflow of a queue to its end, within its limits", () =>
  withSeeds(RIGOROUS ? 5 : 1, async (random) => {
    await using folder = temporaryFolder();
    const [file, ledger] = [folder.file("a.db"), folder.file("ledger")];
    await Deno.writeTextFile(ledger, "");
    await using engine = await Engine.open(file, { durability: "normal" });
    await Promise.all(Array.from({ length: WORKFLOWS }, (_, i) => {
      const id = `w${i}`;
      return engine.enqueue("job", { id, queue: jobs, partition: partitionOf(id), priority: i % 3 });
    }));

    const workers: ChildProcess[] = [];
    const start = () => startChild(WORKER, file, ledger);
    for (let i = 0; i < PROCESSES; i++) workers.push(start());
    let kills = 0;
    const remaining = async () =>
      (await engine.list({ status: ["pending", "running", "waiting"], limit: 1 })).length;
    while (await remaining() > 0) {
      await delay(KILL_INTERVAL_MS);
      const place = integer(random, 0, PROCESSES - 1);
      const worker = workers[place]!;
      worker.kill("SIGKILL");
      const { signal, stderr } = await worker.ended();
      assertEquals([signal, stderr], ["SIGKILL", ""]);
      workers[place] = start();
      kills++;
    }
    for (const worker of workers) {
      worker.kill("SIGKILL");
      await worker.ended();
    }
    assert(kills > 0);

    assertEquals((await engine.list({ status: "completed", limit: WORKFLOWS })).length, WORKFLOWS);
    assertEquals((await engine.queues())[0]!.depth, 0);
    const lines = await readLedger(ledger);
    for (const [id, entries] of Map.groupBy(lines, (entry) => entry.id)) {
      const steps = entries.map(({ step }) => step);
      // A step that has run again had no checkpoint: none after it had begun.
      assertEquals(steps, steps.toSorted((a, b) => a - b), id);
      assertEquals(new Set(steps).size, STEPS, id);
    }
    const underWay = spans(lines, ({ id }) => id);
    assertLessOrEqual(mostAtOnce([...underWay.values()]), LIMITS.concurrency);
    for (const members of grouped(underWay, partitionOf)) {
      assertLessOrEqual(mostAtOnce(members), LIMITS.partitionConcurrency);
    }
    const inProcesses = spans(lines, ({ id, pid }) => `${pid} ${id}`);
    for (const members of grouped(inProcesses, (key) => key.split(" ")[0]!)) {
      assertLessOrEqual(mostAtOnce(members), LIMITS.executorConcurrency);
    }
    const begun = query(file, "SELECT begun_at FROM workflows ORDER BY begun_at").map((row) =>
      row.begun_at as number
    );
    assertEquals(begun.length, WORKFLOWS);
    const { limit, period } = LIMITS.rate;
    for (let i = limit; i < begun.length; i++) {
      assertLessOrEqual(begun[i - limit]! + period, begun[i]!, `the ${i}th`);
    }
  }));
