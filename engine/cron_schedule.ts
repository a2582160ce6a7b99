import { Cron } from "croner";
import { isWorkflow } from "./define_workflow.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { excerpt, found } from "./quote.ts";
import { asQueue, type Queue } from "./queue.ts";
import { brandSchedule, type Schedule } from "./schedule.ts";
import { snapshot } from "./snapshot.ts";
import { timeMs } from "./time.ts";
import type { Workflow } from "./workflow.ts";

/** When a schedule ticks, and what it starts. */
export interface ScheduleOptions<I> {
  /**
   * When it ticks: a cron expression of five fields, minute to weekday, or of six, with the second before them; or
   * `@hourly` and its like.
   *
   * On days when the clocks change, the rule is that of Vixie cron. Times are fixed where the second, minute and hour are single
   * values, lists (`0,30`) or ranges (`1-3`): a fixed time that does not exist when the clocks go forward ticks right after the
   * gap, once for all that are in it; one that exists twice when they go back ticks the first time only. Times repeat where one
   * of these fields has a wildcard (`*`) or a step (`0-30/10`, or `*` by 15): they tick whenever the clock shows them, so none of
   * them ticks in a gap, and one that exists twice ticks twice.
   */
  cron: string;
  /** The time zone that its times are in, such as `"Europe/Berlin"`. `"UTC"` by default. */
  timeZone?: string;
  /** What each tick starts. */
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  workflow: Workflow<I, unknown, any>;
  /** What the workflow is given, or what makes that of the tick's time. The workflow of a tick for which that throws has failed with it. */
  input?: I | ((tick: Date) => I);
  /**
   * What becomes of ticks that nobody has seen to for more than a minute: `"latest"`, the default, starts the last one, unless
   * there is a later one, `"all"` starts each, `"skip"` none.
   */
  missed?: "skip" | "latest" | "all";
  /**
   * What becomes of a tick while the workflow that the schedule has started last has not ended: `"allow"`, the default, starts
   * another one beside it, `"skip"` none, `"queue"` one that begins after it.
   */
  overlap?: "allow" | "skip" | "queue";
  /** The queue that the workflows are put into; by default none, unless `overlap` is `"queue"`: then one of the schedule's own. */
  queue?: Queue | string;
}

/** So that the ids of its workflows, and the name of its queue, are no longer than such may be. */
const MAX_NAME_LENGTH = 200;
const OPTIONS = optionNames<ScheduleOptions<unknown>>({
  cron: true,
  timeZone: true,
  workflow: true,
  input: true,
  missed: true,
  overlap: true,
  queue: true,
});
const TICK_OPTIONS = optionNames<Parameters<typeof nextTicks>[1]>({
  timeZone: true,
  after: true,
  count: true,
});
/** How many ticks are listed at most. */
const MAX_TICKS = 10_000;
/** A nickname, or five or six fields. */
const CRON = /^\s*(@[a-z]+|(\S+\s+){4,5}\S+)\s*$/i;

/**
 * Defines a schedule: each tick starts one workflow, once over all processes that work with this definition
 * (`Engine.open(…, { schedules })`, `engine.work()`), whatever crashes.
 *
 * Cron expressions are read by [croner](https://croner.56k.guru/).
 *
 * @param name by which it is known in the store
 * @throws {TypeError | RangeError} if the name is not one, or an option is not as {@linkcode ScheduleOptions} says
 *
 * @example
 * ```ts
 * import { Engine, workflow } from "@stepwell/stepwell";
 * import { schedule } from "@stepwell/stepwell/schedule";
 * import { assertEquals } from "@std/assert";
 *
 * const report = workflow("report", (ctx, day: string) => ctx.step("write", () => `report of ${day}`));
 * const daily = schedule("daily", {
 *   cron: "0 6 * * mon-fri",
 *   timeZone: "Europe/Berlin",
 *   workflow: report,
 *   input: (tick) => tick.toISOString().slice(0, 10),
 * });
 * const tick = daily.next(Date.UTC(2026, 0, 2, 12));
 * assertEquals(new Date(tick!).toISOString(), "2026-01-05T05:00:00.000Z");
 *
 * await using engine = await Engine.open(":memory:", { workflows: [report], schedules: [daily] });
 * engine.work();
 * ```
 */
export function schedule<I>(name: string, options: ScheduleOptions<I>): Schedule {
  checkName(name, "a schedule's name");
  if (name.length > MAX_NAME_LENGTH) {
    throw new RangeError(
      `Cannot use a schedule's name: wanted 1 to ${MAX_NAME_LENGTH} characters, found ${name.length}`,
    );
  }
  checkOptions(options, OPTIONS, "make schedule", name);
  const { cron, timeZone = "UTC", workflow, input, missed = "latest", overlap = "allow" } = options;
  if (!isWorkflow(workflow)) {
    throw new TypeError(`Cannot make schedule "${name}": wanted a workflow that workflow() has made`);
  }
  oneOf(name, "missed", missed, ["skip", "latest", "all"]);
  oneOf(name, "overlap", overlap, ["allow", "skip", "queue"]);
  if (options.queue !== undefined && overlap === "queue") {
    throw new TypeError(
      `Cannot make schedule "${name}": wanted no queue beside overlap "queue", which has one of its own`,
    );
  }
  const times = parse(`make schedule "${name}"`, cron, timeZone);
  const queue = options.queue === undefined ? undefined : asQueue(options.queue);
  const definition: Schedule = {
    name,
    cron,
    timeZone,
    workflow,
    input: snapshot(input),
    missed,
    overlap,
    ...queue !== undefined && { queue },
    next: (after) => times.nextRun(new Date(timeMs(after, `find a tick of schedule "${name}"`)))?.getTime(),
    // Those before a time are wanted of it.
    previous: (at) =>
      times.previousRuns(1, new Date(timeMs(at, `find a tick of schedule "${name}"`) + 1))[0]?.getTime(),
  };
  return brandSchedule(definition);
}

/**
 * The next ticks of a cron expression.
 *
 * @param options.timeZone the time zone that its times are in
 * @param options.after they come after this
 * @param options.count how many, at most
 * @throws {TypeError | RangeError} if it is no cron expression or no time zone, or another argument is not as it should be
 *
 * @example
 * ```ts
 * import { nextTicks } from "@stepwell/stepwell/schedule";
 * import { assertEquals } from "@std/assert";
 *
 * const ticks = nextTicks("0 6 * * mon", { timeZone: "UTC", after: new Date("2026-01-01T00:00:00Z"), count: 2 });
 * assertEquals(ticks, [new Date("2026-01-05T06:00:00Z"), new Date("2026-01-12T06:00:00Z")]);
 * ```
 */
export function nextTicks(
  cron: string,
  options: { timeZone: string; after: Date; count: number },
): Date[] {
  const act = `list the ticks of ${found(cron)}`;
  checkOptions(options, TICK_OPTIONS, act);
  const { timeZone, after, count } = options;
  const times = parse(act, cron, timeZone);
  if (!(after instanceof Date && !Number.isNaN(after.getTime()))) {
    throw new TypeError(`Cannot ${act}: wanted a valid Date as after, found ${found(after)}`);
  }
  if (!(Number.isSafeInteger(count) && count >= 0 && count <= MAX_TICKS)) {
    throw new RangeError(`Cannot ${act}: wanted a count from 0 to ${MAX_TICKS}, found ${found(count)}`);
  }
  return times.nextRuns(count, after);
}

/** @throws {TypeError} if it is no cron expression that ever ticks, or no time zone */
function parse(act: string, cron: string, timeZone: string): Cron {
  const wanted = (reason: string, cause?: unknown) =>
    new TypeError(
      `Cannot ${act}: wanted a cron expression of five or six fields, and a time zone, ` +
        `found ${found(cron)} and ${found(timeZone)} (${excerpt(reason)})`,
      { cause },
    );
  if (typeof cron !== "string" || !CRON.test(cron)) throw wanted("these are no five or six fields");
  if (typeof timeZone !== "string" || timeZone === "") throw wanted("this is no time zone");
  let times: Cron;
  let first: Date | null;
  try {
    times = new Cron(cron, { timezone: timeZone, paused: true, fixedTimeRule: "no-wildcard" });
    first = times.nextRun(new Date(0));
  } catch (cause) {
    throw wanted(cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (first === null) throw wanted("there is no such time");
  return times;
}

function oneOf(name: string, option: string, value: string, wanted: readonly string[]): void {
  if (wanted.includes(value)) return;
  throw new TypeError(
    `Cannot make schedule "${name}": wanted ${option} to be one of ${wanted.join(", ")}, found ${
      found(value)
    }`,
  );
}
