/**
 * A process whose workflow waits: `FILE WHAT`. It says when it does, and what came of it; it does not close its engine.
 *
 * - `sleep MS`: for a time
 * - `idle`: for a signal; at the line "measure" it says how much processor time a second and a half of that takes
 * - `signal`: for a signal that another process sends
 * - `nothing`: for nothing; it has nothing left to do
 *
 * @module
 */
import { delay } from "@std/async";
import { Engine, workflow } from "@stepwell/stepwell";

const [file, what, ms] = Deno.args as [string, string, string];

const sleeps = workflow("sleeps", async (ctx) => {
  await ctx.step("before", () => console.log("before"));
  await ctx.sleep(Number(ms));
  await ctx.step("after", () => console.log("after"));
});
const waits = workflow("waits", async (ctx) => {
  const payload = await ctx.waitForSignal("s");
  await ctx.step("after", () => console.log(`after ${payload}`));
});

const engine = await Engine.open(file);
if (what === "nothing") {
  await engine.run(workflow("nothing", (ctx) => ctx.step("step", () => console.log("ran"))));
} else {
  const handle = await engine.start(what === "sleep" ? sleeps : waits, { id: "w" });
  while (await handle.status() !== "waiting") await delay(5);
  console.log("waiting");
}

if (what === "idle") {
  // All that there is to load and compile is, by now.
  await delay(500);
  const before = Deno.memoryUsage().rss > 0 ? performance.now() : 0;
  const cpuBefore = cpuMs();
  await delay(1_500);
  console.log(`share ${(cpuMs() - cpuBefore) / (performance.now() - before)}`);
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1_000;
}

declare const process: { cpuUsage(): { user: number; system: number } };
