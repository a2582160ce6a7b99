/**
 * An order in three steps, each of which can be undone. The third fails for good, so the two before it are undone, the
 * last one first: a saga. Each of them is a durable step, and is tried again until it has worked.
 *
 * `deno run --allow-read --allow-write examples/order_saga.ts [FILE]`
 *
 * @module
 */
import { Engine, NonRetryableError, workflow } from "@stepwell/stepwell";

interface Order {
  readonly sku: string;
  readonly card: string;
}

/** What the services have done, in the order in which they did it. */
export const ledger: string[] = [];

export const order = workflow("order", async (ctx, { sku, card }: Order) => {
  await ctx.step("reserve", () => {
    ledger.push(`reserved ${sku}`);
    return { reservation: `R-${sku}` };
  }, {
    compensate: ({ reservation }) => void ledger.push(`released ${reservation}`),
  });
  await ctx.step("charge", ({ idempotencyKey }) => {
    ledger.push(`charged ${card}`);
    return { receipt: idempotencyKey };
  }, {
    retry: { maxAttempts: 5 },
    compensate: {
      undo: ({ receipt }, { attempt }) => {
        if (attempt === 1) throw new Error("The bank does not answer");
        ledger.push(`refunded ${receipt}`);
      },
      retry: { maxAttempts: Infinity, initialInterval: "10ms" },
    },
  });
  await ctx.step("ship", () => {
    throw new NonRetryableError(`${sku} was damaged in the warehouse`);
  });
});

if (import.meta.main) {
  await using engine = await Engine.open(Deno.args[0] ?? ":memory:", { workflows: [order] });
  try {
    await engine.run(order, { id: "order-17", input: { sku: "A1", card: "tok" } });
  } catch (error) {
    console.log(String(error));
  }
  for (const line of ledger) console.log(line);
}
