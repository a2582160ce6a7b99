import { openMortal } from "../mortal_database.ts";
import { execute } from "../raw_sqlite.ts";
import { ShiftedClock } from "../shifted_clock.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { fourSteps, INPUT } from "./four_steps.ts";

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
    const key = `(SELECT workflow FROM base.workflows WHERE workflow_id = '${workflowId}')`;
    execute(
      file,
      `ATTACH '${this.#folder.file("store.db")}' AS base;
      DELETE FROM checkpoints
      WHERE workflow = ${key} OR checkpoint IN (SELECT checkpoint FROM base.checkpoints WHERE workflow = ${key});
      INSERT INTO checkpoints SELECT * FROM base.checkpoints WHERE workflow = ${key};
      INSERT OR REPLACE INTO inputs SELECT * FROM base.inputs WHERE workflow = ${key};
      UPDATE workflows SET (name, created_at) =
        (SELECT name, created_at FROM base.workflows b WHERE b.workflow = workflows.workflow)
      WHERE workflow = ${key};
      INSERT OR REPLACE INTO workflows
        SELECT * FROM base.workflows b WHERE b.workflow = ${key} AND b.status <> 'running';`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const folder of [this.#folder, ...this.#copies]) await folder[Symbol.asyncDispose]();
  }
}
