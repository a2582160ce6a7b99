/**
 * A process that runs workflows of random shapes, and writes down what each call of their functions sees: `FILE NOTES SEED
 * COUNT`. It begins when it reads a line.
 *
 * @module
 */
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { SeededRandom } from "../../engine/random.ts";
import { randomShape } from "./shape.ts";
import { workflowOf } from "./shape_workflow.ts";

const [file, notesFile, seed, count] = Deno.args as [string, string, string, string];
using notes = await Deno.open(notesFile, { append: true, create: true });
/** Numbers that no other process gives. */
let number = Deno.pid * 1_000_000;
/** How often functions of workflows were called. */
let calls = 0;

const random = new SeededRandom(Number(seed));
const workflows = Array.from(
  { length: Number(count) },
  (_, i) =>
    workflowOf(`shape-${i}`, randomShape(random), {
      begin: () => {
        const call = ++calls;
        return (line) => void notes.writeSync(new TextEncoder().encode(`shape-${i} ${call} ${line}\n`));
      },
      execute: async (info, shape) => {
        if (shape.delayMs > 0) await delay(shape.delayMs, shape.listens ? { signal: info.signal } : {});
        if (info.attempt <= shape.failures) throw new RangeError(`attempt ${info.attempt} fails`);
        return ++number;
      },
    }),
);

console.log("ready");
await Deno.stdin.read(new Uint8Array(10));
await using engine = await Engine.open(file, { durability: "normal" });
await Promise.allSettled(workflows.map((workflow) => engine.run(workflow, { id: workflow.name })));
console.log("ended");
