import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { type Figure, milliseconds, type Target } from "./figure.ts";

const COUNT = 100_000;
const WANTED_BYTES = 150e6;
const WANTED_START_MS = 2_000;
const WANTED_LATE_MS = 50;
/** A share of one processor that is as good as none: two of the ticks in which it is counted. */
const WANTED_IDLE = 0.002;

/** What workflows cost that sleep: ten times as many with `--effort 10`. */
export const sleepers: Target = {
  name: "sleepers",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const file = folder.file("sleepers.db");
    const count = COUNT * (effort >= 10 ? 10 : 1);
    const made = await new BenchChild("bench/child/sleepers.ts", file, String(count)).output();
    const { text } = await new BenchChild("bench/child/wake_one.ts", file).output();
    const { startMs, lateMs, idle, peak } = JSON.parse(text);
    const { size } = await Deno.stat(file);
    const all = `${count} sleeping workflows`;
    return [
      {
        name: `${all}: peak memory of the process that starts them`,
        engine: megabytes(Number(made.text)),
        raw: `${Math.round(count / made.ms * 1_000)}/s`,
      },
      {
        name: `    of a process that works on them`,
        engine: megabytes(peak),
        raw: "",
        wanted: `≤ ${megabytes(WANTED_BYTES)}`,
        met: peak <= WANTED_BYTES,
      },
      figure(`    its start, until it has begun another one`, startMs, WANTED_START_MS),
      figure(`    how late it wakes one`, lateMs, WANTED_LATE_MS),
      {
        name: `    the share of a processor it uses while they sleep`,
        engine: `${(idle * 100).toFixed(2)} %`,
        raw: "",
        wanted: `≤ ${WANTED_IDLE * 100} %`,
        met: idle <= WANTED_IDLE,
      },
      { name: `    the file, for each`, engine: `${Math.round(size / count)} B`, raw: "" },
    ];
  },
};

function megabytes(bytes: number): string {
  return `${Math.round(bytes / 1e6)} MB`;
}

function figure(name: string, found: number, wanted: number): Figure {
  return { name, engine: milliseconds(found), raw: "", wanted: `≤ ${wanted} ms`, met: found <= wanted };
}
