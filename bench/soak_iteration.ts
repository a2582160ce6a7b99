import { delay } from "@std/async";
import type { SeededRandom } from "../engine/random.ts";
import { SoakProcess } from "./soak_process.ts";
import { type SoakResult, SoakWatch } from "./soak_watch.ts";

/** What an iteration of the soak does. */
export interface IterationOptions {
  readonly random: SeededRandom;
  /** How many workflows there are. */
  readonly workflows: number;
  /** How many processes work on them at a time. */
  readonly processes: number;
  /** How many processes are killed, one after the other; another takes the place of each. */
  readonly kills: number;
}

/** The longest time before the next process is killed, in milliseconds. */
const MAX_LIFE_MS = 120;
/** How long an iteration may take, in milliseconds: it hangs if it takes longer. */
const DEADLINE_MS = 120_000;

/**
 * Runs one iteration of the soak, on a file of its own that all processes open at the same time.
 *
 * @throws {Error} if something does not hold that must
 */
export async function soakOnce(options: IterationOptions): Promise<SoakResult> {
  const { random, workflows, processes, kills } = options;
  const folder = await Deno.makeTempDir({ prefix: "stepwell-soak-" });
  const file = `${folder}/soak.db`;
  const ledger = `${folder}/ledger.jsonl`;
  await Deno.writeTextFile(ledger, "");
  const start = () => SoakProcess.start(file, ledger, workflows);
  const watch = new SoakWatch(file, ledger);
  const running: SoakProcess[] = [];
  let late = false;
  const deadline = setTimeout(() => {
    late = true;
    for (const process of running) process.kill();
  }, DEADLINE_MS);
  try {
    running.push(...await Promise.all(Array.from({ length: processes }, start)));
    await Promise.all(running.map((process) => process.begin()));
    for (let kill = 0; kill < kills; kill++) {
      await delay(random.fraction() * MAX_LIFE_MS);
      const [victim] = running.splice(Math.floor(random.fraction() * running.length), 1);
      await victim!.kill();
      await watch.look();
      const successor = await start();
      running.push(successor);
      await successor.begin();
    }
    for (const process of running) await process.completed();
    if (late) throw new Error(`The workflows have not ended within ${DEADLINE_MS} ms`);
    return await watch.lookAtEnd(workflows);
  } finally {
    clearTimeout(deadline);
    await Promise.allSettled(running.map((process) => process.kill()));
    await Deno.remove(folder, { recursive: true });
  }
}
