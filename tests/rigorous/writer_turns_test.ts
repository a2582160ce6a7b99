import { assertEquals, assertGreaterOrEqual } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { systemClock } from "@stepwell/stepwell";
import type { SeededRandom } from "../../engine/random.ts";
import { WriterLine } from "../../engine/store/writer_line.ts";
import { type ChildProcess, startChild } from "../child_process.ts";
import { RIGOROUS } from "../effort.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { integer, oneOf, withSeeds } from "./seed.ts";

const PROCESSES = RIGOROUS ? 8 : 4;
const ROWS = RIGOROUS ? 3_000 : 400;
const SEEDS = RIGOROUS ? 20 : 1;
const ROUNDS = RIGOROUS ? 30 : 6;

Deno.test(
  `${PROCESSES} processes that write to one file lose nothing when some are killed or stopped in their turns`,
  () => withSeeds(SEEDS, writeAndDisturb),
);

async function writeAndDisturb(random: SeededRandom): Promise<void> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  execute(file, "PRAGMA journal_mode = WAL; CREATE TABLE written (name TEXT, row INTEGER)");
  await using stack = new AsyncDisposableStack();
  const writers: ChildProcess[] = [];
  const start = async () => {
    const module = import.meta.resolve("./writing_worker.ts");
    const writer = stack.use(startChild(module, file, `${writers.length}`, `${ROWS}`));
    writers.push(writer);
    await writer.line("ready");
    await writer.say("go");
  };
  for (let n = 0; n < PROCESSES; n++) await start();
  for (const writer of writers) await writer.line("committed 1");

  const line = WriterLine.join(file);
  for (let round = 0; round < ROUNDS; round++) {
    const writer = oneOf(random, writers);
    const what = integer(random, 1, 4);
    if (what === 1) {
      writer.kill("SIGKILL");
      await start();
    } else if (what === 2) {
      // Until its turn, or the place of the next one, is in its way.
      writer.kill("SIGSTOP");
      await progress(writers, writer);
      writer.kill("SIGCONT");
    } else if (what === 3) {
      holdFile(file);
    } else {
      const turn = await line?.turn(systemClock, 1_000);
      await progress(writers, undefined);
      turn?.end();
    }
  }
  line?.leave(false);
  const ended = await Promise.all(writers.map((writer) => writer.ended()));
  for (const [n, { code, signal, lines, stderr }] of ended.entries()) {
    assertEquals([code === 0 || signal === "SIGKILL", stderr], [true, ""], `process ${n}`);
    const rows = query(file, "SELECT row FROM written WHERE name = ? ORDER BY rowid", `${n}`);
    assertEquals(rows, rows.map((_, i) => ({ row: i + 1 })), `process ${n}`);
    const acknowledged = lines.filter((line) => line.startsWith("committed")).length;
    assertGreaterOrEqual(rows.length, acknowledged, `process ${n}`);
    if (code === 0) assertEquals(rows.length, ROWS);
  }
}

/** Waits until a process but one has committed something, or has ended. */
async function progress(writers: readonly ChildProcess[], but: ChildProcess | undefined): Promise<void> {
  const others = writers.filter((writer) => writer !== but);
  await Promise.any(others.map((writer) => {
    const committed = writer.lines.filter((line) => line.startsWith("committed")).length;
    const next = writer.line(`committed ${committed + 1}`).catch(() => {});
    return Promise.race([next, writer.line("done")]);
  }));
}

/** Holds SQLite's own lock for a while, as a program that knows of no turns does. */
function holdFile(file: string): void {
  const db = new DatabaseSync(file);
  db.exec("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE");
  const until = performance.now() + 100;
  while (performance.now() < until);
  db.exec("COMMIT");
  db.close();
}
