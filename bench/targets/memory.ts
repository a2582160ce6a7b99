import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { median } from "../statistics.ts";
import type { Target } from "./figure.ts";

const WANTED_MEGABYTES = 80;

/** The most memory that a process has had which runs 500 workflows of 5 steps; beside one that runs none. */
export const memory: Target = {
  name: "memory",
  async measure() {
    if (Deno.build.os !== "linux") {
      return [{ name: "peak memory: only Linux tells", engine: "-", raw: "-" }];
    }
    await using folder = temporaryFolder();
    const peaks: Record<"engine" | "raw", number[]> = { engine: [], raw: [] };
    for (let round = 0; round < 5; round++) {
      peaks.engine.push(await peakMegabytes(folder.file(`${round}.db`), 500, 5));
      peaks.raw.push(await peakMegabytes(folder.file(`${round}-none.db`), 0, 0));
    }
    const found = median(peaks.engine);
    return [{
      name: "peak memory of 500 workflows of 5 steps; of an engine at rest",
      engine: `${found.toFixed(0)} MB`,
      raw: `${median(peaks.raw).toFixed(0)} MB`,
      wanted: `≤ ${WANTED_MEGABYTES} MB`,
      met: found <= WANTED_MEGABYTES,
    }];
  },
};

async function peakMegabytes(file: string, workflows: number, steps: number): Promise<number> {
  const child = new BenchChild("bench/child/peak_memory.ts", file, `${workflows}`, `${steps}`);
  return Number((await child.output()).text) / 1e6;
}
