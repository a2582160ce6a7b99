import { type Context, workflow } from "@stepwell/stepwell";
import { openCrashing, type StoreCall } from "../crashing_database.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Who looks into the file of a workflow. @param where says which crash it was, for messages */
type Look = (file: string, where: string) => void | Promise<void>;

/**
 * Runs a workflow again and again, each time in a file of its own: its process is lost at one call of the store, the next one
 * at the same distance, and a third goes on to the end.
 *
 * @param look.after called after each of them
 * @param look.atEnd called after the last
 * @returns how many calls of the store an undisturbed process makes
 */
export async function lostAtEveryCall(
  run: (ctx: Context) => Promise<unknown>,
  look: { after: Look; atEnd: Look },
): Promise<number> {
  const definition = workflow("sample", run);
  let calls = Infinity;
  for (let number = 0; number <= calls; number++) {
    for (const when of ["before", "after"] as const) {
      await using folder = temporaryFolder();
      const file = folder.file("a.db");
      const where = `lost ${when} call ${number}`;
      for (const lives of [2, 1, 0]) {
        const crashesAt = (call: StoreCall) => lives > 0 && call.number === number && call.when === when;
        const options = { clock: new ManualClock(), durability: "normal" } as const;
        const { engine, database } = await openCrashing(file, options, crashesAt);
        const ran = engine.run(definition, { id: "w" }).then(() => engine.close());
        await Promise.race([ran, database.crashed]);
        if (number === 0) calls = Math.min(calls, database.calls);
        await look.after(file, where);
        if (number === 0) break;
      }
      await look.atEnd(file, where);
    }
  }
  return calls;
}
