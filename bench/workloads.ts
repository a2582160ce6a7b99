import { type Context, type Workflow, workflow } from "@stepwell/stepwell";

/** What every step here returns: 110 bytes of JSON, as a receipt or the id of something made may have. */
export const RESULT = { receipt: "r".repeat(96) };

/** A workflow of so many quick steps, one after the other. */
export const sequence: Workflow<number, void> = workflow("sequence", async (ctx, steps: number) => {
  for (let i = 0; i < steps; i++) await quickStep(ctx);
});

/** A workflow of so many quick steps, all at once. */
export const fanOut: Workflow<number, void> = workflow("fan-out", async (ctx, steps: number) => {
  await ctx.all(Array.from({ length: steps }, () => quickStep));
});

/** A step that does nothing, so that all the time it takes is the engine's. */
export function quickStep(ctx: Context): Promise<typeof RESULT> {
  return ctx.step("work", () => RESULT);
}
