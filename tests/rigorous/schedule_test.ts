import { assert, assertEquals, assertGreaterOrEqual } from "@std/assert";
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { integer, withSeeds } from "./seed.ts";

const WORKER = import.meta.resolve("./schedule_worker.ts");
const PROCESSES = 3;
const SECONDS = RIGOROUS ? 20 : 4;

Deno.test("each tick of a schedule starts one workflow, whenever the processes that see to it are killed", () =>
  withSeeds(RIGOROUS ? 5 : 1, async (random) => {
    await using folder = temporaryFolder();
    const [file, ledger] = [folder.file("a.db"), folder.file("ledger")];
    await Deno.writeTextFile(ledger, "");
    const workers = Array.from({ length: PROCESSES }, () => startChild(WORKER, file, ledger));
    await Promise.all(workers.map((worker) => worker.line("working")));
    for (const end = Date.now() + SECONDS * 1_000; Date.now() < end;) {
      // Around the instant of a tick, when each of them sees to it.
      await delay(1_000 - Date.now() % 1_000 + integer(random, -5, 15));
      const place = integer(random, 0, PROCESSES - 1);
      workers[place]!.kill("SIGKILL");
      assertEquals((await workers[place]!.ended()).stderr, "");
      workers[place] = startChild(WORKER, file, ledger);
    }
    await Promise.all(workers.map((worker) => worker.line("working")));
    await using engine = await Engine.open(file);
    const unfinished = async () => (await engine.list({ status: ["pending", "running"] })).length;
    await eventually(async () => (await engine.list()).length > SECONDS && await unfinished() === 0);
    for (const worker of workers) {
      worker.kill("SIGKILL");
      await worker.ended();
    }
    const ids = (await engine.list()).map(({ id }) => id).toReversed();
    const ticks = ids.map((id) => Date.parse(id.slice("second@".length)));
    assertGreaterOrEqual(ticks.length, SECONDS);
    for (const [i, at] of ticks.entries()) assertEquals(at, ticks[0]! + i * 1_000, ids[i]);
    const noted = (await Deno.readTextFile(ledger)).trimEnd().split("\n");
    const completed = (await engine.list({ status: "completed" })).map(({ id }) =>
      id.slice("second@".length)
    );
    assert(completed.every((tick) => noted.includes(tick)));
  }));
