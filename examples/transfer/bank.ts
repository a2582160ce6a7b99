import { Engine, signal, type Transaction, type Workflow, workflow } from "@stepwell/stepwell";

/** What is moved, and between whom. */
export interface Transfer {
  readonly from: string;
  readonly to: string;
  readonly cents: number;
}

/** Tells the auditor of a transfer. */
const moved = signal<Transfer>("moved");

/** The receipt for a transfer: a workflow of its own, which a transfer starts. */
export const receipt: Workflow<Transfer, string> = workflow(
  "receipt",
  (_ctx, { from, to, cents }: Transfer) => `${from} has sent ${to} ${cents} cents`,
);

/**
 * A transfer: the money is moved, the auditor is told and the receipt is started in one transaction, exactly once.
 *
 * @param at called where a process might be lost: inside of the transaction, and after it
 */
export function transferWorkflow(at: (place: string) => void = () => {}): Workflow<Transfer, number> {
  return workflow("transfer", async (ctx, transfer: Transfer) => {
    const left = await ctx.transaction("move", async (tx) => {
      await withdraw(tx, transfer.from, transfer.cents);
      at("inside");
      await tx.run("UPDATE accounts SET cents = cents + ? WHERE name = ?", transfer.cents, transfer.to);
      await tx.signal("auditor", moved, transfer);
      await tx.start(receipt, { id: `${ctx.workflowId}/receipt`, input: transfer });
      return await balance(tx, transfer.from);
    });
    await ctx.step("after", () => at("after"));
    return left;
  });
}

async function withdraw(tx: Transaction, name: string, cents: number): Promise<void> {
  const enough = "UPDATE accounts SET cents = cents - ? WHERE name = ? AND cents >= ?";
  if (await tx.run(enough, cents, name, cents) === 0) {
    throw new RangeError(`"${name}" has less than ${cents} cents`);
  }
}

async function balance(tx: Transaction, name: string): Promise<number> {
  return (await tx.get<{ cents: number }>("SELECT cents FROM accounts WHERE name = ?", name))!.cents;
}

/** Opens a bank, whose accounts are in the same file as its workflows. @param at see {@linkcode transferWorkflow} */
export async function openBank(file: string, at?: (place: string) => void): Promise<Engine> {
  const engine = await Engine.open(file, { workflows: [transferWorkflow(at), receipt] });
  await openAccounts(engine);
  return engine;
}

/** Opens the accounts of the bank, where there are none. */
export async function openAccounts(engine: Engine): Promise<void> {
  await engine.transaction(async (tx) => {
    await tx.run("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL)");
    await tx.run("INSERT INTO accounts VALUES ('ada', 100), ('grace', 0) ON CONFLICT DO NOTHING");
  });
}

/** What is on the accounts, and how often the auditor was told. */
export async function books(engine: Engine): Promise<string> {
  return await engine.transaction(async (tx) => {
    const accounts = await tx.all<{ name: string; cents: number }>("SELECT * FROM accounts ORDER BY name");
    const told = await tx.get<{ times: number }>(
      "SELECT count(*) AS times FROM signals WHERE name = 'moved'",
    );
    return [...accounts.map(({ name, cents }) => `${name} ${cents}`), `auditor told ${told!.times}`].join(
      ", ",
    );
  });
}
