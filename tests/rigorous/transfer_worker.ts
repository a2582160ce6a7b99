/**
 * A process that moves money from one account to another, in many workflows at a time: `FILE FIRST COUNT`. It waits for a
 * line before it begins.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { move } from "../engine/accounts.ts";

const [file, first, count] = Deno.args as [string, string, string];

const transfer = workflow("transfer", async (ctx) => {
  await ctx.step("before", () => Promise.resolve());
  const [left] = await ctx.all([
    (ctx) =>
      ctx.transaction("move", async (tx) => {
        await tx.signal("audit", "moved", ctx.workflowId);
        return await move(tx, ctx.workflowId);
      }),
    (ctx) => ctx.step("beside", () => Promise.resolve()),
    (ctx) =>
      ctx.transaction("undone", async (tx) => {
        await move(tx, "undone");
        throw new Error("Undone");
      }).catch(() => {}),
  ]);
  return left;
});

const engine = await Engine.open(file, { durability: "normal" });
console.log("ready");
await Deno.stdin.read(new Uint8Array(100));
await Promise.all(
  Array.from({ length: Number(count) }, (_, i) => engine.run(transfer, { id: `move-${Number(first) + i}` })),
);
await engine.close();
console.log("ended");
