import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { interleave, ratio } from "../interleave.ts";
import { median } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { milliseconds, type Target } from "./figure.ts";

const WANTED_RATIO = 1.3;
const WANTED_HELP_MS = 150;

/** How long a process takes from its start to its first step, and for the help; each in a process of its own. */
export const startUp: Target = {
  name: "start",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const file = folder.file("engine.db");
    {
      await using engine = await Engine.open(file);
      await engine.run(sequence, { input: 1 });
    }
    const times = await interleave({
      engine: () => untilTold("bench/child/first_step.ts", file),
      raw: () => untilTold("bench/child/raw_statement.ts", file, "SELECT count(*) FROM workflows"),
      help: async () => (await new BenchChild("main.ts", "help").output()).ms,
      nothing: async () => (await new BenchChild("bench/child/nothing.ts").output()).ms,
    }, { rounds: 15 * effort, warmUp: 2 });
    const toFirstStep = ratio(times.engine, times.raw);
    const help = median(times.help);
    return [{
      name: "process start to first step; to one statement on that file",
      engine: milliseconds(median(times.engine)),
      raw: milliseconds(median(times.raw)),
      ratio: toFirstStep.toFixed(2),
      wanted: `≤ ${WANTED_RATIO}`,
      met: toFirstStep <= WANTED_RATIO,
    }, {
      name: "main.ts help; a program that does nothing",
      engine: milliseconds(help),
      raw: milliseconds(median(times.nothing)),
      ratio: ratio(times.help, times.nothing).toFixed(2),
      wanted: `≤ ${WANTED_HELP_MS} ms`,
      met: help <= WANTED_HELP_MS,
    }];
  },
};

async function untilTold(program: string, ...args: string[]): Promise<number> {
  const child = new BenchChild(program, ...args);
  const ms = await child.told();
  await child.output();
  return ms;
}
