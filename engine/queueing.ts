import type { Clock } from "./clock.ts";
import { type EnqueueOptions, enqueueWorkflow } from "./enqueue.ts";
import { LimitExceededError, QueueNotFoundError } from "./errors.ts";
import { completeLimits, type Queue, queueName } from "./queue.ts";
import type { RandomSource } from "./random.ts";
import type { Database } from "./store/database.ts";
import { MAX_QUEUES } from "./store/queue_statements.ts";
import { type QueueRecord, Queues } from "./store/queues.ts";
import type { Store } from "./store/store.ts";
import type { Workflow } from "./workflow.ts";

/** A queue, in a list. */
export interface QueueSummary {
  /** By which it is known. */
  readonly name: string;
  /** How many of its workflows wait to begin. */
  readonly depth: number;
  /** How many are under way: have begun and not ended, and are not blocked. */
  readonly underWay: number;
  /** Since when none begins; undefined while they do. */
  readonly pausedAt?: Date;
  /** How many are under way at a time; undefined for any number, likewise below. */
  readonly concurrency?: number;
  /** How many of them run in one process. */
  readonly executorConcurrency?: number;
  /** How many of them are under way of one partition. */
  readonly partitionConcurrency?: number;
  /** How many begin in any span of a length. */
  readonly rate?: { readonly limit: number; readonly periodMs: number };
  /** How many may wait to begin. */
  readonly maxDepth: number;
  /** Who has waited for so much longer is equal to one of the next higher priority. */
  readonly ageingMs: number;
}

/**
 * An engine's side of the queues: what is put into them, and their limits.
 *
 * Owns: which definitions it has stored. Does not own: what begins when (worker.ts), and that the limits hold (the
 * statement by which a workflow is claimed).
 */
export class Queueing {
  /** For the worker. */
  readonly queues: Queues;
  readonly #defined = new WeakMap<Queue, Promise<void>>();

  constructor(
    private readonly options: {
      database: Database;
      store: Store;
      clock: Clock;
      random: RandomSource;
      maxValueBytes: number;
      /** Tells who works here of a workflow. */
      told: (workflowId: string) => void;
      /** Has who works here look for more to do. */
      look: () => void;
    },
  ) {
    this.queues = new Queues(options.database);
  }

  /** See `engine.enqueue()`. @returns the id of the workflow that stands for it */
  async enqueue<I>(workflow: Workflow<I> | string, options: EnqueueOptions<I>): Promise<string> {
    const host = { ...this.options, queues: this.queues, define: (queue: Queue) => this.define(queue) };
    const id = await enqueueWorkflow(host, workflow, options);
    this.options.told(id);
    return id;
  }

  /** Stores the limits of a queue, once. @throws {LimitExceededError} if there are too many queues */
  define(queue: Queue): Promise<void> {
    let defined = this.#defined.get(queue);
    if (defined === undefined) {
      defined = this.#define(queue).catch((error) => {
        this.#defined.delete(queue);
        throw error;
      });
      this.#defined.set(queue, defined);
    }
    return defined;
  }

  async #define(queue: Queue): Promise<void> {
    const { name } = queue;
    if (await this.queues.define(name, completeLimits(queue))) return this.options.look();
    throw new LimitExceededError("queues", MAX_QUEUES, `make queue "${name}"`);
  }

  /** See `engine.queues()`. */
  async list(): Promise<QueueSummary[]> {
    return (await this.queues.list()).map(summarize);
  }

  /** See `engine.pauseQueue()` and `engine.resumeQueue()`. */
  async pause(given: Queue | string, isPaused: boolean): Promise<void> {
    const name = queueName(given);
    if (typeof given === "object") await this.define(given);
    if (!await this.queues.pause(name, isPaused ? this.options.clock.now() : null)) {
      throw new QueueNotFoundError(name, this.options.store.location);
    }
    this.options.look();
  }
}

function summarize(record: QueueRecord): QueueSummary {
  const { name, depth, underWay, pausedAt, rate, maxDepth, ageingMs } = record;
  const { concurrency, executorConcurrency, partitionConcurrency } = record;
  return {
    name,
    depth,
    underWay,
    ...pausedAt !== null && { pausedAt: new Date(pausedAt) },
    ...concurrency !== null && { concurrency },
    ...executorConcurrency !== null && { executorConcurrency },
    ...partitionConcurrency !== null && { partitionConcurrency },
    ...rate !== null && { rate },
    maxDepth,
    ageingMs,
  };
}
