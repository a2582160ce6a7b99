import type { Duration } from "../engine/duration.ts";
import type { Engine } from "../engine/engine.ts";
import { StepwellError } from "../engine/errors.ts";
import { checkOptions, optionNames } from "../engine/known_options.ts";
import { type EngineOptions, engineSettings } from "../engine/options.ts";
import { found } from "../engine/quote.ts";
import { type RandomSource, randomUuid, type SeededRandom } from "../engine/random.ts";
import { encodeValue } from "../engine/serialize.ts";
import type { Database } from "../engine/store/database.ts";
import type { WorkflowRecord } from "../engine/store/records.ts";
import { openSqliteDatabase } from "../engine/store/sqlite_database.ts";
import { PAGE_LIMITS } from "../engine/store/pages.ts";
import { Store } from "../engine/store/store.ts";
import { Turns } from "../engine/turns.ts";
import { timeMs } from "../engine/time.ts";
import type { Workflow } from "../engine/workflow.ts";
import { Executors } from "./executors.ts";
import { type Fault, FaultPlan, type StepMoment } from "./faults.ts";
import { JumpingClock } from "./jumping_clock.ts";
import { Life, type LifeHost } from "./life.ts";
import { never } from "./life_database.ts";
import { seededFor, seededSource } from "./seeded_source.ts";
import { StepCalls } from "./step_calls.ts";

/** How a world is made, and the engines in it. */
export interface WorldOptions extends Omit<EngineOptions, "clock" | "random" | "sqlite" | "growWal"> {
  /** What all chance comes from: an integer from 0 to 2^53 - 1. 1 by default. */
  seed?: number;
  /** What the clock shows at first: a `Date`, or milliseconds since 1970. The first of January 2030 by default. */
  start?: Date | number;
  /**
   * For how long, in real time, a step's function may do nothing that can be seen before it is taken for one that waits for
   * the clock: to be stopped by its time-out, say. `"100ms"` by default.
   */
  patience?: Duration;
  /** What is to go wrong. */
  faults?: readonly Fault[];
}

/** The names of these options. */
export const WORLD_OPTIONS: Readonly<Record<keyof WorldOptions, true>> = {
  workflows: true,
  queues: true,
  schedules: true,
  durability: true,
  zombieTimeout: true,
  maxRecoveries: true,
  maxValueBytes: true,
  maxSteps: true,
  maxRunning: true,
  closeGrace: true,
  busyTimeout: true,
  transactionTimeout: true,
  alwaysReplay: true,
  onEvent: true,
  seed: true,
  start: true,
  patience: true,
  faults: true,
};
const OPTIONS = optionNames<WorldOptions>(WORLD_OPTIONS);

/** How many workflows are looked at, when a life is over, for what they have completed. */
const MAX_LOOKED_AT = 10_000;
const MAX_SEED = Number.MAX_SAFE_INTEGER;

/**
 * What outlives the engines of a test: the data, the clock, chance, and what is to go wrong.
 *
 * Owns: the life that goes on, and when it ends. Does not own: what happens in it.
 *
 * 1. There is always one life that goes on: where one ends, the next begins at that instant.
 * 2. A life sees all that the lives before it have handed over to be committed.
 * 3. A life that follows another goes on with all that had not ended, as an engine does that works: children too, and what
 *    nobody waits for.
 */
export class World implements LifeHost {
  readonly calls = new StepCalls();
  readonly executors = new Executors();
  readonly random: RandomSource;
  readonly plan: FaultPlan;
  readonly #seed: number;
  readonly #turns: CurrentTurns;
  readonly #options: EngineOptions;
  /** The code of all workflows that there have been, by name and version. */
  readonly #workflows = new Map<string, Workflow>();
  /** The workflows that had not ended when the last life did, the oldest first, and which of their steps had. */
  #left: readonly { readonly id: string; readonly code: string }[] = [];
  #completed: ReadonlySet<string> = new Set();
  #life!: Life;
  #lives = 0;
  #commits = 0;
  #ended = false;
  /** Whether what is planned may happen. */
  #armed = true;

  private constructor(
    readonly database: Database,
    readonly clock: JumpingClock,
    settings: { seed: number; turns: CurrentTurns; plan: FaultPlan; options: EngineOptions },
  ) {
    this.#seed = settings.seed;
    this.#turns = settings.turns;
    this.#options = settings.options;
    this.plan = settings.plan;
    this.random = seededSource(settings.seed);
    this.#begin(undefined);
  }

  /** @throws {TypeError | RangeError} if an option is not as {@linkcode WorldOptions} says */
  static async open(given: WorldOptions): Promise<World> {
    checkOptions(given, OPTIONS, "open a test engine");
    const { seed = 1, start, patience, faults = [], ...rest } = given;
    if (!(Number.isSafeInteger(seed) && seed >= 0)) {
      throw new RangeError(
        `Cannot seed a test: wanted an integer from 0 to ${MAX_SEED}, found ${found(seed)}`,
      );
    }
    const options = { durability: "normal", ...rest } as const;
    const plan = new FaultPlan(faults);
    const turns = new CurrentTurns();
    const clock = new JumpingClock({
      ...start !== undefined && { start: timeMs(start, "start a clock") },
      ...patience !== undefined && { patience },
      settled: () => new Promise((resolve) => turns.whenQuiet(resolve)),
    });
    const settings = { ...engineSettings(options), clock, random: seededSource(seed), turns };
    // So that nothing is loaded later, while the clock takes it that nothing happens.
    await Promise.all([
      encodeValue(new Date(0), "a date", Infinity),
      import("../engine/inspect.ts"),
      import("../engine/transaction.ts"),
      import("../engine/transactions.ts"),
      import("../engine/store/held_transaction.ts"),
    ]);
    const database = await openSqliteDatabase(":memory:", settings);
    return new World(database, clock, { seed, turns, plan, options });
  }

  /** The engine that lives now. */
  get engine(): Engine {
    return this.#life.engine;
  }

  /** How many lives there have been, with the one that goes on. */
  get lives(): number {
    return this.#lives;
  }

  /** How many commits there have been. */
  get commitCount(): number {
    return this.#commits;
  }

  /** An id that nobody has used. */
  newId(): string {
    return randomUuid(this.random);
  }

  randomOf(workflowId: string): SeededRandom {
    return seededFor(this.#seed, workflowId);
  }

  /** Ends the life that goes on; the next begins. */
  crash(): void {
    if (this.#ended) return;
    this.#life.kill();
    this.#begin(this.#settle());
  }

  /** Does something in which nothing goes wrong, and of which nothing is counted. */
  async undisturbed<T>(act: (engine: Engine) => T | Promise<T>): Promise<T> {
    this.#armed = false;
    try {
      return await act(this.engine);
    } finally {
      this.#armed = true;
    }
  }

  /** Ends the life that goes on, and with it the world. */
  async end(): Promise<void> {
    this.#ended = true;
    this.#life.kill();
    await this.#finish();
  }

  /** Closes the engine that lives, and ends the world. */
  async close(): Promise<void> {
    this.plan.end();
    await this.outlive((engine) => engine.close());
    this.#ended = true;
    await this.#finish();
  }

  async #finish(): Promise<void> {
    await this.#life.ready;
    await this.database.close();
    this.clock.stop();
  }

  /** Does something with the engine that lives; where that is lost meanwhile, again with the next one. */
  async outlive<T>(act: (engine: Engine, life: Life) => Promise<T>): Promise<T> {
    while (!this.#ended) {
      const life = this.#life;
      const acted = act(life.engine, life).then((value) => ({ value }));
      const result = await Promise.race([acted, life.died]);
      if (result !== undefined) return result.value;
    }
    return await never();
  }

  /** What is stored of a workflow. */
  async record(id: string): Promise<WorkflowRecord | undefined> {
    await this.database.write([]);
    return await new Store(this.database).find(id);
  }

  #begin(ready: Promise<void> | undefined): void {
    this.#lives++;
    const life = new Life(this, this.#options, ready);
    this.#life = life;
    void ready?.then(() => this.#takeUp(life));
  }

  #takeUp({ engine }: Life): void {
    for (const { id, code } of this.#left) {
      const workflow = this.#workflows.get(code);
      if (workflow !== undefined) engine.start(workflow, { id }).catch(ignoreRefusal);
    }
  }

  /** Waits until all is committed that was handed over, and notes what has ended of it. */
  async #settle(): Promise<void> {
    await this.database.write([]);
    const store = new Store(this.database);
    const completed = new Set<string>();
    const statuses = ["pending", "running", "waiting", "blocked"] as const;
    const found = await store.list({ statuses, name: undefined, limit: MAX_LOOKED_AT, beforeId: undefined });
    const left: { id: string; code: string }[] = [];
    for (const workflow of found) {
      const { workflowId: id, status } = workflow;
      if (status !== "blocked") left.unshift({ id, code: codeName(await store.input(workflow)) });
      for (let after = 0, more = true; more;) {
        const page = await store.inspect(workflow, after, PAGE_LIMITS);
        for (const { checkpoint: { key, status } } of page.rows) {
          if (status === "completed") completed.add(`${workflow.workflowId}/${key}`);
        }
        more = page.more;
        after = page.rows.at(-1)?.checkpoint.completion ?? after;
      }
    }
    this.#completed = completed;
    this.#left = left;
  }

  // --- What the life that goes on tells ---

  knows(workflow: Workflow): void {
    this.#workflows.set(codeName(workflow), workflow);
  }

  began(turns: Turns): void {
    this.#turns.current = turns;
  }

  commits(): number {
    if (!this.#armed) return 0;
    const number = ++this.#commits;
    if (this.plan.crashesAtCommit("before", number)) this.crash();
    return number;
  }

  committed(number: number): void {
    if (this.plan.crashesAtCommit("after", number)) this.crash();
  }

  stepBegins(step: StepMoment): void {
    if (!this.#armed) return;
    if (this.plan.crashesAtStep("before", step)) return this.crash();
    const failure = this.plan.failureOf(step);
    if (failure !== undefined) throw failure.error;
    const { workflowId, key, attempt } = step;
    const hadCheckpoint = this.#completed.has(`${workflowId}/${key}`);
    this.calls.add({ workflowId, key, attempt, life: this.#lives, hadCheckpoint });
  }

  stepEnds(step: StepMoment): void {
    if (this.#armed && this.plan.crashesAtStep("during", step)) this.crash();
  }

  attemptStored(step: StepMoment): void {
    this.plan.failureStored(step);
  }

  stepCommitted(step: StepMoment): void {
    if (this.#armed && this.plan.crashesAtStep("after", step)) this.crash();
  }

  deliveriesOf(signal: string): number {
    return this.plan.deliveriesOf(signal);
  }
}

/** Tells the code of a workflow from all other. */
function codeName({ name, version }: { name: string; version?: string | undefined }): string {
  return JSON.stringify([name, version ?? null]);
}

/** What cannot be gone on with says so to whoever waits for it. */
function ignoreRefusal(error: unknown): void {
  if (!(error instanceof StepwellError)) throw error;
}

/** The turns of the life that goes on: so its commits wait for its work, as they do in a process. */
class CurrentTurns extends Turns {
  current: Turns | undefined;

  override get number(): number {
    return this.current?.number ?? super.number;
  }

  override next(task: () => void): void {
    if (this.current !== undefined) this.current.next(task);
    else super.next(task);
  }

  override whenQuiet(task: () => void): void {
    if (this.current !== undefined) this.current.whenQuiet(task);
    else super.whenQuiet(task);
  }
}
