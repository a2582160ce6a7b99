import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { interleave, ratio, timed, timedAsync } from "../interleave.ts";
import { RawStore } from "../raw_store.ts";
import { recordRows } from "../recorded_rows.ts";
import { median } from "../statistics.ts";
import { fanOut } from "../workloads.ts";
import { type Figure, perSecond, type Target } from "./figure.ts";

const STEPS = 200;

/** What one workflow does that begins all its steps at once, from its start to its result. */
export const fanOutOfMany: Target = {
  name: "fan-out",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    await using engine = await Engine.open(folder.file("engine.db"));
    const rows = await recordRows(fanOut, { input: STEPS });
    using same = new RawStore(folder.file("same.db"), rows, "full");
    using steps = new RawStore(folder.file("steps.db"), rows, "full");
    const times = await interleave({
      engine: () => timedAsync(() => engine.run(fanOut, { input: STEPS })),
      same: () => timed(same.writer("fanned out")),
      steps: () => timed(steps.writer("fanned out", { stepsOnly: true })),
    }, { rounds: 60 * effort, warmUp: 20 });
    return [
      figure(
        `fan-out of ${STEPS} steps, to the same rows in the same commits`,
        times.engine,
        times.same,
        0.4,
      ),
      figure(`    to the rows of the steps alone, in one commit`, times.engine, times.steps),
    ];
  },
};

function figure(name: string, engine: readonly number[], raw: readonly number[], wanted?: number): Figure {
  const found = ratio(raw, engine);
  return {
    name,
    engine: perSecond(STEPS, median(engine)),
    raw: perSecond(STEPS, median(raw)),
    ratio: found.toFixed(2),
    ...wanted === undefined ? {} : { wanted: `≥ ${wanted}`, met: found >= wanted },
  };
}
