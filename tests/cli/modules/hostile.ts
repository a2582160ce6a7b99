// Workflows for the tests of hostile files: between them they have rows in every table of the store.
import { type Context, queue, type QueueDefinition, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";

const limits: QueueDefinition = {
  concurrency: 5,
  executorConcurrency: 3,
  partitionConcurrency: 2,
  rate: { limit: 9, period: "1m" },
};
export const mail = queue("mail", limits);

/** Ends at once, but for a step that fails where it is told to, and a signal that it waits for where it is. */
export const sample = workflow(
  "sample",
  { version: "1", timeout: "100d" },
  async (ctx: Context, input: string) => {
    ctx.patched("change");
    await ctx.publish("state", "begun");
    await ctx.emit("lines", "one");
    await ctx.step("first", () => ({ first: 1 }), { compensate: () => {} });
    if (input === "waits") return await ctx.waitForSignal("go", { timeout: "90d" });
    await ctx.sleep(1);
    return await ctx.step("last", () => {
      if (input === "fails") throw new Error("no");
      return "last";
    }, { retry: { maxAttempts: 2, initialInterval: 1 } });
  },
);

export const nightly = schedule("nightly", {
  cron: "0 3 * * *",
  workflow: sample,
  input: "x",
  overlap: "queue",
});
