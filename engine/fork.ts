import { type Duration, durationMs } from "./duration.ts";
import { checkPriority } from "./enqueue.ts";
import { LimitExceededError, QueueFullError, StepNotFoundError, WorkflowConflictError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { asQueue, completeLimits, type Queue } from "./queue.ts";
import { found } from "./quote.ts";
import { type RandomSource, randomUuid } from "./random.ts";
import type { Copied, ForkPlacing } from "./store/fork_statements.ts";
import { PAGE_LIMITS } from "./store/pages.ts";
import { MAX_QUEUES, type QueueLimits } from "./store/queue_statements.ts";
import type { WorkflowRecord } from "./store/records.ts";
import { checkpointChecksum, publicationChecksum, type WorkflowInput } from "./store/rows.ts";
import type { Store } from "./store/store.ts";

/** How a workflow is forked. */
export interface ForkOptions {
  /**
   * The first step that runs again: its key, such as `"pay#000002"`, or its id, for the first of that id. All that the
   * workflow saw before it completed first is kept.
   */
  fromStep: string;
  /** The id of the new workflow. Random by default. */
  newId?: string;
  /**
   * The queue that the new workflow is put into, by its definition or its name; `null` for none: then it runs at once, beside
   * the limits of any. By default that of the other, if it was put into one.
   */
  queue?: Queue | string | null;
  /** The part of the queue that it belongs to. That of the other by default, in the queue of the other. */
  partition?: string;
  /** The higher begins first in the queue, as of `engine.enqueue()`. 0 by default. */
  priority?: number;
  /** How long it waits in the queue before it is its turn at the earliest. */
  delay?: Duration;
}

/** What a fork is asked for with, checked. */
export interface ForkRequest {
  readonly fromStep: string;
  readonly newId: string;
  /** Undefined for the queue of the other. */
  readonly queue: Queue | null | undefined;
  readonly partition: string | undefined;
  readonly priority: number;
  readonly delayMs: number;
  /** Whether it is said how it is to be placed in a queue. */
  readonly isPlaced: boolean;
}

const OPTIONS = optionNames<ForkOptions>({
  fromStep: true,
  newId: true,
  queue: true,
  partition: true,
  priority: true,
  delay: true,
});

/** What a fork is asked for with, looked at. @throws {TypeError | RangeError} if it is not as {@linkcode ForkOptions} says */
export function checkFork(id: string, options: Partial<ForkOptions> = {}, random: RandomSource): ForkRequest {
  checkOptions(options, OPTIONS, "fork workflow", id);
  const { fromStep, newId, queue, partition, priority = 0, delay } = options;
  if (typeof fromStep !== "string") {
    throw new TypeError(
      `Cannot fork workflow "${id}": wanted the key or id of a step as fromStep, found ${found(fromStep)}`,
    );
  }
  if (newId !== undefined) checkName(newId, "a workflow id");
  if (partition !== undefined) checkName(partition, "a partition");
  checkPriority(priority);
  const isPlaced = partition !== undefined || options.priority !== undefined || delay !== undefined;
  if (isPlaced && queue === null) refusePlace(id);
  return {
    fromStep,
    newId: newId ?? randomUuid(random),
    queue: queue === undefined || queue === null ? queue : asQueue(queue),
    partition,
    priority,
    delayMs: delay === undefined ? 0 : durationMs(delay, "delay"),
    isPlaced,
  };
}

function refusePlace(id: string): never {
  throw new TypeError(
    `Cannot fork workflow "${id}" with a partition, priority or delay: wanted a queue beside them, found none`,
  );
}

/** Where the new workflow is put; undefined for in no queue. */
function placeOf(
  record: WorkflowRecord,
  { queue, partition, priority, delayMs, isPlaced }: ForkRequest,
  now: number,
): {
  readonly limits: QueueLimits;
  readonly placing: ForkPlacing;
} | undefined {
  const name = queue === undefined ? record.queueName : queue?.name ?? null;
  if (name === null) return isPlaced ? refusePlace(record.workflowId) : undefined;
  const own = name === record.queueName ? record.partition : null;
  const readyAt = Math.ceil(now + delayMs);
  return {
    limits: completeLimits(queue ?? asQueue(name)),
    placing: { queue: name, partition: partition ?? own, priority, readyAt },
  };
}

/** How a step's id is made its first key. */
const FIRST = "#000001";

/**
 * Makes a workflow that begins with the checkpoints of another one, up to a step. What it waited for is not copied, nor
 * are signals that it has not consumed: they stay with it. Nothing of the other changes.
 * What it shows to the outside is copied as far as it was shown before the step: a stream up to there, and a value
 * under a key if there was no later one.
 *
 * @param record the other, of whatever status
 * @param fork.run a number that is this fork's alone
 * @returns what the new one is started with, and whether it waits in a queue for its turn; no process runs it yet
 * @throws {StepNotFoundError} if the other has no such step
 * @throws {WorkflowConflictError} if the new id is taken
 * @throws {QueueFullError} if the queue has as many that wait as it may
 * @throws {CorruptCheckpointError} if something that is to be copied is not as it was written
 */
export async function forkWorkflow(
  store: Store,
  record: WorkflowRecord,
  fork: ForkRequest & { run: number; now: number },
): Promise<{ input: WorkflowInput; isQueued: boolean }> {
  const { fromStep, newId, run, now } = fork;
  const place = placeOf(record, fork, now);
  for (let seen = record;;) {
    const original = await store.input(seen);
    const step = await store.firstCompletion(seen, fromStep) ??
      await store.firstCompletion(seen, fromStep + FIRST);
    if (step === undefined) throw new StepNotFoundError(seen.workflowId, fromStep);
    // A step that has not completed yet comes after all there is.
    const last = (step.completion ?? await store.lastCompletion(seen.workflow) + 1) - 1;
    const copied = await findCopied(store, seen, newId, last);
    const input = forkedInput(original, seen, newId, { now, readyAt: place?.placing.readyAt ?? now });
    const { workflow, retriedAt } = seen;
    const forking = { workflowId: newId, run, from: { workflow, retriedAt } };
    if (await store.fork(forking, input, copied, { now, place })) {
      return { input, isQueued: place !== undefined };
    }
    const found = await store.find(seen.workflowId);
    if (found === undefined || found.retriedAt === retriedAt) break;
    seen = found;
  }
  if (place !== undefined && await store.find(newId) === undefined) {
    const { queue } = place.placing;
    const full = await store.queueDepth(queue);
    if (full === undefined) throw new LimitExceededError("queues", MAX_QUEUES, `make queue "${queue}"`);
    throw new QueueFullError(queue, full.depth, full.maxDepth);
  }
  const asked = `"${record.workflowId}" before step "${fromStep}"`;
  throw new WorkflowConflictError(newId, "origin", await originOf(store, newId), asked);
}

/** Looks through what is to be copied, up to a completion. What it holds is not kept: there may be a great deal. */
async function findCopied(
  store: Store,
  record: WorkflowRecord,
  newId: string,
  last: number,
): Promise<Copied> {
  const { workflowId } = record;
  const checkpoints: [number, number][] = [];
  let lastKey = "history";
  while (checkpoints.length < last) {
    const after = checkpoints.length;
    const limits = { ...PAGE_LIMITS, rows: Math.min(PAGE_LIMITS.rows, last - after) };
    const { completions } = await store.completions(record, after, limits);
    if (completions.length === 0) {
      throw store.corrupt(workflowId, lastKey, `no completion ${after + 1} after it`);
    }
    for (const checkpoint of completions) {
      checkpoints.push([checkpoint.completion!, checkpointChecksum(newId, checkpoint)]);
    }
    lastKey = completions.at(-1)!.key;
  }
  const published: [string, number, number][] = [];
  const emitted: [string, number, number][] = [];
  for await (const page of store.publications(record, last)) {
    for (const shown of page) {
      const { name, position, completion } = shown;
      const checksum = publicationChecksum(newId, { ...shown, startedAt: shown.at }, shown);
      if (position === null) published.push([name, completion, checksum]);
      else emitted.push([name, position, checksum]);
    }
  }
  return { checkpoints, published, emitted, patches: await store.patches(record) };
}

/** The same, as far as the workflow can see; its time is counted anew. It is nobody's child. */
function forkedInput(
  original: WorkflowInput,
  { retriedAt }: WorkflowRecord,
  newId: string,
  times: { now: number; readyAt: number },
): WorkflowInput {
  const { now, readyAt } = times;
  const { name, createdAt, seed, inputJson, version, deadlineAt, forkedAt, begunAt } = original;
  const countedFrom = retriedAt ?? forkedAt ?? createdAt;
  return {
    workflowId: newId,
    name,
    createdAt,
    seed,
    inputJson,
    ...version !== undefined && { version },
    ...deadlineAt !== undefined && { deadlineAt: readyAt + (deadlineAt - countedFrom) },
    ...begunAt !== undefined && { begunAt },
    forkedFrom: original.workflowId,
    forkedAt: now,
  };
}

/** What the workflow of an id was forked from. */
async function originOf(store: Store, workflowId: string): Promise<string> {
  const record = await store.find(workflowId);
  const { forkedFrom } = record === undefined ? { forkedFrom: undefined } : await store.input(record);
  return forkedFrom === undefined ? "none" : `"${forkedFrom}"`;
}
