/**
 * Writes to a file as fast as it can, beside others: `contender.ts engine|raw FILE NUMBER MS`. The raw one commits the rows that
 * an engine writes of as many workflows, in as many commits, each under a lock on a file. It tells when it is ready, begins when there is a
 * file `FILE.go`, and prints what it did.
 */
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { RawStore } from "../raw_store.ts";
import { recordRows } from "../recorded_rows.ts";
import { percentile } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { tell } from "./tell.ts";

/** How many workflows are under way at a time. */
const AT_A_TIME = 100;
/** How many times as many the raw one prepares. */
const PREPARED = 80;
/** How many workflows a process may have written: their numbers are its own. */
const NUMBERS = 1_000_000;

const [side, file, number, ms] = Deno.args as [string, string, string, string];
const contend = side === "raw" ? await prepareRaw() : await prepareEngine();
tell();
while (!isThere(`${file}.go`)) await delay(1);
const began = performance.now();
const times = await contend(began + Number(ms));
const elapsedMs = performance.now() - began;
const worst = Math.max(...times);
console.log(JSON.stringify({ count: times.length, elapsedMs, p99: percentile(times, 99), worst }));
Deno.exit();

/** @returns what runs workflows until a time, and gives how long each took */
async function prepareEngine(): Promise<(until: number) => Promise<number[]>> {
  const engine = await Engine.open(file);
  await Promise.all(Array.from({ length: AT_A_TIME }, () => engine.run(sequence, { input: 1 })));
  return async (until) => {
    const times: number[] = [];
    await Promise.all(Array.from({ length: AT_A_TIME }, async () => {
      for (let start = performance.now(); start < until; start = performance.now()) {
        await engine.run(sequence, { input: 1 });
        times.push(performance.now() - start);
      }
    }));
    return times;
  };
}

/** @returns what writes the rows of workflows until a time, and gives how long each took */
async function prepareRaw(): Promise<(until: number) => Promise<number[]>> {
  const rows = await recordRows(sequence, { input: 1, count: AT_A_TIME });
  const raw = new RawStore(file, rows, "full", { after: NUMBERS * (Number(number) + 1) });
  const rounds = Array.from({ length: PREPARED }, () => raw.commits("side by side"));
  const lock = await Deno.open(`${file}.lock`, { create: true, write: true });
  return async (until) => {
    const times: number[] = [];
    for (const commits of rounds) {
      const start = performance.now();
      if (start >= until) break;
      for (const commit of commits) {
        await lock.lock(true);
        commit();
        await lock.unlock();
      }
      const ms = performance.now() - start;
      for (let i = 0; i < AT_A_TIME; i++) times.push(ms);
    }
    return times;
  };
}

function isThere(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
