import { type Duration, durationMs } from "./duration.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import type { QueueLimits } from "./store/queue_statements.ts";

/** The limits of a queue, as a user gives them: see {@linkcode queue}. */
export interface QueueDefinition {
  /** How many of its workflows are under way at a time, in all processes: up to 10,000. Any number by default. */
  concurrency?: number;
  /** How many of them run in one process at a time, up to 10,000; one that is let go while it waits does not count. Any by default. */
  executorConcurrency?: number;
  /** How many of them are under way at a time of each partition: up to 1,000. Any number by default. */
  partitionConcurrency?: number;
  /** How many of them begin in any span of a length: up to 10,000. Any number by default. */
  rate?: { limit: number; period: Duration };
  /** How many may wait to begin. 1,000,000 by default. */
  maxDepth?: number;
  /** Who has waited for so much longer is equal to one of the next higher priority. `"1m"` by default. */
  ageing?: Duration;
}

/** A queue: its name, and its limits. */
export interface Queue {
  /** By which it is known in the store. */
  readonly name: string;
  /** Its limits, as {@linkcode queue} was given them. */
  readonly limits: Readonly<QueueDefinition>;
}

/** The same in every copy of this module that a process may have. */
const BRAND = Symbol.for("@stepwell/stepwell/queue");
/** These are counted whenever a workflow begins. */
const MAX_COUNTED = 10_000;
const MAX_OF_PARTITION = 1_000;
const MAX_DEPTH = 1_000_000;
const DEFAULT_AGEING = "1m";
const LIMITS = optionNames<QueueDefinition>({
  concurrency: true,
  executorConcurrency: true,
  partitionConcurrency: true,
  rate: true,
  maxDepth: true,
  ageing: true,
});
const RATE = optionNames<NonNullable<QueueDefinition["rate"]>>({ limit: true, period: true });
/** How the names of the queues begin that schedules have for themselves. */
const OF_SCHEDULE = "schedule:";
/** The longest period and ageing, so that times and priorities stay exact integers. */
const MAX_SPAN_MS = 366 * 86_400_000;

/**
 * Defines a queue: workflows that are put into it by `engine.enqueue()` begin in their turn, within its limits. These hold
 * over all processes on the store, and over crashes.
 *
 * A workflow is under way from the beginning of its first run to its end, also while it waits; and until it is blocked. The
 * limits are stored when an engine first uses the queue; of several definitions of one name the last that was stored counts.
 *
 * @param name by which it is known in the store; a queue that is given by its name alone has the limits that are stored
 * @throws {TypeError | RangeError} if the name is not one, or begins with `schedule:`, which is reserved for the queues of
 *   schedules; or if a limit is not as {@linkcode QueueDefinition} says
 *
 * @example
 * ```ts
 * import { Engine, queue, workflow } from "@stepwell/stepwell";
 * import { assertEquals } from "@std/assert";
 *
 * const mail = queue("mail", { concurrency: 10, rate: { limit: 100, period: "1m" } });
 * const welcome = workflow("welcome", (ctx, to: string) => ctx.step("send", () => `sent to ${to}`));
 *
 * await using engine = await Engine.open(":memory:", { workflows: [welcome] });
 * engine.work();
 * const handle = await engine.enqueue(welcome, { queue: mail, input: "ada@example.com" });
 * assertEquals(await handle.result(), "sent to ada@example.com");
 * ```
 */
export function queue(name: string, limits: QueueDefinition = {}): Queue {
  return makeQueue(unreserved(name), limits);
}

/** The queue that a schedule has for itself, in which one workflow is under way at a time. */
export function queueOfSchedule(schedule: string): Queue {
  return makeQueue(OF_SCHEDULE + schedule, { concurrency: 1 });
}

function makeQueue(name: string, limits: QueueDefinition): Queue {
  checkOptions(limits, LIMITS, "limit queue", name);
  if (limits.rate !== undefined) checkOptions(limits.rate, RATE, "limit queue", name, "rate");
  const definition = { name, limits: Object.freeze({ ...limits }) };
  completeLimits(definition);
  return Object.freeze(Object.defineProperty(definition, BRAND, { value: true }));
}

/** The limits of a queue, checked and complete. @throws {TypeError | RangeError} as {@linkcode queue} */
export function completeLimits({ name, limits }: Queue): QueueLimits {
  const { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth, ageing } = limits;
  return {
    concurrency: count(name, "concurrency", concurrency, MAX_COUNTED),
    executorConcurrency: count(name, "executorConcurrency", executorConcurrency, MAX_COUNTED),
    partitionConcurrency: count(name, "partitionConcurrency", partitionConcurrency, MAX_OF_PARTITION),
    rate: rate === undefined ? null : {
      limit: count(name, "rate.limit", rate.limit === undefined ? NaN : rate.limit, MAX_COUNTED)!,
      periodMs: span(name, "rate.period", rate.period),
    },
    maxDepth: count(name, "maxDepth", maxDepth === undefined ? MAX_DEPTH : maxDepth, MAX_DEPTH)!,
    ageingMs: span(name, "ageing", ageing === undefined ? DEFAULT_AGEING : ageing),
  };
}

/**
 * A queue that workflows are put into, however it is given.
 *
 * @throws {TypeError | RangeError} if it is none, or one that a schedule has for itself
 */
export function asQueue(given: Queue | string): Queue {
  if (typeof given === "string") return queue(given);
  unreserved(checkQueue(given).name);
  return given;
}

/** The name of a queue, however it is given: also of one that a schedule has for itself. @throws as {@linkcode asQueue} */
export function queueName(given: Queue | string): string {
  if (typeof given !== "string") return checkQueue(given).name;
  checkName(given, "a queue's name");
  return given;
}

function checkQueue(given: Queue): Queue {
  if (isQueue(given)) return given;
  throw new TypeError(`Cannot use a queue: wanted its name, or what queue() returns, found ${typeof given}`);
}

/** A name that a user may give to a queue. */
function unreserved(name: string): string {
  checkName(name, "a queue's name");
  if (!name.startsWith(OF_SCHEDULE)) return name;
  throw new TypeError(
    `Cannot use a queue's name: wanted one that does not begin with "${OF_SCHEDULE}", which is reserved for the ` +
      `queues of schedules, found ${JSON.stringify(name)}`,
  );
}

/** Whether something is what {@linkcode queue} returns. */
export function isQueue(value: unknown): value is Queue {
  return typeof value === "object" && value !== null && BRAND in value;
}

function count(name: string, limit: string, value: number | undefined, max: number): number | null {
  if (value === undefined) return null;
  if (Number.isSafeInteger(value) && value >= 1 && value <= max) return value;
  throw new RangeError(
    `Cannot use ${limit} of queue "${name}": wanted an integer from 1 to ${max}, found ${found(value)}`,
  );
}

function span(name: string, limit: string, value: Duration): number {
  const ms = Math.round(durationMs(value, `${limit} of queue "${name}"`));
  if (ms >= 1 && ms <= MAX_SPAN_MS) return ms;
  throw new RangeError(`Cannot use ${limit} of queue "${name}": wanted 1 ms to 366 d, found ${found(value)}`);
}
