import { queue, type Workflow, workflow } from "@stepwell/stepwell";

/** What the queue of the jobs allows for. */
export const LIMITS = {
  concurrency: 8,
  executorConcurrency: 3,
  partitionConcurrency: 2,
  rate: { limit: 12, period: 200 },
} as const;

export const jobs = queue("jobs", LIMITS);

/** How many steps a job has. */
export const STEPS = 10;

/** A line of the ledger: a process has begun to run a step. */
export interface Entry {
  readonly id: string;
  readonly step: number;
  readonly pid: number;
}

/** A workflow whose steps are written to a ledger, each in one write that cannot be torn. */
export function jobWorkflow(ledger: string): Workflow<undefined, number> {
  return workflow("job", async (ctx): Promise<number> => {
    for (let step = 0; step < STEPS; step++) {
      await ctx.step("step", async () => {
        const entry: Entry = { id: ctx.workflowId, step, pid: Deno.pid };
        await Deno.writeTextFile(ledger, JSON.stringify(entry) + "\n", { append: true });
      });
    }
    return STEPS;
  });
}

/** The lines of a ledger, in their order. */
export async function readLedger(ledger: string): Promise<Entry[]> {
  const text = await Deno.readTextFile(ledger);
  return text.split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
}
