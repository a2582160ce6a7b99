import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { BenchChild } from "../bench_child.ts";
import { interleave } from "../interleave.ts";
import { median } from "../statistics.ts";
import { milliseconds, type Target } from "./figure.ts";

const STEPS = 1_000;
const WANTED_MS = 150;

/**
 * How soon after its process was killed, and started again, a workflow is past its last stored step; beside a process that
 * reads as many rows. Each time the one that is killed has resumed it, and owned it until then.
 */
export const recovery: Target = {
  name: "recovery",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const file = folder.file("engine.db");
    const untilPast = async () => {
      const child = new BenchChild("bench/child/past_the_last_step.ts", file, `${STEPS}`);
      const ms = await child.told();
      await child.kill();
      return ms;
    };
    await untilPast();
    const times = await interleave({
      engine: untilPast,
      raw: async () => {
        const child = new BenchChild("bench/child/raw_statement.ts", file, "SELECT * FROM checkpoints");
        const ms = await child.told();
        await child.output();
        return ms;
      },
    }, { rounds: 9 * effort, warmUp: 1 });
    const found = median(times.engine);
    return [{
      name: `killed and started again: past ${STEPS} stored steps; reading them`,
      engine: milliseconds(found),
      raw: milliseconds(median(times.raw)),
      ratio: (found / median(times.raw)).toFixed(2),
      wanted: `≤ ${WANTED_MS} ms`,
      met: found <= WANTED_MS,
    }];
  },
};
