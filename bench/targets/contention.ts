import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { RawStore } from "../raw_store.ts";
import { type RecordedRows, recordRows } from "../recorded_rows.ts";
import { median } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { type Figure, milliseconds, type Target } from "./figure.ts";

const PROCESSES = 8;
/** For how long each round writes, in milliseconds. */
const MS = 1_000;
const WANTED_OF_ONE = 0.7;
const WANTED_OF_RAW = 0.8;

/** What processes did that wrote to one file at the same time. */
interface Round {
  /** Workflows a second, of all together. */
  readonly rate: number;
  /** The longest of their 99th percentiles, and the longest of all, in milliseconds. */
  readonly p99: number;
  readonly worst: number;
  /** How large the write-ahead log became, in bytes. */
  readonly logBytes: number;
}

/** What eight processes do on one file, each with 100 workflows of one step at a time, beside one process and bare commits. */
export const contention: Target = {
  name: "contention",
  async measure({ effort }) {
    const rows = await recordRows(sequence, { input: 1 });
    const rounds: Record<"all" | "one" | "raw", Round[]> = { all: [], one: [], raw: [] };
    for (let round = 0; round < 5 * effort; round++) {
      rounds.one.push(await contend("engine", 1, rows));
      rounds.all.push(await contend("engine", PROCESSES, rows));
      rounds.raw.push(await contend("raw", PROCESSES, rows));
    }
    return [
      figure(
        `${PROCESSES} processes on one file, 100 workflows at a time each; one`,
        rounds.all,
        rounds.one,
        WANTED_OF_ONE,
      ),
      figure(
        `    to ${PROCESSES} bare loops of the same commits, under a lock`,
        rounds.all,
        rounds.raw,
        WANTED_OF_RAW,
      ),
      time("    99th percentile of a workflow, of the slowest process; of one", rounds, "p99"),
      time("    the longest of all; of one", rounds, "worst"),
      {
        name: "    the largest log; of the bare loops",
        engine: megabytes(rounds.all),
        raw: megabytes(rounds.raw),
      },
    ];
  },
};

async function contend(side: "engine" | "raw", processes: number, rows: RecordedRows): Promise<Round> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  if (side === "raw") new RawStore(file, rows, "full")[Symbol.dispose]();
  else await (await Engine.open(file)).close();
  const children = Array.from(
    { length: processes },
    (_, number) => new BenchChild("bench/child/contender.ts", side, file, `${number}`, `${MS}`),
  );
  await Promise.all(children.map((child) => child.told()));
  let logBytes = 0;
  const look = setInterval(() => logBytes = Math.max(logBytes, Deno.statSync(`${file}-wal`).size), 20);
  await Deno.writeTextFile(`${file}.go`, "");
  const outputs = await Promise.all(children.map((child) => child.output()));
  clearInterval(look);
  const done = outputs.map(({ text }) =>
    JSON.parse(text) as { count: number; elapsedMs: number; p99: number; worst: number }
  );
  return {
    rate: done.reduce((sum, { count, elapsedMs }) => sum + count * 1_000 / elapsedMs, 0),
    p99: Math.max(...done.map(({ p99 }) => p99)),
    worst: Math.max(...done.map(({ worst }) => worst)),
    logBytes,
  };
}

function figure(name: string, all: readonly Round[], other: readonly Round[], wanted: number): Figure {
  const found = median(all.map(({ rate }, round) => rate / other[round]!.rate));
  const rate = (rounds: readonly Round[]) => `${Math.round(median(rounds.map(({ rate }) => rate)))}/s`;
  return {
    name,
    engine: rate(all),
    raw: rate(other),
    ratio: found.toFixed(2),
    wanted: `≥ ${wanted}`,
    met: found >= wanted,
  };
}

function time(name: string, { all, one }: Record<"all" | "one", Round[]>, what: "p99" | "worst"): Figure {
  const engine = median(all.map((round) => round[what]));
  const raw = median(one.map((round) => round[what]));
  return { name, engine: milliseconds(engine), raw: milliseconds(raw), ratio: (engine / raw).toFixed(2) };
}

function megabytes(rounds: readonly Round[]): string {
  return `${(Math.max(...rounds.map(({ logBytes }) => logBytes)) / 1e6).toFixed(1)} MB`;
}
