import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { countCommits } from "../count_commits.ts";
import { interleave, ratio, timed, timedAsync } from "../interleave.ts";
import { RawStore } from "../raw_store.ts";
import { recordRows } from "../recorded_rows.ts";
import { median } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { type Figure, perSecond, type Target } from "./figure.ts";

const STEPS = 200;

/** What a workflow of quick steps in sequence does, beside commits of one row each. */
export const sequential: Target = {
  name: "sequential",
  measure: async ({ effort }) => [
    await onGrownLog(25 * effort),
    await onFreshLog(15 * effort, { growWal: false }),
    await onFreshLog(15 * effort, { growWal: true }),
    await commits(),
  ],
};

/** Both write-ahead logs have been filled and overwritten before: commits do not make them grow any more. */
async function onGrownLog(rounds: number): Promise<Figure> {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("engine.db"));
  using raw = new RawStore(
    folder.file("raw.db"),
    await recordRows(sequence, { input: STEPS }),
    "full",
  );
  const times = await interleave({
    engine: () => timedAsync(() => engine.run(sequence, { input: STEPS })),
    raw: () => timed(raw.writer("one by one", { stepsOnly: true })),
  }, { rounds, warmUp: 8 });
  return figure(`${STEPS} steps in sequence, log as large as it gets`, times, 0.9);
}

/** Each round on files that have just been made. */
async function onFreshLog(rounds: number, { growWal }: { growWal: boolean }): Promise<Figure> {
  await using folder = temporaryFolder();
  const rows = await recordRows(sequence, { input: STEPS });
  let files = 0;
  const times = await interleave({
    engine: async () => {
      await using engine = await Engine.open(folder.file(`${++files}.db`), { growWal });
      return await timedAsync(() => engine.run(sequence, { input: STEPS }));
    },
    raw: () => {
      using raw = new RawStore(folder.file(`${++files}.db`), rows, "full");
      return timed(raw.writer("one by one", { stepsOnly: true }));
    },
  }, { rounds, warmUp: 1 });
  return growWal
    ? figure(`the same, growWal; raw on a log that grows`, times, 1.5)
    : figure(`the same, both on a log that grows`, times);
}

function figure(name: string, times: Record<"engine" | "raw", number[]>, wanted?: number): Figure {
  const found = ratio(times.raw, times.engine);
  return {
    name,
    engine: perSecond(STEPS, median(times.engine)),
    raw: perSecond(STEPS, median(times.raw)),
    ratio: found.toFixed(2),
    ...wanted === undefined ? {} : { wanted: `≥ ${wanted}`, met: found >= wanted },
  };
}

async function commits(): Promise<Figure> {
  await using folder = temporaryFolder();
  const file = folder.file("engine.db");
  await using engine = await Engine.open(file);
  await engine.run(sequence, { input: 1 });
  const found = await countCommits(file, () => engine.run(sequence, { input: STEPS }));
  const most = STEPS + 2;
  return {
    name: `commits of a workflow of ${STEPS} steps`,
    engine: `${found}`,
    raw: `${STEPS}`,
    wanted: `≤ ${most}`,
    met: found <= most,
  };
}
