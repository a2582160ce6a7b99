import type { Database, Row } from "./database.ts";
import { orderLines } from "./line_statements.ts";
import * as statements from "./queue_statements.ts";
import type { Placing, QueueLimits } from "./queue_statements.ts";
import { readReady, type ReadyWorkflow } from "./records.ts";
import { findWrongInteger, type IntegerColumns, type WorkflowInput } from "./rows.ts";
import type { CodeName } from "./workflow_statements.ts";

/** A queue as the store has it. */
export interface QueueRecord extends QueueLimits {
  readonly queue: number;
  readonly name: string;
  /** Since when none of its workflows gets a place; null while they do. */
  readonly pausedAt: number | null;
  /** How many are in line for a place. */
  readonly depth: number;
  /** How many have their place; 0 where it was not counted. */
  readonly underWay: number;
}

/** What a queue has room for, in one process. */
export interface QueueRoom {
  readonly queue: number;
  readonly name: string;
  /** How many more may get a slot. */
  readonly slots: number;
  /** How many more may run in this process. */
  readonly here: number;
  /** When one more may get a slot by its rate, where that is what keeps it; undefined otherwise. */
  readonly opensAt: number | undefined;
  /** What of its row cannot be used as it is, if something cannot: it has no room then. */
  readonly wrong: string | undefined;
}

/** How many workflows whose delay is over are put in line at a time. */
const PAGE = 1_000;

/** The queues of a store, in the engine's words; what may change is fenced in the statements. */
export class Queues {
  constructor(private readonly database: Database) {}

  /** Gives a queue its limits. It is made if there is none of this name. @returns whether there was room for it */
  async define(name: string, limits: QueueLimits): Promise<boolean> {
    const found = await this.find(name);
    if (found !== undefined && isSame(found, limits)) return true;
    const batch = [statements.defineQueue(name, limits)];
    // Who waits is looked through only where it matters: there may be very many.
    if (found !== undefined && found.partitionConcurrency !== limits.partitionConcurrency) {
      batch.push(...orderLines(name));
    }
    return (await this.database.write(batch))[0] === 1;
  }

  /** The queue of a name; what is under way of it is not counted. */
  async find(name: string): Promise<QueueRecord | undefined> {
    const [row] = await this.database.read(statements.selectQueue(name));
    return row && readQueue(row);
  }

  /** The queue of a short key, likewise. */
  async byKey(queue: number): Promise<QueueRecord | undefined> {
    const [row] = await this.database.read(statements.selectQueueByKey(queue));
    return row && readQueue(row);
  }

  /** How many are before a workflow that waits in its queue for its turn. */
  async countAhead(workflow: number): Promise<number> {
    const [row] = await this.database.read(statements.selectAhead(workflow));
    return row!.ahead as number;
  }

  /** Which limit of its queue keeps a workflow from a place now, if one does. */
  async limitOn(
    workflow: number,
    now: number,
  ): Promise<"paused" | "concurrency" | "partition" | "rate" | undefined> {
    const [row] = await this.database.read(statements.selectLimitsOn(workflow, now));
    return (["paused", "concurrency", "partition", "rate"] as const).find((limit) => row?.[limit] === 1);
  }

  /** The queues, by their names. */
  async list(): Promise<QueueRecord[]> {
    return (await this.database.read(statements.selectQueues())).map(readQueue);
  }

  /** Has none of a queue's workflows get a place, or again some. @param at since when; null to go on. @returns whether there is one */
  async pause(name: string, at: number | null): Promise<boolean> {
    return (await this.database.write([statements.pauseQueue(name, at)]))[0] === 1;
  }

  /**
   * Puts a workflow into a queue.
   *
   * @param limits those of the queue, where it has to be made
   * @returns whether it was: not if its id or one of its keys is taken, or the queue is full
   */
  async enqueue(input: WorkflowInput, placing: Placing, limits: QueueLimits): Promise<boolean> {
    const batch = [
      statements.ensureQueue(placing.queue, limits),
      ...statements.enqueueWorkflow(input, placing),
    ];
    return (await this.database.write(batch))[1] === 1;
  }

  /** The workflow that stands for all with one of these keys, if there is one. */
  async standIn(placing: Placing): Promise<{ workflowId: string; name: string } | undefined> {
    const [row] = await this.database.read(statements.selectStandIn(placing));
    return row && { workflowId: String(row.workflow_id), name: String(row.name) };
  }

  /** Puts off a workflow that has not begun, and gives it another input, priority and partition. @returns whether it had not */
  async postpone(
    workflow: number,
    input: WorkflowInput,
    placing: Pick<Placing, "readyAt" | "priority" | "partition"> & { now: number },
  ): Promise<boolean> {
    const results = await this.database.write(statements.postponeWorkflow(workflow, input, placing));
    return results[statements.POSTPONED_AT] === 1;
  }

  /** Has the workflows whose delay is over wait for their turn. */
  async readyDelayed(now: number): Promise<void> {
    for (let more = true; more;) {
      more = (await this.database.read(statements.selectDelayedDue(now, PAGE))).length > 0;
      if (more) await this.database.write(statements.readyDelayed(now, PAGE));
    }
  }

  /** The queues in which workflows of these codes may begin, as far as their partitions have room. */
  async ready(codes: readonly CodeName[]): Promise<number[]> {
    const rows = await this.database.read(statements.selectReadyQueues(codes));
    return rows.map((row) => row.queue as number);
  }

  /** What some queues have room for in a process. */
  async room(queues: readonly number[], executor: number, now: number): Promise<QueueRoom[]> {
    if (queues.length === 0) return [];
    const rows = await this.database.read(statements.selectUsage(queues, executor, now));
    return rows.map((row) => roomOf(row));
  }

  /** The workflows of these codes that get a slot next in a queue, in their order. @param limit how many, at most */
  async candidates(queue: number, codes: readonly CodeName[], limit: number): Promise<ReadyWorkflow[]> {
    const rows = await this.database.read(statements.selectCandidates(queue, codes, limit));
    return rows.map((row) => readReady({ ...row, queue }));
  }
}

function isSame(found: QueueLimits, limits: QueueLimits): boolean {
  const { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth, ageingMs } = limits;
  return found.concurrency === concurrency && found.executorConcurrency === executorConcurrency &&
    found.partitionConcurrency === partitionConcurrency && found.maxDepth === maxDepth &&
    found.ageingMs === ageingMs && found.rate?.limit === rate?.limit &&
    found.rate?.periodMs === rate?.periodMs;
}

function readQueue(row: Row): QueueRecord {
  return {
    queue: row.queue as number,
    name: String(row.name),
    concurrency: row.concurrency as number | null,
    executorConcurrency: row.executor_concurrency as number | null,
    partitionConcurrency: row.partition_concurrency as number | null,
    rate: row.rate_limit === null
      ? null
      : { limit: row.rate_limit as number, periodMs: row.rate_period_ms as number },
    maxDepth: row.max_depth as number,
    ageingMs: row.ageing_ms as number,
    pausedAt: row.paused_at as number | null,
    depth: row.depth as number,
    underWay: row.under_way as number,
  };
}

/** What the columns of a queue may hold. */
const QUEUE_COLUMNS: IntegerColumns = {
  integers: [
    "queue",
    "concurrency",
    "executor_concurrency",
    "partition_concurrency",
    "rate_limit",
    "rate_period_ms",
    "max_depth",
    "ageing_ms",
    "depth",
  ],
  times: ["paused_at"],
};

function roomOf(row: Row): QueueRoom {
  const wrong = findWrongInteger(row, QUEUE_COLUMNS);
  if (wrong !== undefined) {
    const [queue, name] = [row.queue as number, String(row.name)];
    return { queue, name, slots: 0, here: 0, opensAt: undefined, wrong };
  }
  const { queue, name, concurrency, executorConcurrency, rate, underWay, pausedAt } = readQueue(row);
  const byRate = rate === null ? Infinity : rate.limit - (row.begun as number);
  const byConcurrency = concurrency === null ? Infinity : concurrency - underWay;
  return {
    queue,
    name,
    slots: pausedAt === null ? Math.min(byConcurrency, byRate) : 0,
    here: executorConcurrency === null ? Infinity : executorConcurrency - (row.runs_here as number),
    opensAt: byRate > 0 ? undefined : row.first_counted as number + rate!.periodMs,
    wrong,
  };
}
