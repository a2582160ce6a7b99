import { DatabaseSync } from "node:sqlite";
import { type TemporaryFolder, temporaryFolder } from "../../tests/temporary_folder.ts";
import { interleave, ratio, timed } from "../interleave.ts";
import { median } from "../statistics.ts";
import { type Figure, perSecond, type Target } from "./figure.ts";

const COMMITS = 200;

/** What changes the rate of raw commits of one row: time that passes between them, and the size of a page. */
export const commits: Target = {
  name: "commits",
  async measure({ effort }) {
    await using folder = temporaryFolder();
    const sides = {
      plain: committing(folder, "plain"),
      after10: committing(folder, "after10", { betweenUs: 10 }),
      after30: committing(folder, "after30", { betweenUs: 30 }),
      pages2: committing(folder, "pages2", { pageBytes: 2048 }),
      pages1: committing(folder, "pages1", { pageBytes: 1024 }),
    };
    const times = await interleave(sides, { rounds: 30 * effort, warmUp: 8 });
    const figure = (name: string, side: keyof typeof sides): Figure => ({
      name,
      engine: perSecond(COMMITS, median(times[side])),
      raw: perSecond(COMMITS, median(times.plain)),
      ratio: ratio(times.plain, times[side]).toFixed(2),
    });
    return [
      figure("raw commits with 10 µs between them; without (no engine here)", "after10"),
      figure("    with 30 µs between them", "after30"),
      figure("    with pages of 2 KiB", "pages2"),
      figure("    with pages of 1 KiB", "pages1"),
    ];
  },
};

/** Commits rows of a step's size into a table with an index, one a commit. */
function committing(
  folder: TemporaryFolder,
  name: string,
  { betweenUs = 0, pageBytes = 4096 }: { betweenUs?: number; pageBytes?: number } = {},
): () => number {
  const db = new DatabaseSync(folder.file(`${name}.db`));
  // As many bytes of log as there are with the usual pages before a checkpoint.
  const checkpointPages = 1_000 * 4096 / pageBytes;
  db.exec(`PRAGMA page_size = ${pageBytes}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = ${checkpointPages};
    CREATE TABLE t (id INTEGER PRIMARY KEY, workflow INTEGER, place INTEGER, body TEXT);
    CREATE UNIQUE INDEX t_place ON t (workflow, place)`);
  const insert = db.prepare("INSERT INTO t (workflow, place, body) VALUES (?, ?, ?)");
  const body = "r".repeat(200);
  let workflow = 0;
  return () => {
    workflow++;
    return timed(() => {
      for (let place = 0; place < COMMITS; place++) {
        insert.run(workflow, place, body);
        const until = performance.now() + betweenUs / 1_000;
        while (performance.now() < until);
      }
    });
  };
}
