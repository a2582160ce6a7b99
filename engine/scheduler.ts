import { Again } from "./again.ts";
import { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";
import { isEngineFailure } from "./engine_failure.ts";
import { randomId, type RandomSource } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import { isStored, tickId, tickInput } from "./schedule_entry.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { ScheduleRecord, Schedules } from "./store/schedules.ts";
import type { Store } from "./store/store.ts";
import { encodeError } from "./stored_error.ts";

/** A tick that is later than this has been missed, in milliseconds. */
const MISSED_MS = 60_000;
/** How many ticks of a schedule are seen to before the others have their turn. */
const MAX_TICKS = 20;
/** How long after a tick that could not be seen to it is tried again, in milliseconds. */
const PAUSE_MS = 1_000;
/** For how long after a look the commits of other processes have no look of their own, in milliseconds. */
const COMMIT_PAUSE_MS = 1_000;
/** How long after another process's definition was found it is looked again whether that process is gone, in milliseconds. */
const DEFINERS_PAUSE_MS = 5_000;
/** How many schedules are seen to at a time: what they start shares commits. */
const AT_A_TIME = 100;

/**
 * Starts the workflows of schedules at their ticks.
 *
 * Owns: when it looks. Does not own: when a schedule ticks (its definition), and that a tick is seen to once (the statement
 * that does so).
 *
 * 1. Each tick starts one workflow, over all processes: it is started in the commit by which the tick is passed.
 * 2. A tick stays due in the store until somebody has seen to it: none is lost with a process.
 * 3. A process sees to a schedule only while its definition is the one that is stored. Where another one is, and the
 *    process that has stored that is gone, its own is stored again.
 * 4. What is not due costs one statement for all schedules, and that a second at most, however many others commit.
 */
export class Scheduler {
  readonly #agenda: Agenda;
  readonly #stopWatching: () => void;
  /** When each schedule ticks next, with up to where its ticks had been seen to: there is nothing to do for it until then. */
  readonly #next = new Map<string, { fromAt: number; at: number }>();
  readonly #looking = new Again(() => this.#look());
  #stopped = false;

  constructor(
    private readonly options: {
      store: Store;
      schedules: Schedules;
      health: StorageHealth;
      definitions: readonly Schedule[];
      clock: Clock;
      random: RandomSource;
      maxValueBytes: number;
      executors: ExecutorRegistry;
      /** This process. */
      self: number;
      /** Stores a definition. */
      define: (definition: Schedule) => Promise<void>;
      /** Tells who works here of a workflow. */
      told: (workflowId: string) => void;
    },
  ) {
    this.#agenda = new Agenda(options.clock, () => this.look());
    this.#stopWatching = options.store.watch(() => {
      if (!this.#agenda.isPaused("commit")) this.#agenda.pause("commit", COMMIT_PAUSE_MS);
    });
    this.look();
  }

  /** Looks which ticks are due; if it is looking already, once more after that. */
  look(): void {
    if (!this.#stopped) this.#looking.ask();
  }

  async #look(): Promise<void> {
    const { schedules, health, definitions } = this.options;
    let records: ReadonlyMap<string, ScheduleRecord> | undefined;
    await health.attempt("look for ticks that are due", async () => {
      records = await schedules.states(definitions.map(({ name }) => name));
    });
    if (records === undefined) this.#agenda.pause("store", PAUSE_MS);
    for (let from = 0; records !== undefined && from < definitions.length; from += AT_A_TIME) {
      const some = definitions.slice(from, from + AT_A_TIME);
      await Promise.all(some.map((schedule) => this.#attempt(schedule, records!.get(schedule.name))));
    }
  }

  /** One that cannot be seen to keeps none of the others from it. */
  async #attempt(schedule: Schedule, record: ScheduleRecord | undefined): Promise<void> {
    if (this.#stopped) return;
    const { name } = schedule;
    const done = await this.options.health.attempt(
      `start the workflows of schedule "${name}"`,
      () => this.#seeTo(schedule, record),
      { ofOne: true },
    );
    if (!done) this.#tryLater(name);
  }

  async #seeTo(schedule: Schedule, record: ScheduleRecord | undefined): Promise<void> {
    const { schedules, clock, define } = this.options;
    if (record === undefined || record.pausedAt !== null) return;
    if (!isStored(schedule, record)) {
      // That the process which has stored it is gone is no commit.
      if (!this.#isAbandoned(record)) return this.#agenda.pause("definers", DEFINERS_PAUSE_MS);
      await define(schedule);
      return this.look();
    }
    const { name, fromAt, nextTickAt } = record;
    const now = clock.now();
    const known = this.#next.get(name);
    if (known !== undefined && known.fromAt === fromAt && now < known.at) return this.#expect(name, known.at);
    const next = schedule.next(now);
    const last = schedule.previous(now);
    if (fromAt > now + MISSED_MS) {
      // The clock was set back. What had been ticks by then are so again, and start nothing that was started.
      await schedules.pass({ schedule: name, at: now, seenFrom: fromAt, next: next ?? null });
    } else if (last !== undefined && last > fromAt) {
      await this.#catchUp(schedule, record, { now, last });
    } else if (next !== undefined) {
      if (nextTickAt === null || nextTickAt <= now) await schedules.noteNext(record, next);
      this.#next.set(name, { fromAt, at: next });
    }
    if (next !== undefined) this.#expect(name, next);
  }

  /** Whether the process that has stored another definition is gone. */
  #isAbandoned({ definer }: ScheduleRecord): boolean {
    const { executors, self } = this.options;
    return definer === null || definer !== self && executors.liveness(definer) !== "alive";
  }

  /** Sees to the ticks that are due. @param times.last the last of them */
  async #catchUp(
    schedule: Schedule,
    state: ScheduleRecord,
    { now, last }: { now: number; last: number },
  ): Promise<void> {
    const { schedules } = this.options;
    // With what its workflows are given, too.
    const record = await schedules.find(schedule.name);
    if (record === undefined || record.fromAt !== state.fromAt) return this.look();
    let seenFrom = record.fromAt;
    const isMissed = last < now - MISSED_MS;
    if (schedule.missed === "skip" && isMissed) {
      const next = schedule.next(last) ?? null;
      return await schedules.pass({ schedule: schedule.name, at: last, seenFrom, next });
    }
    // Of those that are missed all, or the last one, or none; and all that are not.
    const from = schedule.missed === "all" ? seenFrom : Math.max(seenFrom, now - MISSED_MS - 1);
    const first = schedule.missed === "latest" && isMissed ? last : schedule.next(from);
    let ticks = 0;
    for (let at = first; at !== undefined && at <= last && !this.#stopped; at = schedule.next(at)) {
      if (ticks++ === MAX_TICKS) return this.look();
      if (!await this.#start(schedule, record, { at, seenFrom })) {
        return this.#tryLater(schedule.name);
      }
      seenFrom = at;
    }
  }

  /** @returns whether the tick has been seen to, by this process or, with all that it was about to do, by another one */
  async #start(
    schedule: Schedule,
    record: ScheduleRecord,
    { at, seenFrom }: { at: number; seenFrom: number },
  ): Promise<boolean> {
    const { schedules, clock, random, told } = this.options;
    const { name, workflow } = schedule;
    const id = tickId(name, at);
    const now = clock.now();
    const { version, timeoutMs } = workflow;
    const { inputJson, failure } = await this.#inputOf(schedule, record, at);
    const input: WorkflowInput = {
      workflowId: id,
      name: workflow.name,
      inputJson,
      createdAt: now,
      seed: randomId(random),
      ...version !== undefined && { version },
      ...timeoutMs !== undefined && { deadlineAt: now + timeoutMs },
    };
    const next = schedule.next(at) ?? null;
    const tick = { schedule: name, at, seenFrom, next, ticker: randomId(random) };
    const outcome = await schedules.start(tick, input, failure);
    if (outcome === "started") told(id);
    if (outcome !== "lost") return true;
    // Another process sees to them, unless the schedule was paused or its queue is full.
    const found = await schedules.find(name);
    return found === undefined || found.pausedAt !== null || found.fromAt >= at;
  }

  /** What the workflow of a tick is given, or what it has failed with, where there is nothing to give it. */
  async #inputOf(
    schedule: Schedule,
    record: ScheduleRecord,
    at: number,
  ): Promise<{ inputJson: string | null; failure?: string }> {
    const { schedules, maxValueBytes } = this.options;
    try {
      if (record.makesInput) return { inputJson: await tickInput(schedule, at, maxValueBytes) };
      schedules.verify(record);
      return { inputJson: record.inputJson };
    } catch (error) {
      // It is tried again later: what the engine cannot do is never a workflow's outcome.
      if (isEngineFailure(error)) throw error;
      return { inputJson: null, failure: JSON.stringify({ ...encodeError(error), noInput: true }) };
    }
  }

  #expect(schedule: string, at: number): void {
    this.#agenda.setTime(schedule, at);
  }

  #tryLater(schedule: string): void {
    this.#agenda.pause(schedule, PAUSE_MS);
  }

  /** Sees to no more ticks. */
  stop(): void {
    this.#stopped = true;
    this.#agenda.close();
    this.#stopWatching();
  }
}
