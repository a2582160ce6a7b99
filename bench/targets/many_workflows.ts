import { Engine } from "@stepwell/stepwell";
import { type TemporaryFolder, temporaryFolder } from "../../tests/temporary_folder.ts";
import { interleave, ratio, timed, timedAsync } from "../interleave.ts";
import { type Grouping, RawStore } from "../raw_store.ts";
import { type RecordedRows, recordRows } from "../recorded_rows.ts";
import { median } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { type Figure, perSecond, type Target } from "./figure.ts";

const WORKFLOWS = 500;
const STEPS = 5;

/** What 500 workflows do that are started at once, each round on a file that has just been made. */
export const manyWorkflows: Target = {
  name: "many",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const rows = await recordRows(sequence, { input: STEPS, count: WORKFLOWS });
    let files = 0;
    const raw = (grouping: Grouping, stepsOnly: boolean) => () =>
      writeRaw(folder, ++files, rows, grouping, stepsOnly);
    const times = await interleave({
      engine: () => runAll(folder, ++files),
      oneByOne: raw("one by one", false),
      stepsOneByOne: raw("one by one", true),
      grouped: raw("side by side", false),
      stepsGrouped: raw("side by side", true),
    }, { rounds: 9 * effort, warmUp: 2 });
    const what = `${WORKFLOWS} workflows of ${STEPS} steps`;
    return [
      figure(`${what}, to the same rows one by one`, times.engine, times.oneByOne, 8),
      figure(`    to the rows of the steps alone, one by one`, times.engine, times.stepsOneByOne),
      figure(`    to the same rows in the same commits`, times.engine, times.grouped, 0.5),
      figure(
        `    to the rows of the steps alone, in commits of ${WORKFLOWS}`,
        times.engine,
        times.stepsGrouped,
      ),
    ];
  },
};

async function runAll(folder: TemporaryFolder, number: number): Promise<number> {
  await using engine = await Engine.open(folder.file(`${number}.db`));
  return await timedAsync(() =>
    Promise.all(Array.from({ length: WORKFLOWS }, () => engine.run(sequence, { input: STEPS })))
  );
}

function writeRaw(
  folder: TemporaryFolder,
  number: number,
  rows: RecordedRows,
  grouping: Grouping,
  stepsOnly: boolean,
): number {
  using raw = new RawStore(folder.file(`${number}.db`), rows, "full");
  return timed(raw.writer(grouping, { stepsOnly }));
}

function figure(name: string, engine: readonly number[], raw: readonly number[], wanted?: number): Figure {
  const found = ratio(raw, engine);
  return {
    name,
    engine: perSecond(WORKFLOWS * STEPS, median(engine)),
    raw: perSecond(WORKFLOWS * STEPS, median(raw)),
    ratio: found.toFixed(2),
    ...wanted === undefined ? {} : { wanted: `≥ ${wanted}`, met: found >= wanted },
  };
}
