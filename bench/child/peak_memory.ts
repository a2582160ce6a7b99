/**
 * Runs so many workflows of so many steps at once, none at all as it may be, and prints the most memory that the process
 * has had by then, in bytes: `peak_memory.ts FILE WORKFLOWS STEPS`. Linux only; it needs all access, as Deno has it
 * for files of `/proc`.
 */
import { Engine } from "@stepwell/stepwell";
import { sequence } from "../workloads.ts";
import { peakMemory } from "./peak_memory_of_process.ts";

const [file, workflows, steps] = Deno.args as [string, string, string];
{
  await using engine = await Engine.open(file);
  await Promise.all(
    Array.from({ length: Number(workflows) }, () => engine.run(sequence, { input: Number(steps) })),
  );
}
console.log(peakMemory());
