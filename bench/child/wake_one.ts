/**
 * Works on a file with sleepers, starts one more that is to wake soon, and prints, as JSON, how long it took to open the file
 * and to begin, how late that one woke, how much of a processor the process uses while it waits, and the most memory it
 * has had: `wake_one.ts FILE`.
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { peakMemory } from "./peak_memory_of_process.ts";

/** Long enough for the workflow to be let go. */
const SOON_MS = 1_500;
/** Long enough for the process to come to rest: the store is looked at often for a while after a commit. */
const SETTLE_MS = 1_000;
const IDLE_MS = 10_000;

const [file] = Deno.args as [string];
const woken = Promise.withResolvers<number>();
const sleeper = workflow("sleeper", async (ctx, until: number) => {
  await ctx.sleepUntil(until);
  woken.resolve(Date.now() - until);
});
const begun = performance.now();
const engine = await Engine.open(file, { durability: "normal", workflows: [sleeper] });
const working = engine.work();
await engine.start(sleeper, { input: Date.now() + SOON_MS });
const startMs = performance.now() - begun;
const lateMs = await woken.promise;
await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
const before = processorMs();
await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
const idle = (processorMs() - before) / IDLE_MS;
console.log(JSON.stringify({ startMs, lateMs, idle, peak: peakMemory() }));
await engine.close();
await working;

/** How much processor time this process has used, in milliseconds. */
function processorMs(): number {
  const fields = Deno.readTextFileSync("/proc/self/stat").split(" ");
  return (Number(fields[13]) + Number(fields[14])) * 10;
}
