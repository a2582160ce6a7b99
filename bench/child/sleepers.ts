/**
 * Starts so many workflows that sleep for a day and more, and prints the most memory that the process has had by the time
 * that all of them wait, in bytes: `sleepers.ts FILE COUNT`.
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { peakMemory } from "./peak_memory_of_process.ts";

/** How many are started at a time. */
const BATCH = 500;
const DAY_MS = 86_400_000;

const [file, count] = Deno.args as [string, string];
const sleeper = workflow("sleeper", (ctx, until: number) => ctx.sleepUntil(until));
let waiting = 0;
let wake = () => {};
{
  await using engine = await Engine.open(file, {
    durability: "normal",
    workflows: [sleeper],
    onEvent: ({ type }) => {
      if (type === "waiting") waiting++;
      wake();
    },
  });
  for (let started = 0; started < Number(count); started += BATCH) {
    const until = Date.now() + DAY_MS + started;
    await Promise.all(Array.from({ length: BATCH }, () => engine.start(sleeper, { input: until })));
    while (waiting < started + BATCH) await new Promise<void>((resolve) => wake = resolve);
  }
}
console.log(peakMemory());
