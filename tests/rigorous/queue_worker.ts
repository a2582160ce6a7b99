/**
 * A process that works on a queue until it is killed, and writes each step that it runs to a ledger: `FILE LEDGER`.
 *
 * @module
 */
import { Engine } from "@stepwell/stepwell";
import { jobs, jobWorkflow } from "./queue_workflow.ts";

const [file, ledger] = Deno.args as [string, string];
const engine = await Engine.open(file, {
  durability: "normal",
  workflows: [jobWorkflow(ledger)],
  queues: [jobs],
  onEvent: ({ type, workflowId }) => {
    if (type === "failed" || type === "blocked") console.error(`${workflowId} is ${type}`);
  },
});
const working = engine.work();
console.log("working");
await working;
