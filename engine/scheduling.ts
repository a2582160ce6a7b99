import type { Clock } from "./clock.ts";
import {
  LimitExceededError,
  ScheduleInputError,
  ScheduleNotFoundError,
  WorkflowConflictError,
} from "./errors.ts";
import { completeLimits, type Queue, queue } from "./queue.ts";
import type { Queueing } from "./queueing.ts";
import { randomId, type RandomSource } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import { fixedInput, Scheduler, tickId, tickInput } from "./scheduler.ts";
import type { Database } from "./store/database.ts";
import type { WorkflowInput } from "./store/rows.ts";
import { MAX_SCHEDULES } from "./store/schedule_statements.ts";
import { type ScheduleRecord, Schedules } from "./store/schedules.ts";
import type { Store } from "./store/store.ts";

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
  /** The id of the workflow that was started last. */
  readonly lastWorkflowId?: string;
}

/** How the name of the queue begins that a schedule has for itself. */
const OWN_QUEUE = "schedule:";

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
    if (!this.#stopped) this.#scheduler = new Scheduler({ ...this.options, schedules: this.#schedules });
  }

  async #define(definition: Schedule): Promise<void> {
    const { clock, queueing, maxValueBytes } = this.options;
    const { name, workflow, cron, timeZone, missed, overlap } = definition;
    const own = queueOf(definition);
    if (own !== undefined) await queueing.define(own);
    const inputJson = await fixedInput(definition, maxValueBytes);
    const now = clock.now();
    const entry = {
      name,
      workflow: workflow.name,
      version: workflow.version ?? null,
      timeoutMs: workflow.timeoutMs ?? null,
      inputJson: inputJson ?? null,
      makesInput: inputJson === undefined,
      cron,
      timeZone,
      missed,
      overlap,
      queue: own?.name ?? null,
    };
    if (await this.#schedules.define(entry, { from: now, next: definition.next(now) ?? null })) return;
    throw new LimitExceededError("schedules", MAX_SCHEDULES, `make schedule "${name}"`);
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
    const { clock, random, store, queueing, told, database } = this.options;
    const record = await this.#schedules.find(name);
    if (record === undefined) throw new ScheduleNotFoundError(name, store.location);
    const now = clock.now();
    const inputJson = await this.#inputNow(record, now);
    const { version, timeoutMs, queue: queueName } = record;
    const input: WorkflowInput = {
      workflowId: tickId(name, now),
      name: record.workflow,
      inputJson,
      createdAt: now,
      seed: randomId(random),
      ...version !== null && { version },
      ...timeoutMs !== null && { deadlineAt: now + timeoutMs },
    };
    const made = queueName === null
      ? (await database.write(store.starting(input)))[0] === 1
      : await queueing.queues.enqueue(input, placing(queueName, now), completeLimits(queue(queueName)));
    const id = input.workflowId;
    if (!made) throw new WorkflowConflictError(id, "workflow", "another", `"${record.workflow}"`);
    told(id);
    return id;
  }

  async #inputNow(record: ScheduleRecord, now: number): Promise<string | null> {
    if (!record.makesInput) {
      this.#schedules.verify(record);
      return record.inputJson;
    }
    const definition = this.options.definitions.find(({ name }) => name === record.name);
    if (typeof definition?.input !== "function") throw new ScheduleInputError(record.name);
    return await tickInput(definition, now, this.options.maxValueBytes);
  }

  /** Sees to no more ticks. */
  stop(): void {
    this.#stopped = true;
    this.#scheduler?.stop();
  }
}

function placing(queueName: string, now: number) {
  return {
    queue: queueName,
    readyAt: now,
    priority: 0,
    partition: null,
    deduplicationKey: null,
    debounceKey: null,
    throttle: null,
  };
}

/** The queue that a schedule's workflows are put into. */
function queueOf({ name, overlap, queue: given }: Schedule): Queue | undefined {
  return overlap === "queue" ? queue(OWN_QUEUE + name, { concurrency: 1 }) : given;
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
    ...nextTickAt !== null && { nextTickAt: new Date(nextTickAt) },
    ...lastTickAt !== null && { lastTickAt: new Date(lastTickAt) },
    ...lastWorkflowId !== null && { lastWorkflowId },
  };
}
