import { DatabaseSync } from "node:sqlite";
import { Engine, workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { interleave, timed } from "../interleave.ts";
import { RawStore } from "../raw_store.ts";
import { recordRows } from "../recorded_rows.ts";
import { median } from "../statistics.ts";
import { quickStep, sequence } from "../workloads.ts";
import { type Figure, microseconds, type Target } from "./figure.ts";

const SIZES = [1_000, 10_000, 100_000];
const NEW_STEPS = 500;
const WANTED_REPLAY_MS = 0.01;
/** How much dearer a step may be in the longest history than in the shortest, for the cost to be called flat. */
const FLAT = 1.25;

/** What a stored step and a new one cost, as the history of one workflow grows. Durability is `normal`. */
export const replay: Target = {
  name: "replay",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const file = folder.file("engine.db");
    const costs = [];
    for (const size of SIZES) costs.push(await measureAt(file, size, (size > 10_000 ? 5 : 15) * effort));
    const [shortest] = costs;
    return costs.flatMap(({ size, stored, read, fresh, commit }): Figure[] => [{
      name: `replay of a stored step of ${size}; reading its row`,
      engine: microseconds(stored),
      raw: microseconds(read),
      ratio: (stored / read).toFixed(2),
      wanted: "≤ 10 µs",
      met: stored <= WANTED_REPLAY_MS,
    }, {
      name: `    a new step after them, durability normal; a commit`,
      engine: microseconds(fresh),
      raw: microseconds(commit),
      ratio: (fresh / commit).toFixed(2),
      wanted: "flat",
      met: fresh / commit <= FLAT * shortest!.fresh / shortest!.commit,
    }]);
  },
};

interface Costs {
  readonly size: number;
  /** Milliseconds for a step that is replayed, and for its row being read. */
  readonly stored: number;
  readonly read: number;
  /** Milliseconds for a step that is not stored yet, and for its row being committed. */
  readonly fresh: number;
  readonly commit: number;
}

/** Goes on with a workflow until it has so many steps, and then again and again, a few steps further each time. */
async function measureAt(file: string, size: number, rounds: number): Promise<Costs> {
  await goOn(file, { stored: 0, steps: size });
  await using folder = temporaryFolder();
  using raw = new RawStore(folder.file("raw.db"), await recordRows(sequence, { input: 1 }), "normal");
  const write = raw.stepWriter();
  raw.inOneCommit(() => repeat(size, write));
  let stored = size;
  const fresh: number[] = [];
  const times = await interleave({
    engine: async () => {
      const took = await goOn(file, { stored, steps: stored + NEW_STEPS });
      fresh.push(took.freshMs / NEW_STEPS);
      const ms = took.storedMs / stored;
      stored += NEW_STEPS;
      return ms;
    },
    read: () => readAll(file) / stored,
    commit: () => timed(() => repeat(NEW_STEPS, write)) / NEW_STEPS,
  }, { rounds, warmUp: 2 });
  return {
    size,
    stored: median(times.engine),
    read: median(times.read),
    fresh: median(fresh.slice(2)),
    commit: median(times.commit),
  };
}

/** Resumes the workflow of a file, and stops it when it has so many steps. */
async function goOn(
  file: string,
  { stored, steps }: { stored: number; steps: number },
): Promise<{ storedMs: number; freshMs: number }> {
  let claimedAt = NaN;
  const { promise: reached, resolve } = Promise.withResolvers<{ storedMs: number; freshMs: number }>();
  const growing = workflow("growing", async (ctx) => {
    for (let i = 0; i < stored; i++) await quickStep(ctx);
    const middle = performance.now();
    for (let i = stored; i < steps; i++) await quickStep(ctx);
    resolve({ storedMs: middle - claimedAt, freshMs: performance.now() - middle });
    await new Promise(() => {});
  });
  await using engine = await Engine.open(file, { durability: "normal" });
  const handle = await engine.start(growing, { id: "growing" });
  claimedAt = performance.now();
  handle.result().catch(() => {});
  return await reached;
}

function readAll(file: string): number {
  const db = new DatabaseSync(file);
  try {
    const select = db.prepare(
      "SELECT * FROM checkpoints WHERE workflow = 1 AND completion > ? ORDER BY completion LIMIT 1000",
    );
    return timed(() => {
      for (let after = 0;; after += 1_000) {
        const rows = select.all(after) as { output_json: string }[];
        for (const { output_json } of rows) JSON.parse(output_json);
        if (rows.length < 1_000) return;
      }
    });
  } finally {
    db.close();
  }
}

function repeat(times: number, act: () => void): void {
  for (let i = 0; i < times; i++) act();
}
