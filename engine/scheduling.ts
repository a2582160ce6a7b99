import type { Clock } from "./clock.ts";
import { LimitExceededError, QueueFullError, ScheduleInputError, ScheduleNotFoundError } from "./errors.ts";
import { completeLimits, queue, queueOfSchedule } from "./queue.ts";
import type { Queueing } from "./queueing.ts";
import { randomFraction, randomId, type RandomSource } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import { describeSchedule, fixedInput, isStored, queueOf, tickId, tickInput } from "./schedule_entry.ts";
import { Scheduler } from "./scheduler.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { Database } from "./store/database.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { WorkflowInput } from "./store/rows.ts";
import { MAX_SCHEDULES } from "./store/schedule_statements.ts";
import { type ScheduleRecord, Schedules } from "./store/schedules.ts";
import type { Store } from "./store/store.ts";

/** How many times are tried for a workflow that is started by hand, and how much later each may be than the one before. */
const MAX_TRIES = 20;
const MAX_LATER_MS = 10_000;

/** A schedule, in a list. */
export interface ScheduleSummary {
  /** By which it is known. */
  readonly name: string;
  /** The name of the workflow that each tick starts. */
  readonly workflow: string;
  /** When it ticks. */
  readonly cron: string;
  /** The time zone of that. */
  readonly timeZone: string;
  /** What becomes of ticks for which nobody was there. */
  readonly missed: "skip" | "latest" | "all";
  /** What becomes of a tick while the workflow before it has not ended. */
  readonly overlap: "allow" | "skip" | "queue";
  /** The name of the queue that the workflows are put into. */
  readonly queue?: string;
  /** Since when it does not tick; undefined while it does. */
  readonly pausedAt?: Date;
  /** When it ticks next. */
  readonly nextTickAt?: Date;
  /** When it ticked last. */
  readonly lastTickAt?: Date;
  /** The id of the workflow that a tick has started last. */
  readonly lastWorkflowId?: string;
}

/**
 * An engine's side of the schedules.
 *
 * Owns: the scheduler, while the engine works. Does not own: when a schedule ticks, and what that does (scheduler.ts).
 */
export class Scheduling {
  readonly #schedules: Schedules;
  #scheduler: Scheduler | undefined;
  #stopped = false;

  constructor(
    private readonly options: {
      database: Database;
      store: Store;
      queueing: Queueing;
      definitions: readonly Schedule[];
      executors: ExecutorRegistry;
      health: StorageHealth;
      /** This process. */
      self: number;
      clock: Clock;
      random: RandomSource;
      maxValueBytes: number;
      /** Tells who works here of a workflow. */
      told: (workflowId: string) => void;
    },
  ) {
    this.#schedules = new Schedules(options.database);
  }

  /** Stores the schedules that are defined here, and sees to their ticks until it is stopped. */
  async work(): Promise<void> {
    for (const definition of this.options.definitions) await this.#define(definition);
    if (this.#stopped) return;
    const define = (definition: Schedule) => this.#define(definition);
    this.#scheduler = new Scheduler({ ...this.options, schedules: this.#schedules, define });
  }

  async #define(definition: Schedule): Promise<void> {
    const { clock, queueing, maxValueBytes, self } = this.options;
    const own = queueOf(definition);
    if (own !== undefined) await queueing.define(own);
    const inputJson = await fixedInput(definition, maxValueBytes);
    const now = clock.now();
    const entry = { ...describeSchedule(definition), inputJson };
    const options = { definer: self, from: now, next: definition.next(now) ?? null };
    if (await this.#schedules.define(entry, options)) return;
    throw new LimitExceededError("schedules", MAX_SCHEDULES, `make schedule "${definition.name}"`);
  }

  /** See `engine.schedules()`. */
  async list(): Promise<ScheduleSummary[]> {
    return (await this.#schedules.list()).map(summarize);
  }

  /** See `engine.pauseSchedule()` and `engine.resumeSchedule()`. */
  async pause(name: string, isPaused: boolean): Promise<void> {
    const { clock, store } = this.options;
    if (!await this.#schedules.pause(name, clock.now(), isPaused)) {
      throw new ScheduleNotFoundError(name, store.location);
    }
    this.#scheduler?.look();
  }

  /** See `engine.triggerSchedule()`. @returns the id of the workflow */
  async trigger(name: string): Promise<string> {
    const { clock, random, store, told } = this.options;
    const definition = this.options.definitions.find((each) => each.name === name);
    let record = await this.#schedules.find(name);
    if (record === undefined && definition !== undefined) {
      await this.#define(definition);
      record = await this.#schedules.find(name);
    }
    if (record === undefined) throw new ScheduleNotFoundError(name, store.location);
    const { version, timeoutMs } = record;
    // There may be a tick, or another one that was started by hand, at this very millisecond: then it is one of a later one.
    let at = clock.now();
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const id = tickId(name, at);
      const createdAt = clock.now();
      const made = await this.#make(record, {
        workflowId: id,
        name: record.workflow,
        inputJson: await this.#inputNow(record, definition, at),
        createdAt,
        seed: randomId(random),
        ...version !== null && { version },
        ...timeoutMs !== null && { deadlineAt: createdAt + timeoutMs },
      });
      if (!made && await store.find(id) !== undefined) {
        // At random, so that many who look at the same time do not find the same one.
        at += 1 + Math.floor(randomFraction(random) * Math.min(4 ** tries - 1, MAX_LATER_MS));
        continue;
      }
      if (!made) await this.#refuseFull(record);
      told(id);
      return id;
    }
    throw new LimitExceededError(
      "workflows started by hand at a time",
      MAX_TRIES,
      `trigger schedule "${name}"`,
    );
  }

  async #inputNow(
    record: ScheduleRecord,
    definition: Schedule | undefined,
    now: number,
  ): Promise<string | null> {
    if (!record.makesInput) {
      this.#schedules.verify(record);
      return record.inputJson;
    }
    if (definition === undefined || !isStored(definition, record)) throw new ScheduleInputError(record.name);
    return await tickInput(definition, now, this.options.maxValueBytes);
  }

  /** @returns whether it was made: not if its id is taken, or the queue full */
  async #make(
    { name: schedule, queue: name, overlap }: ScheduleRecord,
    input: WorkflowInput,
  ): Promise<boolean> {
    const { database, store, queueing } = this.options;
    if (name === null) return (await database.write(store.starting(input)))[0] === 1;
    const placing = {
      queue: name,
      readyAt: input.createdAt,
      priority: 0,
      partition: null,
      deduplicationKey: null,
      debounceKey: null,
      throttle: null,
    };
    const own = overlap === "queue" ? queueOfSchedule(schedule) : queue(name);
    return await queueing.queues.enqueue(input, placing, completeLimits(own));
  }

  async #refuseFull({ queue: name }: ScheduleRecord): Promise<never> {
    const { depth = 0, maxDepth = 0 } = await this.options.queueing.queues.find(name!) ?? {};
    throw new QueueFullError(name!, depth, maxDepth);
  }

  /** Sees to no ticks until it works again. */
  rest(): void {
    this.#scheduler?.stop();
    this.#scheduler = undefined;
  }

  /** Sees to no more ticks. */
  stop(): void {
    this.#stopped = true;
    this.#scheduler?.stop();
  }
}

function summarize(record: ScheduleRecord): ScheduleSummary {
  const { name, workflow, cron, timeZone, missed, overlap, queue, pausedAt } = record;
  const { nextTickAt, lastTickAt, lastWorkflowId } = record;
  return {
    name,
    workflow,
    cron,
    timeZone,
    missed,
    overlap,
    ...queue !== null && { queue },
    ...pausedAt !== null && { pausedAt: new Date(pausedAt) },
    ...nextTickAt !== null && pausedAt === null && { nextTickAt: new Date(nextTickAt) },
    ...lastTickAt !== null && { lastTickAt: new Date(lastTickAt) },
    ...lastWorkflowId !== null && { lastWorkflowId },
  };
}
