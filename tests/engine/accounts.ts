import { type Engine, type Transaction, type Workflow, workflow } from "@stepwell/stepwell";
import { query } from "../raw_sqlite.ts";

/** What a transfer moves. */
export const CENTS = 30;

/** Makes two accounts, of 100 and of 0. */
export async function openAccounts(engine: Engine): Promise<void> {
  await engine.transaction(async (tx) => {
    await tx.run(
      "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL CHECK (cents >= 0))",
    );
    await tx.run("CREATE TABLE IF NOT EXISTS moves (id TEXT NOT NULL)");
    await tx.run("INSERT INTO accounts VALUES ('ada', 100), ('grace', 0) ON CONFLICT DO NOTHING");
  });
}

/** Moves money from one account to the other, and writes down that it did. @returns what is left on the first */
export async function move(tx: Transaction, id: string): Promise<number> {
  await tx.run("UPDATE accounts SET cents = cents - ? WHERE name = 'ada'", CENTS);
  await tx.run("UPDATE accounts SET cents = cents + ? WHERE name = 'grace'", CENTS);
  await tx.run("INSERT INTO moves VALUES (?)", id);
  return (await tx.get<{ cents: number }>("SELECT cents FROM accounts WHERE name = 'ada'"))!.cents;
}

/** A workflow with a transfer between two steps. @param begun called when the function of the transfer is */
export function transfer(begun: () => void = () => {}): Workflow<void, unknown> {
  return workflow("transfer", async (ctx) => {
    const before = await ctx.step("before", () => "before");
    const left = await ctx.transaction("move", (tx) => {
      begun();
      return move(tx, ctx.workflowId);
    });
    return [before, left, await ctx.step("after", () => "after")];
  });
}

/** What is on the accounts, and which moves there were, as another connection sees it. */
export function accounts(file: string): { ada: unknown; grace: unknown; moves: unknown[] } {
  const [ada, grace] = query(file, "SELECT cents FROM accounts ORDER BY name");
  return {
    ada: ada?.cents,
    grace: grace?.cents,
    moves: query(file, "SELECT id FROM moves").map(({ id }) => id),
  };
}
