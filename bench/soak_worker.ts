/**
 * A process of the soak: takes all its workflows to their end, in competition with others on the same file. Run as
 * `FILE LEDGER WORKFLOWS`; it begins when it reads a line.
 *
 * @module
 */
import { delay } from "@std/async";
import { Engine, type StepInfo, WorkflowBusyError } from "@stepwell/stepwell";
import { type Effect, soakWorkflows } from "./soak_workflows.ts";

/** How long a step may take, in milliseconds, and how long a workflow that another process runs is left alone. */
const MAX_STEP_MS = 4;
const BUSY_PAUSE_MS = 5;

const [file, ledger, count] = Deno.args as [string, string, string];
const pid = String(Deno.pid);
using effects = await Deno.open(ledger, { append: true });
let calls = 0;

const workflows = soakWorkflows(async ({ idempotencyKey, attempt }: StepInfo): Promise<Effect> => {
  const name = `${pid}-${++calls}`;
  effects.writeSync(new TextEncoder().encode(`${JSON.stringify({ key: idempotencyKey, attempt, name })}\n`));
  if (calls % 3 !== 0) await delay(calls % MAX_STEP_MS);
  return { key: idempotencyKey, name };
});

console.log("ready");
await Deno.stdin.read(new Uint8Array(10));

await using engine = await Engine.open(file, { durability: "normal" });
await Promise.all(Array.from({ length: Number(count) }, async (_, number) => {
  const workflow = workflows[number % workflows.length]!;
  while (true) {
    try {
      return await engine.run(workflow, { id: `${workflow.name}-${number}` });
    } catch (error) {
      if (!(error instanceof WorkflowBusyError)) throw error;
      await delay(BUSY_PAUSE_MS);
    }
  }
}));
