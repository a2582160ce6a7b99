import { assert, assertEquals } from "@std/assert";
import type { Clock, Engine, StepInfo, Workflow } from "@stepwell/stepwell";
import type { SeededRandom } from "../../engine/random.ts";
import { type Death, type Mortal, openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { type Shape, type StepShape, stepsOf } from "./shape.ts";
import { integer, oneOf } from "./seed.ts";
import { workflowOf } from "./shape_workflow.ts";

/** How a workflow ended. */
export type Ending = { readonly output: string[] } | { readonly error: string };

/**
 * Workflows of random shapes on one file, lived through by one mortal engine after the other, and what must hold of
 * them whenever an engine has died:
 *
 * 1. What a workflow notes in one call of its function begins as in every call before it, be it in this life or in an
 *    earlier one: the same branches are given the same results in the same order.
 * 2. No step runs that has a checkpoint, and no attempt that was already recorded as failed. A step that is to run at
 *    most once does.
 * 3. What is committed of a completion stays as it is, and completions are numbered from 1 without gaps.
 */
export class Lives {
  readonly #workflows: readonly LivedWorkflow[];
  #steps = 0;

  constructor(private readonly path: string, shapes: readonly Shape[]) {
    this.#workflows = shapes.map((shape, i) => new LivedWorkflow(`shape-${i}`, shape));
    for (const shape of shapes) this.#steps += stepsOf(shape);
  }

  /** About how many writes an engine is asked for that runs all workflows to their end. */
  get writes(): number {
    return this.#steps + 2 * this.#workflows.length;
  }

  /** Runs all workflows until all have ended, or the engine has died. @returns whether all have ended */
  async live(death?: Death): Promise<boolean> {
    const workflows = this.#workflows.map((lived) => lived.born(() => mortal));
    const mortal: Mortal = await openMortal(this.path, { durability: "normal", workflows }, death);
    const ended = Promise.all(this.#workflows.map((lived, i) => lived.live(mortal.engine, workflows[i]!)));
    const completed = await Promise.race([ended.then(() => true), mortal.died.then(() => false)]);
    if (completed) await Promise.race([mortal.engine.close(), mortal.died]);
    for (const workflow of this.#workflows) workflow.check(this.path);
    return completed;
  }

  /** Lives, and dies at random, a few times, and then lives on until all have ended. */
  async liveAndDie(random: SeededRandom, deaths: number): Promise<void> {
    for (let life = 0; life < deaths; life++) {
      const write = integer(random, 1, this.writes);
      const when = oneOf(random, ["before", "after"] as const);
      if (await this.live({ write, when })) return;
    }
    assert(await this.live(), "the last life ends in death");
  }

  /** Has those that failed be tried again in the next lives, in a world where nothing fails. All must have ended. */
  mend(): void {
    for (const workflow of this.#workflows) workflow.mend();
  }

  /**
   * Has every workflow run once more over all that it has seen: it must come to the same end. All must have ended.
   */
  async replay(): Promise<void> {
    const endings = this.#workflows.map(({ ending }) => ending);
    execute(
      this.path,
      "UPDATE workflows SET status = 'pending', output_json = NULL, error_json = NULL, checksum = NULL",
    );
    assert(await this.live());
    assertEquals(this.#workflows.map(({ ending }) => ending), endings);
  }
}

/** A row of a step, as the store has it. */
type StepRow = Record<string, unknown> & {
  step_key: string;
  status: "running" | "completed" | "failed";
  attempt: number;
  retried: number;
};

/** One workflow in all its lives. */
class LivedWorkflow {
  readonly #id: string;
  readonly #shape: Shape;
  /** The notes of each call of the function in this life, and of the call that went furthest. */
  #calls: string[][] = [];
  #furthest: string[] = [];
  /** What is committed: completions in their order, and the rows that are in force by the key of their step. */
  #completions: StepRow[] = [];
  readonly #rows = new Map<string, StepRow>();
  /** Keys of the steps that may run once at most, and have. */
  readonly #ranOnce = new Set<string>();
  #executions = 0;
  #violation: string | undefined;
  #ending: Ending | undefined;
  #mended = false;
  #toRetry = false;

  constructor(id: string, shape: Shape) {
    this.#id = id;
    this.#shape = shape;
  }

  get ending(): Ending | undefined {
    return this.#ending;
  }

  mend(): void {
    this.#mended = true;
    this.#toRetry = true;
  }

  /** The workflow, for a new life. */
  born(mortal: () => Mortal): Workflow<void, string[]> {
    this.#calls = [];
    return workflowOf(this.#id, this.#shape, {
      begin: () => {
        if (mortal().dead) return () => {};
        const notes: string[] = [];
        this.#calls.push(notes);
        return (line) => void (mortal().dead || notes.push(line));
      },
      execute: (info, shape) => this.#execute(mortal(), info, shape),
    });
  }

  /** Starts the workflow, or resumes or retries it, and waits for its end. */
  async live(engine: Engine, workflow: Workflow<void, string[]>): Promise<void> {
    if (this.#toRetry && (await engine.get(this.#id))?.status === "failed") await this.#retry(engine);
    this.#ending = await engine.run(workflow, { id: this.#id }).then(
      (output) => ({ output }),
      (error) => ({ error: String(error) }),
    );
  }

  async #retry(engine: Engine): Promise<void> {
    this.#furthest = [];
    this.#completions = [];
    this.#ranOnce.clear();
    for (const [key, { status }] of this.#rows) if (status === "failed") this.#rows.delete(key);
    await engine.retry(this.#id);
    this.#toRetry = false;
  }

  /** Does a step's work, as a mortal: nothing that the dead still do has an effect. */
  async #execute(mortal: Mortal, info: StepInfo, shape: StepShape): Promise<number> {
    if (mortal.dead) await new Promise<never>(() => {});
    const number = ++this.#executions;
    const key = info.idempotencyKey.slice(this.#id.length + 1);
    this.#checkExecution(key, info.attempt, shape);
    if (shape.delayMs > 0) await pause(mortal.clock, shape.delayMs, shape.listens ? info.signal : undefined);
    if (info.attempt <= shape.failures && !this.#mended) throw new RangeError(`${key} failed as ${number}`);
    return number;
  }

  #checkExecution(key: string, attempt: number, shape: StepShape): void {
    const row = this.#rows.get(key);
    if (row !== undefined && row.status !== "running") {
      this.#violation ??= `step "${key}" has a checkpoint, and runs again`;
    }
    if (row !== undefined && attempt < row.attempt) {
      this.#violation ??= `attempt ${attempt} of step "${key}" is made again`;
    }
    if (attempt > shape.maxAttempts) this.#violation ??= `step "${key}" is tried ${attempt} times`;
    if (!shape.atMostOnce) return;
    if (this.#ranOnce.has(key)) this.#violation ??= `step "${key}" runs more than once`;
    this.#ranOnce.add(key);
  }

  /** Checks what must hold after a life. */
  check(path: string): void {
    assertEquals(this.#violation, undefined, this.#id);
    this.#checkCalls();
    this.#checkRows(path);
  }

  #checkCalls(): void {
    for (const notes of this.#calls) {
      const [older, newer] = notes.length > this.#furthest.length
        ? [this.#furthest, notes]
        : [notes, this.#furthest];
      assertEquals(older, newer.slice(0, older.length), `${this.#id}: other notes than in an earlier call`);
      this.#furthest = newer;
    }
    this.#calls = [];
  }

  #checkRows(path: string): void {
    const rows = query(
      path,
      "SELECT * FROM steps WHERE workflow_id = ? ORDER BY completion IS NULL, completion",
      this.#id,
    ) as StepRow[];
    const completions = rows.filter(({ completion }) => completion !== null);
    assertEquals(completions.map(({ completion }) => completion), completions.map((_, i) => i + 1), this.#id);
    const before = completions.slice(0, this.#completions.length);
    assertEquals(before, this.#completions, `${this.#id}: a completion has changed`);
    this.#completions = completions;
    this.#rows.clear();
    for (const row of rows) if (!row.retried) this.#rows.set(row.step_key, row);
  }
}

/** Waits, unless the signal is aborted before. */
async function pause(clock: Clock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  clock.setTimer(delayMs, resolve);
  signal?.addEventListener("abort", () => reject(signal.reason));
  await promise;
}
