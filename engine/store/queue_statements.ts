/**
 * The statements about queues: their limits, and which of the workflows that were put into them may begin.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import type { Seen, Takeover } from "./ownership.ts";
import { codeText, inputChecksum, type WorkflowInput } from "./rows.ts";
import { createMissingInput } from "./workflow_statements.ts";

/** The limits of a queue; null is none. */
export interface QueueLimits {
  readonly concurrency: number | null;
  readonly executorConcurrency: number | null;
  readonly partitionConcurrency: number | null;
  readonly rate: { readonly limit: number; readonly periodMs: number } | null;
  readonly maxDepth: number;
  readonly ageingMs: number;
}

/** How many queues there may be. */
export const MAX_QUEUES = 1_000;

const IS_ROOM =
  `((SELECT count(*) FROM queues) < ${MAX_QUEUES} OR EXISTS (SELECT 1 FROM queues WHERE name = ?))`;
const ENSURE = `INSERT INTO queues (name, max_depth, ageing_ms) SELECT ?, ?, ? WHERE ${IS_ROOM}
  ON CONFLICT (name) DO NOTHING`;

/** Makes a queue, if there is none of this name and room for one. */
export function ensureQueue(name: string, { maxDepth, ageingMs }: QueueLimits): Statement {
  return { sql: ENSURE, params: [name, maxDepth, ageingMs, name] };
}

const DEFINE =
  `INSERT INTO queues (name, concurrency, executor_concurrency, partition_concurrency, rate_limit,
    rate_period_ms, max_depth, ageing_ms)
  SELECT ?, ?, ?, ?, ?, ?, ?, ? WHERE ${IS_ROOM}
  ON CONFLICT (name) DO UPDATE SET concurrency = excluded.concurrency,
    executor_concurrency = excluded.executor_concurrency, partition_concurrency = excluded.partition_concurrency,
    rate_limit = excluded.rate_limit, rate_period_ms = excluded.rate_period_ms, max_depth = excluded.max_depth,
    ageing_ms = excluded.ageing_ms`;
const LET_IN =
  `UPDATE workflows SET held = NULL WHERE held = 1 AND status = 'pending' AND partition IS NOT NULL
  AND queue = (SELECT queue FROM queues WHERE name = ?)`;
const HOLD = `UPDATE workflows SET held = 1 WHERE workflow IN (
    SELECT workflow FROM (
      SELECT w.workflow, row_number() OVER (PARTITION BY w.partition, w.code ORDER BY w.rank, w.workflow) AS place
      FROM workflows w WHERE w.partition IS NOT NULL AND w.status = 'pending' AND w.placed IS NULL
        AND w.queue = (SELECT queue FROM queues WHERE name = ?))
    WHERE place > (SELECT partition_concurrency FROM queues WHERE name = ?))`;

/** Gives a queue its limits. It is made if there is none of this name and room for one. */
export function defineQueue(name: string, limits: QueueLimits): Statement {
  const { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth, ageingMs } = limits;
  return {
    sql: DEFINE,
    params: [
      name,
      concurrency,
      executorConcurrency,
      partitionConcurrency,
      rate?.limit ?? null,
      rate?.periodMs ?? null,
      maxDepth,
      ageingMs,
      name,
    ],
  };
}

/** Has as many of each partition of a queue be candidates as its limits say now. */
export function orderPartitions(name: string): Statement[] {
  return [{ sql: LET_IN, params: [name] }, { sql: HOLD, params: [name, name] }];
}

/** Has none of a queue's workflows get a place. @param at since when; null to go on */
export function pauseQueue(name: string, at: number | null): Statement {
  return { sql: "UPDATE queues SET paused_at = ? WHERE name = ?", params: [at, name] };
}

const LIMITS = `q.queue, q.name, q.concurrency, q.executor_concurrency, q.partition_concurrency, q.rate_limit,
  q.rate_period_ms, q.max_depth, q.ageing_ms, q.paused_at, q.depth`;
const UNDER_WAY =
  "SELECT count(*) FROM workflows u INDEXED BY workflows_placed WHERE u.placed = 1 AND u.queue = q.queue";
const RUNS_HERE = `SELECT count(*) FROM workflows h INDEXED BY workflows_running
  WHERE h.status = 'running' AND h.executor = ? AND h.queue = q.queue`;
/**
 * The places of a period that is not over. Who commits later may have looked at the clock before; but what is further ahead
 * is of a clock that has been set back.
 */
const GIVEN = `FROM placements p INDEXED BY placements_in_order
  WHERE p.queue = q.queue AND p.at > ? - q.rate_period_ms AND p.at <= ? + q.rate_period_ms`;
const BEGUN = `SELECT count(*) ${GIVEN}`;

/** A queue, if there is one of this name; what is under way of it is not counted. */
export function selectQueue(name: string): Statement {
  return { sql: `SELECT ${LIMITS}, 0 AS under_way FROM queues q WHERE q.name = ?`, params: [name] };
}

/** A queue by its short key, likewise. */
export function selectQueueByKey(queue: number): Statement {
  return {
    sql: `SELECT ${LIMITS}, 0 AS under_way FROM queues q WHERE q.queue = ?`,
    params: [queue],
  };
}

/** How many are before a workflow that waits in its queue for its turn. */
export function selectAhead(workflow: number): Statement {
  return {
    sql: `SELECT count(*) AS ahead FROM workflows w JOIN workflows a ON a.queue = w.queue
      WHERE w.workflow = ? AND a.status = 'pending' AND a.placed IS NULL
        AND (a.rank, a.workflow) < (w.rank, w.workflow)`,
    params: [workflow],
  };
}

/** Which of the limits of its queue keep a workflow from a place now, 1 for each that does. */
export function selectLimitsOn(workflow: number, now: number): Statement {
  return {
    sql: `SELECT q.paused_at IS NOT NULL AS paused,
        q.concurrency IS NOT NULL AND (${UNDER_WAY}) >= q.concurrency AS concurrency,
        w.partition IS NOT NULL AND q.partition_concurrency IS NOT NULL AND
          (${UNDER_WAY} AND u.partition = w.partition) >= q.partition_concurrency AS partition,
        q.rate_limit IS NOT NULL AND (${BEGUN}) >= q.rate_limit AS rate
      FROM workflows w JOIN queues q ON q.queue = w.queue WHERE w.workflow = ?`,
    params: [now, now, workflow],
  };
}

/** The queues, by their names. */
export function selectQueues(): Statement {
  return {
    sql: `SELECT ${LIMITS}, (${UNDER_WAY}) AS under_way FROM queues q ORDER BY q.name LIMIT ${MAX_QUEUES}`,
    params: [],
  };
}

/** Of each queue: how many of its workflows are under way, run in one process, and got a place in its period, if that is limited. */
export function selectUsage(executor: number, now: number): Statement {
  return {
    sql: `SELECT ${LIMITS},
        CASE WHEN q.concurrency IS NULL THEN 0 ELSE (${UNDER_WAY}) END AS under_way,
        CASE WHEN q.executor_concurrency IS NULL THEN 0 ELSE (${RUNS_HERE}) END AS runs_here,
        CASE WHEN q.rate_limit IS NULL THEN 0 ELSE (${BEGUN}) END AS begun,
        CASE WHEN q.rate_limit IS NULL THEN NULL ELSE (SELECT min(p.at) ${GIVEN}) END AS first_counted
      FROM queues q ORDER BY q.queue LIMIT ${MAX_QUEUES}`,
    params: [executor, now, now, now, now],
  };
}

/** Those of a queue's workflows of one code that get a place next: none of a partition that is full. */
export function selectCandidates(
  queue: number,
  code: { name: string; version?: string },
  limit: number,
): Statement {
  return {
    sql: `SELECT w.workflow_id, w.name, w.rank FROM workflows w INDEXED BY workflows_in_line
      JOIN queues q ON q.queue = w.queue
      WHERE w.queue = ? AND w.code = ? AND w.status = 'pending' AND w.placed IS NULL AND w.held IS NULL
        AND (w.partition IS NULL OR q.partition_concurrency IS NULL OR
          (${UNDER_WAY} AND u.partition = w.partition) < q.partition_concurrency)
      ORDER BY w.rank, w.workflow LIMIT ?`,
    params: [queue, codeText(code), limit],
  };
}

/** Where a workflow is put in a queue. */
export interface Placing {
  readonly queue: string;
  /** When it may begin at the earliest. */
  readonly readyAt: number;
  readonly priority: number;
  readonly partition: string | null;
  readonly deduplicationKey: string | null;
  readonly debounceKey: string | null;
  /** None is put there where one with this key was put since a certain time. */
  readonly throttle: { readonly key: string; readonly since: number } | null;
}

const ENQUEUE =
  `INSERT INTO workflows (workflow_id, name, status, created_at, updated_at, due_at, queue, code, partition,
    ready_at, rank, deduplication_key, debounce_key, throttle_key)
  SELECT ?, ?, ?, ?, ?, ?, q.queue, ?, ?, ?, ? - ? * q.ageing_ms, ?, ?, ? FROM queues q
  WHERE q.name = ? AND q.depth < q.max_depth AND NOT EXISTS (
    SELECT 1 FROM workflows t WHERE t.queue = q.queue AND t.throttle_key = ? AND t.created_at > ?)
  ON CONFLICT DO NOTHING`;

/** Makes a workflow that waits in a queue for its turn; changes nothing where its id or a key is taken, or the queue full. */
export function enqueueWorkflow(input: WorkflowInput, placing: Placing): Statement[] {
  const { workflowId, name, createdAt } = input;
  const { queue, readyAt, priority, partition, deduplicationKey, debounceKey, throttle } = placing;
  const isDelayed = readyAt > createdAt;
  return [
    {
      sql: ENQUEUE,
      params: [
        workflowId,
        name,
        isDelayed ? "waiting" : "pending",
        createdAt,
        createdAt,
        isDelayed ? readyAt : null,
        codeText(input),
        partition,
        readyAt,
        readyAt,
        priority,
        deduplicationKey,
        debounceKey,
        throttle?.key ?? null,
        queue,
        throttle?.key ?? null,
        throttle?.since ?? null,
      ],
    },
    createMissingInput(input),
  ];
}

/** The workflow that stands for all with one of these keys, if there is one. */
export function selectStandIn({ queue, deduplicationKey, debounceKey, throttle }: Placing): Statement {
  return {
    sql: `SELECT w.workflow_id, w.name, 1 AS precedence FROM workflows w JOIN queues q ON q.queue = w.queue
      WHERE q.name = ? AND w.deduplication_key = ? AND w.status IN ('pending', 'running', 'waiting', 'blocked')
      UNION ALL
      SELECT w.workflow_id, w.name, 2 FROM workflows w JOIN queues q ON q.queue = w.queue
      WHERE q.name = ? AND w.debounce_key = ? AND w.status IN ('pending', 'waiting') AND w.run IS NULL
      UNION ALL
      SELECT w.workflow_id, w.name, 3 FROM workflows w JOIN queues q ON q.queue = w.queue
      WHERE q.name = ? AND w.throttle_key = ? AND w.created_at > ?
      ORDER BY precedence LIMIT 1`,
    params: [
      queue,
      deduplicationKey,
      queue,
      debounceKey,
      queue,
      throttle?.key ?? null,
      throttle?.since ?? null,
    ],
  };
}

const POSTPONE = `UPDATE workflows SET status = 'waiting', due_at = ?, ready_at = ?, partition = ?, code = ?,
    rank = ? - ? * (SELECT q.ageing_ms FROM queues q WHERE q.queue = workflows.queue), updated_at = ?
  WHERE workflow = ? AND run IS NULL AND status IN ('pending', 'waiting')`;
const REPLACE_INPUT =
  `UPDATE inputs SET input_json = ?, version = ?, deadline_at = ?, unchecked = ?, checksum = ?
  WHERE workflow = ? AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run IS NULL AND w.status IN ('pending', 'waiting'))`;

/** Puts off a workflow that has not begun, and gives it another input, priority and partition. */
export function postponeWorkflow(
  workflow: number,
  input: WorkflowInput,
  { readyAt, priority, partition, now }: Pick<Placing, "readyAt" | "priority" | "partition"> & {
    now: number;
  },
): Statement[] {
  const { inputJson, version = null, deadlineAt = null, unchecked = false } = input;
  return [
    {
      sql: POSTPONE,
      params: [readyAt, readyAt, partition, codeText(input), readyAt, priority, now, workflow],
    },
    {
      sql: REPLACE_INPUT,
      params: [
        inputJson,
        version,
        deadlineAt,
        Number(unchecked),
        inputChecksum(input),
        workflow,
        workflow,
      ],
    },
  ];
}

const DUE_IN_QUEUES = `SELECT workflow FROM workflows INDEXED BY workflows_due
  WHERE status = 'waiting' AND due_at IS NOT NULL AND due_at <= ? AND queue IS NOT NULL AND run IS NULL LIMIT ?`;

/** The workflows whose delay is over. */
export function selectDelayedDue(now: number, limit: number): Statement {
  return { sql: DUE_IN_QUEUES, params: [now, limit] };
}

/** Has the workflows whose delay is over wait for their turn. */
export function readyDelayed(now: number, limit: number): Statement {
  return {
    sql:
      `UPDATE workflows SET status = 'pending', due_at = NULL, updated_at = ? WHERE workflow IN (${DUE_IN_QUEUES})`,
    params: [now, now, limit],
  };
}

const CLAIM = `UPDATE workflows SET status = 'running', run = ?, executor = ?, recoveries = ?,
    recovered_completion = ?, updated_at = ?, due_at = NULL, placed = 1,
    begun_at = CASE WHEN placed = 1 THEN begun_at ELSE ? END
  WHERE workflow = ? AND status = ? AND run IS ? AND NOT EXISTS (
      SELECT 1 FROM executors e WHERE e.executor = workflows.executor AND e.executor <> ? AND e.lease_until > ?)
    AND EXISTS (
      SELECT 1 FROM queues q WHERE q.queue = workflows.queue
        AND (q.executor_concurrency IS NULL OR (${RUNS_HERE} AND h.workflow <> workflows.workflow)
          < q.executor_concurrency)
        AND (workflows.placed = 1 OR q.paused_at IS NULL
          AND (q.concurrency IS NULL OR (${UNDER_WAY}) < q.concurrency)
          AND (workflows.partition IS NULL OR q.partition_concurrency IS NULL OR
            (${UNDER_WAY} AND u.partition = workflows.partition) < q.partition_concurrency)
          AND (q.rate_limit IS NULL OR (${BEGUN}) < q.rate_limit)))`;

/** Takes over a workflow of a queue, as {@linkcode claimWorkflow} does, if the limits of the queue leave it a place. */
export function claimPlace(seen: Seen, takeover: Takeover): Statement {
  const { run, executor, recoveries, recoveredCompletion, now } = takeover;
  return {
    sql: CLAIM,
    params: [
      run,
      executor,
      recoveries,
      recoveredCompletion,
      now,
      now,
      seen.workflow,
      seen.status,
      seen.run,
      executor,
      now,
      executor,
      now,
      now,
    ],
  };
}

const PLACE = `UPDATE workflows SET placed = 1, begun_at = ?
  WHERE workflow = ? AND queue IS NOT NULL AND placed IS NULL AND status = 'pending' AND run IS ?`;

/** Gives a workflow that has begun its place, whatever the limits: it is cancelled, and its steps are to be undone. */
export function placeCancelled({ workflow, run }: Seen, now: number): Statement {
  return { sql: PLACE, params: [now, workflow, run] };
}
