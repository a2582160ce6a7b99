import { type Clock, systemClock } from "./clock.ts";
import { isWorkflow } from "./define_workflow.ts";
import { type Duration, durationMs } from "./duration.ts";
import type { EngineEvent } from "./events.ts";
import { checkBoolean, checkOptions, optionNames } from "./known_options.ts";
import { isQueue, type Queue } from "./queue.ts";
import { found } from "./quote.ts";
import { type RandomSource, systemRandom } from "./random.ts";
import { isSchedule, type Schedule } from "./schedule.ts";
import type { Workflow } from "./workflow.ts";

/** How an engine is opened. */
export interface EngineOptions {
  /** The workflows it can resume by their id alone; of each name as many versions as are still under way. */
  workflows?: readonly Workflow[];
  /** The queues whose limits it stores when it begins to work. */
  queues?: readonly Queue[];
  /** The schedules that it sees to while it works: what `schedule()` of `@stepwell/stepwell/schedule` returns. */
  schedules?: readonly Schedule[];
  /**
   * What a checkpoint survives: `"full"`, the default, power loss; `"normal"` the end of the process, for a fraction of
   * the time.
   */
  durability?: "full" | "normal";
  /** Which SQLite: `"builtin"`, the default, is Deno's own; `"ffi"` is `jsr:@db/sqlite`. */
  sqlite?: "builtin" | "ffi";
  /**
   * The lease: how long a process that does not answer, but is not gone either, keeps its workflows. `"30s"` by
   * default. A process that is gone loses them at once.
   */
  zombieTimeout?: Duration;
  /** Where time comes from. The machine by default. */
  clock?: Clock;
  /** Where ids and chance come from: never the same in two processes on one file. The machine by default. */
  random?: RandomSource;
  /** How often in a row a workflow may lose its process without a new checkpoint before it is blocked. 20 by default. */
  maxRecoveries?: number;
  /** The largest input, output or step result, in bytes of its JSON. 16 MiB by default. */
  maxValueBytes?: number;
  /** How many steps a workflow may have. 1,000,000 by default. */
  maxSteps?: number;
  /** How many workflows may run in this engine at a time. 100,000 by default. */
  maxRunning?: number;
  /** How long {@linkcode Engine.close} waits for steps that run. `"10s"` by default. */
  closeGrace?: Duration;
  /** How long a file that other processes have locked is tried again. `"30s"` by default. */
  busyTimeout?: Duration;
  /**
   * How long a transaction may be open: nothing else is committed meanwhile. Then it is rolled back, and fails with
   * `TransactionTimeoutError`. `"5s"` by default. It should be less than `zombieTimeout`: the lease is not renewed meanwhile.
   */
  transactionTimeout?: Duration;
  /**
   * Whether to grow the write-ahead log while opening, so that commits take about half as long from the start, where
   * they would only after some hundred. It takes some 25 ms. `false` by default.
   */
  growWal?: boolean;
  /**
   * Whether a workflow's function is dropped from memory at every await, and called anew over its history for each
   * completion, while steps that run go on: slow, and a good test of whether the code is deterministic. Attempts of
   * steps, and what `ctx.log` tells, are as they are without it. `false` by default.
   */
  alwaysReplay?: boolean;
  /** Called with every event, at the instant of which it tells. What it throws is an uncaught exception. */
  onEvent?: (event: EngineEvent) => void;
}

const OPTIONS = optionNames<EngineOptions>({
  workflows: true,
  queues: true,
  schedules: true,
  durability: true,
  sqlite: true,
  zombieTimeout: true,
  clock: true,
  random: true,
  maxRecoveries: true,
  maxValueBytes: true,
  maxSteps: true,
  maxRunning: true,
  closeGrace: true,
  busyTimeout: true,
  transactionTimeout: true,
  growWal: true,
  alwaysReplay: true,
  onEvent: true,
});
const ACT = "open an engine";

/** {@linkcode EngineOptions}, checked and complete. */
export interface EngineSettings {
  readonly workflows: readonly Workflow[];
  readonly queues: readonly Queue[];
  readonly schedules: readonly Schedule[];
  readonly durability: "full" | "normal";
  readonly sqlite: "builtin" | "ffi";
  readonly leaseMs: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly maxRecoveries: number;
  readonly maxValueBytes: number;
  readonly maxSteps: number;
  readonly maxRunning: number;
  readonly closeGraceMs: number;
  readonly busyTimeoutMs: number;
  readonly transactionTimeoutMs: number;
  readonly growWal: boolean;
  readonly alwaysReplay: boolean;
  readonly onEvent: ((event: EngineEvent) => void) | undefined;
}

/**
 * The settings of these options.
 *
 * @throws {TypeError | RangeError} if one of them is not as {@linkcode EngineOptions} says
 */
export function engineSettings(options: EngineOptions): EngineSettings {
  checkOptions(options, OPTIONS, ACT);
  const { zombieTimeout = "30s", closeGrace = "10s", busyTimeout = "30s", transactionTimeout = "5s" } =
    options;
  const { maxRecoveries = 20, maxValueBytes = 16 * 1024 * 1024, maxSteps = 1_000_000, maxRunning = 100_000 } =
    options;
  const { clock = systemClock, random = systemRandom } = options;
  const { workflows = [], queues = [], schedules = [], durability = "full", sqlite = "builtin", onEvent } =
    options;
  checkWorkflows(workflows);
  checkQueues(queues);
  checkSchedules(schedules);
  oneOf("durability", durability, ["full", "normal"]);
  oneOf("sqlite", sqlite, ["builtin", "ffi"]);
  if (onEvent !== undefined && typeof onEvent !== "function") {
    throw new TypeError(`Cannot use the option onEvent: wanted a function, found ${typeof onEvent}`);
  }
  if (typeof random !== "function") {
    throw new TypeError(`Cannot use the option random: wanted a function, found ${found(random)}`);
  }
  checkClock(clock);
  return {
    workflows,
    queues,
    schedules,
    durability,
    sqlite,
    onEvent,
    clock,
    random,
    leaseMs: Math.max(1, durationMs(zombieTimeout, "option zombieTimeout")),
    maxRecoveries: integer("maxRecoveries", maxRecoveries, 0),
    maxValueBytes: integer("maxValueBytes", maxValueBytes, 1),
    maxSteps: integer("maxSteps", maxSteps, 1),
    maxRunning: integer("maxRunning", maxRunning, 1),
    closeGraceMs: durationMs(closeGrace, "option closeGrace"),
    busyTimeoutMs: durationMs(busyTimeout, "option busyTimeout"),
    transactionTimeoutMs: durationMs(transactionTimeout, "option transactionTimeout"),
    growWal: checkBoolean(options.growWal, "growWal", ACT),
    alwaysReplay: checkBoolean(options.alwaysReplay, "alwaysReplay", ACT),
  };
}

function checkClock(clock: unknown): void {
  const { now, setTimer } = (typeof clock === "object" && clock !== null ? clock : {}) as Partial<Clock>;
  if (typeof now === "function" && typeof setTimer === "function") return;
  throw new TypeError(
    `Cannot use the option clock: wanted an object with now() and setTimer(), found ${found(clock)}`,
  );
}

function checkWorkflows(workflows: readonly unknown[]): void {
  if (!Array.isArray(workflows)) throw new TypeError("Cannot use the option workflows: wanted an array");
  const seen = new Map<string, Set<string | undefined>>();
  for (const workflow of workflows) {
    if (!isWorkflow(workflow)) {
      throw new TypeError("Cannot use the option workflows: wanted what workflow() returns in every place");
    }
    const { name, version } = workflow;
    const versions = seen.get(name) ?? new Set();
    if (versions.has(version)) {
      const which = version === undefined ? "" : ` and have the version "${version}"`;
      throw new TypeError(`Cannot use the option workflows: two of them are named "${name}"${which}`);
    }
    seen.set(name, versions.add(version));
  }
}

function checkQueues(queues: readonly Queue[]): void {
  if (Array.isArray(queues) && queues.every(isQueue)) return;
  throw new TypeError("Cannot use the option queues: wanted an array of what queue() returns");
}

function checkSchedules(schedules: readonly Schedule[]): void {
  if (!Array.isArray(schedules) || !schedules.every(isSchedule)) {
    throw new TypeError("Cannot use the option schedules: wanted an array of what schedule() returns");
  }
  const names = schedules.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice === undefined) return;
  throw new TypeError(`Cannot use the option schedules: two of them are named "${twice}"`);
}

function oneOf(option: string, value: string, wanted: readonly string[]): void {
  if (wanted.includes(value)) return;
  const choice = wanted.map((name) => `"${name}"`).join(" or ");
  throw new TypeError(`Cannot use the option ${option}: wanted ${choice}, found ${found(value)}`);
}

function integer(option: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new RangeError(
    `Cannot use the option ${option}: wanted an integer from ${min}, found ${found(value)}`,
  );
}
