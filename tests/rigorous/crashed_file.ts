import { openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { ShiftedClock } from "../shifted_clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { fourSteps, INPUT } from "./four_steps.ts";
import { exactRows } from "./spoiling.ts";

/** The ids of two workflows that were running when the process was lost. */
export const VICTIM = "victim";
export const BYSTANDER = "bystander";
/** The id of a workflow that has completed, and of one that has failed. */
export const COMPLETED = "completed";
export const FAILED = "failed";

/**
 * A file as a lost process has left it, and copies of it to be damaged. Two workflows of {@linkcode fourSteps} have
 * their fourth step in backoff, a third has completed, and a fourth has failed.
 */
export class CrashedFile implements AsyncDisposable {
  readonly #folder: TemporaryFolder;
  readonly #copies: TemporaryFolder[] = [];

  private constructor(folder: TemporaryFolder) {
    this.#folder = folder;
  }

  static async make(): Promise<CrashedFile> {
    const folder = temporaryFolder();
    const clock = new ShiftedClock();
    const retried = Promise.withResolvers<void>();
    let retries = 0;
    const { engine, kill } = await openMortal(folder.file("store.db"), {
      clock,
      onEvent: ({ type }) => type === "stepRetried" && ++retries === 2 && retried.resolve(),
    });
    const called = () => {};
    await engine.run(fourSteps({ called }), { id: COMPLETED, input: INPUT });
    await engine.run(fourSteps({ called }), { id: FAILED, input: { amount: -1 } }).catch(() => {});
    for (const id of [VICTIM, BYSTANDER]) {
      await engine.start(fourSteps({ called, fails: true }), { id, input: INPUT });
    }
    await retried.promise;
    await kill();
    return new CrashedFile(folder);
  }

  /** A copy, with the lock that tells that its process is gone. */
  async copy(): Promise<string> {
    const copy = temporaryFolder();
    this.#copies.push(copy);
    for (const name of this.#folder.names) await Deno.copyFile(this.#folder.file(name), copy.file(name));
    return copy.file("store.db");
  }

  /** Puts the rows of a workflow back into a copy; but that one that had not ended is blocked by now stays. */
  restore(file: string, workflowId: string): void {
    const base = this.#folder.file("store.db");
    const [found] = query(base, "SELECT workflow, status FROM workflows WHERE workflow_id = ?", workflowId);
    const its = `workflow = ${found!.workflow}`;
    const checkpoints = exactRows(base, "checkpoints", its);
    const [workflow] = exactRows(base, "workflows", its);
    execute(
      file,
      [
        `DELETE FROM checkpoints WHERE ${its}`,
        ...checkpoints.map((row) => replaceRow("checkpoints", row)),
        ...exactRows(base, "inputs", its).map((row) => replaceRow("inputs", row)),
        found!.status === "running"
          ? `UPDATE workflows SET name = ${workflow!.name}, created_at = ${workflow!.created_at} WHERE ${its}`
          : replaceRow("workflows", workflow!),
      ].join(";\n"),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of [this.#folder, ...this.#copies]) await folder[Symbol.asyncDispose]();
  }
}

/** Puts a row in place of one of the same key. */
function replaceRow(table: string, row: Record<string, string>): string {
  return `REPLACE INTO ${table} (${Object.keys(row)}) VALUES (${Object.values(row)})`;
}
