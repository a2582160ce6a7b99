/**
 * Starts or resumes the workflow `long`, which has so many quick steps, and then one that says so when it is called and
 * does not end: `past_the_last_step.ts FILE STEPS`.
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { quickStep } from "../workloads.ts";
import { tell } from "./tell.ts";

const [file, steps] = Deno.args as [string, string];
const long = workflow("long", async (ctx) => {
  for (let i = 0; i < Number(steps); i++) await quickStep(ctx);
  await ctx.step("last", async () => {
    tell();
    await new Promise(() => setInterval(() => {}, 1_000));
  });
});
const engine = await Engine.open(file, { durability: "normal" });
await engine.run(long, { id: "long" });
