import { assert, assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { startChild } from "../child_process.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { integer, withSeeds } from "./seed.ts";

const WORKFLOWS = 30;
/** The longest time before a process is killed, in milliseconds. */
const MAX_LIFE_MS = 150;

Deno.test("a workflow of any shape whose real process is killed gives each branch what it got before", () =>
  withSeeds(RIGOROUS ? 30 : 4, async (random) => {
    await using folder = temporaryFolder();
    const seed = integer(random, 0, 2 ** 32);
    const lives = integer(random, 2, 6);
    const furthest = new Map<string, string[]>();
    for (let life = 1; life <= lives; life++) {
      const lifeMs = life < lives ? integer(random, 20, MAX_LIFE_MS) : undefined;
      const notes = await live(folder, `notes-${life}.txt`, seed, lifeMs);
      for (const { id, notes: now } of notes) {
        const before = furthest.get(id) ?? [];
        const length = Math.min(now.length, before.length);
        assertEquals(
          now.slice(0, length),
          before.slice(0, length),
          `${id}: other notes than in an earlier call`,
        );
        if (now.length > length) furthest.set(id, now);
      }
    }
    assert(furthest.size > 0);
  }));

/**
 * Has a process run all workflows.
 *
 * @param lifeMs how long until it is killed; it is not if that is undefined
 * @returns the notes of each call of a workflow's function, in their order
 */
async function live(
  folder: TemporaryFolder,
  name: string,
  seed: number,
  lifeMs: number | undefined,
): Promise<Iterable<{ id: string; notes: string[] }>> {
  const args = [folder.file("shapes.db"), folder.file(name), String(seed), String(WORKFLOWS)];
  await using worker = startChild(import.meta.resolve("./shapes_worker.ts"), ...args);
  await worker.line("ready");
  await worker.say("go on");
  if (lifeMs === undefined) await worker.line("ended");
  else {
    await delay(lifeMs);
    worker.kill("SIGKILL");
  }
  const { code, signal, stderr } = await worker.ended();
  assertEquals({ ended: code === 0 || signal === "SIGKILL", stderr }, { ended: true, stderr: "" });

  const calls = new Map<string, { id: string; notes: string[] }>();
  for (const line of (await Deno.readTextFile(folder.file(name))).split("\n").slice(0, -1)) {
    const [id, call, note] = line.split(/ (\d+) (.*)/s) as [string, string, string];
    if (!calls.has(call)) calls.set(call, { id, notes: [] });
    calls.get(call)!.notes.push(note);
  }
  return calls.values();
}
