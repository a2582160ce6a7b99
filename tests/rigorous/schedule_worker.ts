/**
 * A process that sees to a schedule of a tick a second until it is killed: `FILE LEDGER`.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";

const [file, ledger] = Deno.args as [string, string];
const note = workflow("note", async (ctx, tick: string) => {
  await ctx.step("note", () => Deno.writeTextFile(ledger, `${tick}\n`, { append: true }));
});
const everySecond = schedule("second", {
  cron: "* * * * * *",
  workflow: note,
  input: (tick) => tick.toISOString(),
  missed: "all",
});
const engine = await Engine.open(file, { durability: "normal", workflows: [note], schedules: [everySecond] });
const working = engine.work();
console.log("working");
await working;
