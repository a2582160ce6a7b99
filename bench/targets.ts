/**
 * Measures what the engine is to reach, each figure beside its lower bound in the same run, and prints a table.
 *
 * `deno run -A bench/targets.ts [--effort N] [NAME…]`: only the questions of these names, with N times the rounds.
 *
 * @module
 */
import { cpus } from "node:os";
import { parseArgs } from "@std/cli/parse-args";
import { commits } from "./targets/commits.ts";
import { contention } from "./targets/contention.ts";
import { disk } from "./targets/disk.ts";
import { fanOutOfMany } from "./targets/fan_out.ts";
import type { Figure, Target } from "./targets/figure.ts";
import { growth } from "./targets/growth.ts";
import { latency } from "./targets/latency.ts";
import { manyWorkflows } from "./targets/many_workflows.ts";
import { memory } from "./targets/memory.ts";
import { queues } from "./targets/queues.ts";
import { recovery } from "./targets/recovery.ts";
import { replay } from "./targets/replay.ts";
import { sequential } from "./targets/sequential.ts";
import { sleepers } from "./targets/sleepers.ts";
import { startUp } from "./targets/start_up.ts";

const TARGETS: readonly Target[] = [
  sequential,
  manyWorkflows,
  fanOutOfMany,
  latency,
  startUp,
  replay,
  recovery,
  memory,
  disk,
  sleepers,
  queues,
  commits,
  contention,
  growth,
];

if (import.meta.main) await main();

async function main(): Promise<void> {
  const { _: names, effort } = parseArgs(Deno.args, { string: ["effort"], default: { effort: "1" } });
  const known = TARGETS.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(String(name)));
  if (unknown !== undefined || !(Number(effort) >= 1)) {
    console.error(`Usage: deno run -A bench/targets.ts [--effort N] [${known.join("|")}]…`);
    Deno.exit(2);
  }
  console.log(`${new Date().toISOString()}, Deno ${Deno.version.deno}, ${Deno.build.target}, ${machine()}`);
  print({ name: "", engine: "engine", raw: "raw", ratio: "ratio", wanted: "wanted" });
  for (const target of TARGETS.filter(({ name }) => names.length === 0 || names.includes(name))) {
    for (const figure of await target.measure({ effort: Number(effort) })) print(figure);
  }
}

function print({ name, engine, raw, ratio = "", wanted = "", met }: Figure): void {
  const verdict = met === undefined ? "" : met ? "  reached" : "  MISSED";
  console.log(
    name.padEnd(66) + engine.padStart(12) + raw.padStart(12) + ratio.padStart(9) + wanted.padStart(10) +
      verdict,
  );
}

function machine(): string {
  const processors = cpus();
  return `${processors.length} × ${processors[0]?.model ?? "unknown processor"}`;
}
