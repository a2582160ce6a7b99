/**
 * A process that stays inside a transaction until it reads a line: `FILE TIMEOUT`.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";
import { move } from "../engine/accounts.ts";

const [file, transactionTimeout] = Deno.args as [string, "1h"];

/** Settled once the function of the transaction has ended, which goes on when the transaction has been given up. */
const over = Promise.withResolvers<void>();

const held = workflow("held", (ctx) =>
  ctx.transaction("move", async (tx) => {
    await move(tx, ctx.workflowId);
    console.log("inside");
    await Deno.stdin.read(new Uint8Array(100));
    await tx.run("UPDATE accounts SET cents = cents + 1000").catch((error) =>
      console.log(`refused: ${error}`)
    );
    over.resolve();
  }));

const engine = await Engine.open(file, { transactionTimeout });
await engine.run(held, { id: "held" }).then(
  () => console.log("moved"),
  (error) => console.log(`failed: ${error}`),
);
await over.promise;
await engine.close();
console.log("closed");
