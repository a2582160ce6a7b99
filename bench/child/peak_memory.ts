/**
 * Runs so many workflows of so many steps at once, none at all as it may be, and prints the most memory that the process
 * has had by then, in bytes: `peak_memory.ts FILE WORKFLOWS STEPS`. Linux only; it needs all access, as Deno has it
 * for files of `/proc`.
 */
import { Engine } from "@stepwell/stepwell";
import { sequence } from "../workloads.ts";

const [file, workflows, steps] = Deno.args as [string, string, string];
{
  await using engine = await Engine.open(file);
  await Promise.all(
    Array.from({ length: Number(workflows) }, () => engine.run(sequence, { input: Number(steps) })),
  );
}
const [, kilobytes] = /^VmHWM:\s+(\d+) kB$/m.exec(await Deno.readTextFile("/proc/self/status"))!;
console.log(Number(kilobytes) * 1024);
