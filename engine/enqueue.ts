import type { Clock } from "./clock.ts";
import { isWorkflow } from "./define_workflow.ts";
import { type Duration, durationMs } from "./duration.ts";
import { LimitExceededError, QueueFullError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { asQueue, completeLimits, type Queue } from "./queue.ts";
import { found as foundValue } from "./quote.ts";
import { randomId, type RandomSource, randomUuid } from "./random.ts";
import { encodeValue } from "./serialize.ts";
import { checkInput, checkWorkflow } from "./started_with.ts";
import { MAX_QUEUES, type Placing } from "./store/queue_statements.ts";
import type { Queues } from "./store/queues.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { Store } from "./store/store.ts";
import { timeMs } from "./time.ts";
import { inputText } from "./validation.ts";
import type { Workflow } from "./workflow.ts";

/** How a workflow is put into a queue. */
export interface EnqueueOptions<I = unknown> {
  /** Its id. One that is there already is left as it is, if it is the same workflow with the same input. */
  id?: string;
  /** The queue, by its definition or its name. `"default"` by default, which has no limits unless it is given some. */
  queue?: Queue | string;
  /** What the workflow is given. */
  input?: I;
  /** How long it waits before it is its turn at the earliest. */
  delay?: Duration;
  /** When it is its turn at the earliest, instead of a delay: a date, or milliseconds since 1970. */
  startAt?: Date | number;
  /**
   * The higher begins first: an integer from -1,000 to 1,000, 0 by default. Who has waited for the queue's `ageing` longer
   * is equal to one of the next higher priority, so that nobody waits for ever.
   */
  priority?: number;
  /** The part of the queue that it belongs to, for the queue's `partitionConcurrency`: a customer, say. */
  partition?: string;
  /** The version of the workflow's code, for one that is given by its name. */
  version?: string;
  /**
   * How long the workflow may take from when it is its turn at the earliest, instead of the workflow's own `timeout`. That one
   * counts from when it begins, where the workflow is given by its name.
   */
  timeout?: Duration;
  /** While a workflow with this key in this queue has not ended, that one is given, and none is made. */
  deduplicationKey?: string;
  /**
   * While a workflow with this key in this queue has not begun, that one is given the new input and is put off: it begins
   * when nothing has come for the period, or after `maxWait` at the latest.
   */
  debounce?: { key: string; period: Duration; maxWait?: Duration };
  /** For a period after a workflow with this key was put into this queue, that one is given, and none is made. */
  throttle?: { key: string; period: Duration };
}

/** What an engine does for it. */
export interface EnqueueHost {
  readonly store: Store;
  readonly queues: Queues;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly maxValueBytes: number;
  /** Makes sure that the limits of a queue are stored. */
  define(queue: Queue): Promise<void>;
}

const DEFAULT_QUEUE = "default";
const MAX_PRIORITY = 1_000;
const OPTIONS = optionNames<EnqueueOptions>({
  id: true,
  queue: true,
  input: true,
  delay: true,
  startAt: true,
  priority: true,
  partition: true,
  version: true,
  timeout: true,
  deduplicationKey: true,
  debounce: true,
  throttle: true,
});
const DEBOUNCE_OPTIONS = optionNames<NonNullable<EnqueueOptions["debounce"]>>({
  key: true,
  period: true,
  maxWait: true,
});
const THROTTLE_OPTIONS = optionNames<NonNullable<EnqueueOptions["throttle"]>>({ key: true, period: true });
/** How often other processes may be first before it is given up. */
const MAX_TRIES = 100;

/** A workflow that is to be put into a queue, checked. */
interface Request {
  readonly input: WorkflowInput;
  readonly placing: Placing;
  /** Whether its id was made up. */
  readonly fresh: boolean;
  /** Until when it may be put off, if it may. */
  readonly debounceMaxMs: number | undefined;
}

/** Puts a workflow into a queue: see `engine.enqueue()`. @returns the id of the one that stands for it */
export async function enqueueWorkflow<I>(
  host: EnqueueHost,
  workflow: Workflow<I> | string,
  options: EnqueueOptions<I>,
): Promise<string> {
  const { store, queues } = host;
  checkOptions(options, OPTIONS, "enqueue");
  const queue = asQueue(options.queue === undefined ? DEFAULT_QUEUE : options.queue);
  const request = await check(host, workflow, { ...options, queue });
  if (typeof options.queue === "object") await host.define(queue);
  const { input, placing, fresh } = request;
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    if (await queues.enqueue(input, placing, completeLimits(queue))) return input.workflowId;
    const record = fresh ? undefined : await store.find(input.workflowId);
    if (record !== undefined) {
      const stored = await store.input(record);
      checkWorkflow(stored, input.name);
      await checkInput(stored, options.input === undefined ? undefined : input.inputJson);
      return input.workflowId;
    }
    const standIn = await queues.standIn(placing);
    if (standIn !== undefined) {
      const { workflowId } = standIn;
      checkWorkflow(standIn, input.name);
      if (placing.debounceKey === null || await postpone(host, workflowId, request)) return workflowId;
      continue;
    }
    const found = await queues.find(queue.name);
    if (found === undefined) throw new LimitExceededError("queues", MAX_QUEUES, `make queue "${queue.name}"`);
    if (found.depth >= found.maxDepth) throw new QueueFullError(queue.name, found.depth, found.maxDepth);
  }
  throw new LimitExceededError("tries of a request", MAX_TRIES, `put a workflow into queue "${queue.name}"`);
}

/** Puts off a workflow that has not begun. @returns whether it had not */
async function postpone(host: EnqueueHost, workflowId: string, request: Request): Promise<boolean> {
  const { store, queues, clock } = host;
  const { input, placing, debounceMaxMs } = request;
  const record = await store.find(workflowId);
  if (record === undefined) return false;
  const { createdAt, seed } = await store.input(record);
  const readyAt = Math.min(placing.readyAt, latestStart(createdAt, debounceMaxMs, clock.now()));
  return await queues.postpone(
    record.workflow,
    { ...input, workflowId, createdAt, seed },
    { ...placing, readyAt, now: clock.now() },
  );
}

/** Until when a workflow may be put off that waits since a time. */
function latestStart(since: number, maxMs: number | undefined, now: number): number {
  if (maxMs === undefined) return Infinity;
  // So far ahead, the clock was set back: how long it has waited nobody knows, and it waits no longer.
  return since > now + maxMs ? now : since + maxMs;
}

async function check<I>(
  { clock, random, maxValueBytes }: EnqueueHost,
  workflow: Workflow<I> | string,
  options: EnqueueOptions<I> & { queue: Queue },
): Promise<Request> {
  const { id = randomUuid(random), queue, priority = 0, partition, deduplicationKey } = options;
  const { debounce, throttle } = options;
  if (debounce !== undefined) checkOptions(debounce, DEBOUNCE_OPTIONS, "enqueue", undefined, "debounce");
  if (throttle !== undefined) checkOptions(throttle, THROTTLE_OPTIONS, "enqueue", undefined, "throttle");
  const { name, version, timeoutMs } = codeOf(workflow, options);
  checkName(id, "a workflow id");
  if (partition !== undefined) checkName(partition, "a partition");
  if (deduplicationKey !== undefined) checkName(deduplicationKey, "a deduplication key");
  if (debounce !== undefined) checkName(debounce.key, "the key of a debounce");
  if (throttle !== undefined) checkName(throttle.key, "the key of a throttle");
  checkPriority(priority);
  refuseTwo(options, ["deduplicationKey", "debounce", "throttle"]);
  refuseTwo(options, ["delay", "startAt", "debounce"]);
  refuseTwo(options, ["id", "debounce"]);
  const now = clock.now();
  const readyAt = Math.ceil(Math.max(now, startOf(options, now)));
  const starting = `workflow "${id}"`;
  const what = `the input of ${starting}`;
  const inputJson = typeof workflow === "string"
    ? await encodeValue(options.input, what, maxValueBytes)
    : await inputText(workflow, options.input, { starting, what, maxValueBytes });
  return {
    input: {
      workflowId: id,
      name,
      inputJson,
      createdAt: now,
      seed: randomId(random),
      ...version !== undefined && { version },
      ...timeoutMs !== undefined && { deadlineAt: readyAt + timeoutMs },
      ...typeof workflow === "string" && { unchecked: true },
    },
    placing: {
      queue: queue.name,
      readyAt,
      priority,
      partition: partition ?? null,
      deduplicationKey: deduplicationKey ?? null,
      debounceKey: debounce?.key ?? null,
      throttle: throttle === undefined ? null : { key: throttle.key, ...spanOf(throttle, now) },
    },
    fresh: options.id === undefined,
    debounceMaxMs: debounce?.maxWait === undefined
      ? undefined
      : durationMs(debounce.maxWait, "maxWait of a debounce"),
  };
}

/** @throws {RangeError} if it is no priority */
export function checkPriority(priority: number): void {
  if (Number.isSafeInteger(priority) && Math.abs(priority) <= MAX_PRIORITY) return;
  throw new RangeError(
    `Cannot use a priority: wanted an integer from -${MAX_PRIORITY} to ${MAX_PRIORITY}, found ${
      foundValue(priority)
    }`,
  );
}

/** The name and the version of its code, and how long it may take. */
function codeOf<I>(
  workflow: Workflow<I> | string,
  { version, timeout }: EnqueueOptions<I>,
): { name: string; version: string | undefined; timeoutMs: number | undefined } {
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout of a workflow");
  if (typeof workflow === "string") {
    checkName(workflow, "a workflow's name");
    if (version !== undefined) checkName(version, "a workflow's version");
    return { name: workflow, version, timeoutMs };
  }
  if (!isWorkflow(workflow)) {
    throw new TypeError(
      `Cannot enqueue: wanted what workflow() returns, or a workflow's name, found ${typeof workflow}`,
    );
  }
  if (version !== undefined) {
    throw new TypeError("Cannot use the option version: wanted none beside a workflow that has its own");
  }
  return { name: workflow.name, version: workflow.version, timeoutMs: timeoutMs ?? workflow.timeoutMs };
}

/** In what span a workflow with the key of a throttle keeps another one out: what is later is of a clock that was set back. */
function spanOf({ period }: { period: Duration }, now: number): { since: number; until: number } {
  const periodMs = durationMs(period, "period of a throttle");
  return { since: now - periodMs, until: now + periodMs };
}

function startOf({ delay, startAt, debounce }: EnqueueOptions, now: number): number {
  if (debounce !== undefined) {
    const { period, maxWait = period } = debounce;
    const periodMs = durationMs(period, "period of a debounce");
    return now + Math.min(periodMs, durationMs(maxWait, "maxWait of a debounce"));
  }
  if (delay !== undefined) return now + durationMs(delay, "delay");
  return startAt === undefined ? now : timeMs(startAt, "use the option startAt");
}

function refuseTwo(options: EnqueueOptions, names: readonly (keyof EnqueueOptions)[]): void {
  const given = names.filter((name) => options[name] !== undefined);
  if (given.length < 2) return;
  throw new TypeError(`Cannot enqueue with both ${given.join(" and ")}: wanted one of them`);
}
