import { workflow } from "@stepwell/stepwell";

/** A workflow that takes so many signals, one after the other, and from time to time two at once. */
export const taker = workflow("taker", async (ctx, count: number) => {
  const taken: unknown[] = [];
  while (taken.length < count) {
    if (taken.length % 5 === 3 && taken.length + 2 <= count) {
      taken.push(
        ...await ctx.all([
          (ctx) => ctx.waitForSignal("s"),
          (ctx) => ctx.waitForSignal("s"),
        ]),
      );
    } else taken.push(await ctx.waitForSignal("s"));
    if (taken.length % 7 === 0) await ctx.step("count", () => taken.length);
  }
  return taken;
});
