import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { type ChildProcess, startChild } from "../child_process.ts";
import { openAccounts } from "../engine/accounts.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { integer, withSeeds } from "./seed.ts";

const WORKER = import.meta.resolve("./transfer_worker.ts");
/** How many transfers each process makes. */
const TRANSFERS = RIGOROUS ? 200 : 40;
/** The longest time before a process is killed, in milliseconds. */
const MAX_LIFE_MS = 150;
const CENTS = 1_000_000;

async function newFile(path: string): Promise<string> {
  await using engine = await Engine.open(path);
  await openAccounts(engine);
  await engine.transaction((tx) => tx.run("UPDATE accounts SET cents = ? WHERE name = 'ada'", CENTS));
  return path;
}

/** Starts a process and has it begin. */
async function start(file: string, place: number): Promise<ChildProcess> {
  const worker = startChild(WORKER, file, String(place * TRANSFERS), String(TRANSFERS));
  await worker.line("ready");
  await worker.say("go on");
  return worker;
}

/** Checks what must hold whenever a process has died, in one look: others go on. @returns how many transfers there were */
function check(file: string): number {
  const [row] = query(
    file,
    `SELECT (SELECT json_group_object(name, cents) FROM accounts) AS accounts,
      (SELECT json_group_array(id) FROM (SELECT id FROM moves ORDER BY id)) AS moves,
      (SELECT json_group_array(workflow_id) FROM (SELECT workflow_id FROM steps
        WHERE step_key = 'move#000001' AND status = 'completed' ORDER BY workflow_id)) AS completed,
      (SELECT json_group_array(id) FROM (SELECT payload_json ->> '$' AS id FROM signals ORDER BY id)) AS signals`,
  );
  const [{ ada, grace }, moves, completed, signals] = [
    row!.accounts,
    row!.moves,
    row!.completed,
    row!.signals,
  ]
    .map((json) => JSON.parse(json as string));
  assertEquals(ada + grace, CENTS);
  assertEquals(grace, moves.length * 30);
  assertEquals(new Set(moves).size, moves.length);
  assertEquals(completed, moves);
  assertEquals(signals, moves);
  return moves.length;
}

Deno.test("money is conserved and moved once, whenever the processes that move it are killed", () =>
  withSeeds(RIGOROUS ? 30 : 3, async (random) => {
    await using folder = temporaryFolder();
    const file = await newFile(folder.file("a.db"));
    for (let life = integer(random, 2, 6); life > 0; life--) {
      await using workers = new AsyncDisposableStack();
      const running = await Promise.all([start(file, 0), start(file, 1)]);
      for (const worker of running) workers.use(worker);
      for (const worker of running) {
        await delay(random.fraction() * MAX_LIFE_MS);
        worker.kill("SIGKILL");
        const { code, signal, stderr } = await worker.ended();
        assertEquals({ ended: code === 0 || signal === "SIGKILL", stderr }, { ended: true, stderr: "" });
        check(file);
      }
    }
    for (const place of [0, 1]) {
      await using worker = await start(file, place);
      await worker.line("ended");
    }
    assertEquals(check(file), 2 * TRANSFERS);
  }));

Deno.test("two processes that move money at the same time lose none of it", async () => {
  await using folder = temporaryFolder();
  const file = await newFile(folder.file("a.db"));
  await using first = await start(file, 0);
  await using second = await start(file, 1);
  for (const worker of [first, second]) {
    await worker.line("ended");
    assertEquals((await worker.ended()).code, 0);
  }
  assertEquals(check(file), 2 * TRANSFERS);
  assert(query(file, "SELECT 1 FROM workflows WHERE status <> 'completed'").length === 0);
});
