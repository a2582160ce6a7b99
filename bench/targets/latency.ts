import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { interleave, timed, timedAsync } from "../interleave.ts";
import { RawStore } from "../raw_store.ts";
import { recordRows } from "../recorded_rows.ts";
import { median, percentile } from "../statistics.ts";
import { sequence } from "../workloads.ts";
import { milliseconds, type Target } from "./figure.ts";

/** How many times a commit it may take: three of them are commits. */
const WANTED_COMMITS = 5;
/** How many times that the slowest of a hundred may take. */
const WANTED_TAIL = 5;

/** How long it takes from the start of a workflow of one step to its result. */
export const latency: Target = {
  name: "latency",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    await using engine = await Engine.open(folder.file("engine.db"));
    const rows = await recordRows(sequence, { input: 1 });
    using raw = new RawStore(folder.file("raw.db"), rows, "full");
    const write = raw.stepWriter();
    const times = await interleave({
      engine: () => timedAsync(() => engine.run(sequence, { input: 1 })),
      raw: () => timed(write),
    }, { rounds: 1_000 * effort, warmUp: 200 });
    const middle = { engine: median(times.engine), raw: median(times.raw) };
    const tail = { engine: percentile(times.engine, 99), raw: percentile(times.raw, 99) };
    return [{
      name: "start to result of a workflow of one step, median; a commit",
      engine: milliseconds(middle.engine),
      raw: milliseconds(middle.raw),
      ratio: (middle.engine / middle.raw).toFixed(2),
      wanted: `≤ ${WANTED_COMMITS}`,
      met: middle.engine <= WANTED_COMMITS * middle.raw,
    }, {
      name: "    99th percentile of each; the ratio is to the median commit",
      engine: milliseconds(tail.engine),
      raw: milliseconds(tail.raw),
      ratio: (tail.engine / middle.raw).toFixed(2),
      wanted: `≤ ${WANTED_TAIL * WANTED_COMMITS}`,
      met: tail.engine <= WANTED_TAIL * WANTED_COMMITS * middle.raw,
    }];
  },
};
