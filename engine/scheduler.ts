import { Again } from "./again.ts";
import { Alarm } from "./alarm.ts";
import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import { randomId, type RandomSource } from "./random.ts";
import type { Schedule } from "./schedule.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { ScheduleRecord, Schedules } from "./store/schedules.ts";
import type { Store } from "./store/store.ts";
import { inputText } from "./validation.ts";

/** A tick that is later than this has been missed: nobody was there for it, in milliseconds. */
const MISSED_MS = 60_000;
/** How many missed ticks are seen to before the next look. */
const MAX_TICKS = 1_000;
/** How long after a tick that could not be seen to it is tried again, in milliseconds. */
const PAUSE_MS = 1_000;

/**
 * Starts the workflows of schedules at their ticks.
 *
 * Owns: when it looks. Does not own: when a schedule ticks (its definition), and that a tick is seen to once (the statement
 * that does so).
 *
 * 1. Each tick starts one workflow, over all processes: it is started in the commit by which the tick is passed.
 * 2. A tick stays due in the store until somebody has seen to it: none is lost with a process.
 * 3. A process sees to a schedule only as long as its definition is the one that is stored.
 */
export class Scheduler {
  readonly #alarm: Alarm;
  readonly #stopWatching: () => void;
  /** When each schedule ticks next, with up to where its ticks had been seen to: there is nothing to do for it until then. */
  readonly #next = new Map<string, { fromAt: number; at: number }>();
  readonly #looking = new Again(() => this.#look());
  #stopped = false;

  constructor(
    private readonly options: {
      store: Store;
      schedules: Schedules;
      definitions: readonly Schedule[];
      clock: Clock;
      random: RandomSource;
      maxValueBytes: number;
      /** Tells who works here of a workflow. */
      told: (workflowId: string) => void;
    },
  ) {
    this.#alarm = new Alarm(options.clock, () => this.look());
    this.#stopWatching = options.store.watch(() => this.look());
    this.look();
  }

  /** Looks which ticks are due; if it is looking already, once more after that. */
  look(): void {
    if (!this.#stopped) this.#looking.ask();
  }

  async #look(): Promise<void> {
    for (const schedule of this.options.definitions) {
      if (this.#stopped) return;
      // One that cannot be seen to keeps none of the others from it.
      await this.#seeTo(schedule).catch((error) => {
        if (!(error instanceof StoreError)) reportError(error);
        this.#expect(this.options.clock.now() + PAUSE_MS);
      });
    }
  }

  async #seeTo(schedule: Schedule): Promise<void> {
    const { schedules, clock } = this.options;
    const record = await schedules.find(schedule.name);
    if (record === undefined || record.pausedAt !== null || !isStored(schedule, record)) return;
    const { name, fromAt, nextTickAt } = record;
    const now = clock.now();
    const known = this.#next.get(name);
    if (known !== undefined && known.fromAt === fromAt && known.at === nextTickAt && now < known.at) {
      return this.#expect(known.at);
    }
    const last = schedule.previous(now);
    const next = schedule.next(Math.max(now, fromAt));
    if (last !== undefined && last > fromAt) await this.#catchUp(schedule, record, { now, last });
    else if (nextTickAt !== (next ?? null)) await schedules.noteNext(record, next ?? null);
    if (next === undefined) return;
    this.#next.set(name, { fromAt, at: next });
    this.#expect(next);
  }

  /** Sees to the ticks that are due. @param times.last the last of them */
  async #catchUp(
    schedule: Schedule,
    record: ScheduleRecord,
    { now, last }: { now: number; last: number },
  ): Promise<void> {
    const { schedules } = this.options;
    let seenFrom = record.fromAt;
    if (schedule.missed === "skip" && now - last > MISSED_MS) {
      const next = schedule.next(last) ?? null;
      return await schedules.pass({ schedule: schedule.name, at: last, seenFrom, next });
    }
    const first = schedule.missed === "all" ? schedule.next(seenFrom) : last;
    let ticks = 0;
    for (let at = first; at !== undefined && at <= last && !this.#stopped; at = schedule.next(at)) {
      if (ticks++ === MAX_TICKS) return this.look();
      if (!await this.#start(schedule, record, { at, seenFrom })) {
        return this.#expect(this.options.clock.now() + PAUSE_MS);
      }
      seenFrom = at;
    }
  }

  /** @returns whether the tick has been seen to, by whomever */
  async #start(
    schedule: Schedule,
    record: ScheduleRecord,
    { at, seenFrom }: { at: number; seenFrom: number },
  ): Promise<boolean> {
    const { schedules, clock, random, maxValueBytes, told } = this.options;
    const { name, workflow } = schedule;
    const id = tickId(name, at);
    if (!record.makesInput) schedules.verify(record);
    const inputJson = record.makesInput ? await tickInput(schedule, at, maxValueBytes) : record.inputJson;
    const now = clock.now();
    const { version, timeoutMs } = workflow;
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
    const outcome = await schedules.start(tick, input);
    if (outcome === "started") told(id);
    if (outcome !== "lost") return true;
    // Another process has seen to it, unless the schedule was paused or its queue is full.
    const found = await schedules.find(name);
    return found === undefined || found.pausedAt !== null || found.fromAt >= at;
  }

  #expect(at: number): void {
    if (!this.#stopped) this.#alarm.set(at);
  }

  /** Sees to no more ticks. */
  stop(): void {
    this.#stopped = true;
    this.#alarm.clear();
    this.#stopWatching();
  }
}

/** Whether a definition is the one that is stored. */
function isStored({ cron, timeZone, workflow, input }: Schedule, record: ScheduleRecord): boolean {
  return cron === record.cron && timeZone === record.timeZone && workflow.name === record.workflow &&
    (workflow.version ?? null) === record.version && (typeof input === "function") === record.makesInput;
}

/** The id of the workflow that a tick starts. */
export function tickId(schedule: string, at: number): string {
  return `${schedule}@${new Date(at).toISOString()}`;
}

/** The text of what the code of a schedule makes of a tick, for its workflow. */
export async function tickInput(
  { name, workflow, input }: Schedule,
  at: number,
  maxValueBytes: number,
): Promise<string | null> {
  const starting = `workflow "${tickId(name, at)}"`;
  const made = (input as (tick: Date) => unknown)(new Date(at));
  return await inputText(workflow, made, { starting, what: `the input of ${starting}`, maxValueBytes });
}

/** The text of what a schedule's workflows are given; undefined if code makes it of the tick. */
export async function fixedInput(
  { name, workflow, input }: Schedule,
  maxValueBytes: number,
): Promise<string | null | undefined> {
  if (typeof input === "function") return undefined;
  const starting = `schedule "${name}"`;
  return await inputText(workflow, input, { starting, what: `the input of ${starting}`, maxValueBytes });
}
