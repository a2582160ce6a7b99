/**
 * A person has to say yes: the workflow waits for a signal, for three days at most, without a process that has to live
 * so long. The signal may come from anywhere: a web handler, another process, a cron job.
 *
 * `deno run --allow-read --allow-write examples/approval.ts [FILE]`
 *
 * @module
 */
import { Engine, signal, workflow } from "@stepwell/stepwell";

export const decided = signal<{ by: string; yes: boolean }>("decided");

export const expense = workflow("expense", async (ctx, amount: number) => {
  await ctx.step("notify", () => console.log(`Please decide on ${amount} euros`));
  const decision = await ctx.waitForSignal(decided, { timeout: "3d" });
  if (decision === undefined) return "nobody has decided";
  if (!decision.yes) return `refused by ${decision.by}`;
  return await ctx.step("pay", ({ idempotencyKey }) => `paid ${amount} euros as ${idempotencyKey}`);
});

if (import.meta.main) {
  await using engine = await Engine.open(Deno.args[0] ?? ":memory:", { workflows: [expense] });
  const handle = await engine.start(expense, { id: "expense-7", input: 120 });

  // Elsewhere, later. The key makes a click that is sent twice one decision.
  await engine.signal("expense-7", decided, { by: "Ada", yes: true }, { idempotencyKey: "click-1" });
  await engine.signal("expense-7", decided, { by: "Ada", yes: true }, { idempotencyKey: "click-1" });

  console.log(await handle.result());
}
