/**
 * The statements about queues: their limits, and which of the workflows that were put into them may begin.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import { joinLine, withdrawFromLine } from "./line_statements.ts";
import type { Seen, Takeover } from "./ownership.ts";
import { inputChecksum, versionColumn, type WorkflowInput } from "./rows.ts";
import { type CodeName, codesParam, createMissingInput } from "./workflow_statements.ts";

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
/** For how long after its period a slot is counted still: a claim that is committed late may have read the clock before. */
const PLACEMENTS_KEPT_MS = 60_000;

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

/** How many are counted, at most, that are before a workflow in its queue, and in how many lines they are looked for. */
const MAX_AHEAD = 1_000;
const MAX_LINES_AHEAD = 10_000;

/** How many are before a workflow that waits in its queue for its turn; as many at least, where these are a great many. */
export function selectAhead(workflow: number): Statement {
  return {
    sql: `SELECT count(*) AS ahead FROM (
        SELECT 1 FROM workflows w
        CROSS JOIN (
          SELECT l.line FROM lines l INDEXED BY lines_of_partition
          WHERE l.queue = (SELECT v.queue FROM workflows v WHERE v.workflow = ?) LIMIT ${MAX_LINES_AHEAD}) some
        CROSS JOIN workflows a INDEXED BY workflows_in_line
        WHERE w.workflow = ? AND a.line = some.line AND a.line IS NOT NULL AND a.status = 'pending'
          AND a.rank <= w.rank AND (a.rank < w.rank OR a.workflow < w.workflow)
        LIMIT ${MAX_AHEAD})`,
    params: [workflow, workflow],
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

/** Of some queues: how many of their workflows are under way, run in one process, and got a slot in their period, if that is limited. */
export function selectUsage(queues: readonly number[], executor: number, now: number): Statement {
  return {
    sql: `SELECT ${LIMITS},
        CASE WHEN q.concurrency IS NULL THEN 0 ELSE (${UNDER_WAY}) END AS under_way,
        CASE WHEN q.executor_concurrency IS NULL THEN 0 ELSE (${RUNS_HERE}) END AS runs_here,
        CASE WHEN q.rate_limit IS NULL THEN 0 ELSE (${BEGUN}) END AS begun,
        CASE WHEN q.rate_limit IS NULL THEN NULL ELSE (SELECT min(p.at) ${GIVEN}) END AS first_counted
      FROM json_each(?) s CROSS JOIN queues q ON q.queue = s.value`,
    params: [executor, now, now, now, now, JSON.stringify(queues)],
  };
}

const READY = "l.head_rank IS NOT NULL AND l.is_full = 0";

/**
 * The queues in which workflows of these codes may begin, as far as their partitions have room: one step through an index
 * for each code and each queue that is found, whatever else there is.
 */
export function selectReadyQueues(codes: readonly CodeName[]): Statement {
  const next = (name: string, version: string, after: string) =>
    `(SELECT l.queue FROM lines l INDEXED BY lines_ready
      WHERE l.name = ${name} AND l.version = ${version} AND ${READY}${after} ORDER BY l.queue LIMIT 1)`;
  return {
    sql: `WITH RECURSIVE found (name, version, queue) AS (
        SELECT c.value->>0, c.value->>1, ${next("c.value->>0", "c.value->>1", "")} FROM json_each(?) c
        UNION ALL
        SELECT f.name, f.version, ${
      next("f.name", "f.version", " AND l.queue > f.queue")
    } FROM found f WHERE f.queue IS NOT NULL)
      SELECT DISTINCT queue FROM found WHERE queue IS NOT NULL ORDER BY queue LIMIT ${MAX_QUEUES}`,
    params: [codesParam(codes)],
  };
}

/** Those of a queue's workflows of these codes that get a slot next: none of a partition that is full. */
export function selectCandidates(queue: number, codes: readonly CodeName[], limit: number): Statement {
  // Of each line no more than there may be of its partition: the least of many lines are found without reading the lines.
  return {
    sql: `SELECT w.workflow, w.workflow_id, w.name, w.version, w.rank, w.partition,
        CASE WHEN l.partition <> '' THEN q.partition_concurrency -
          (${UNDER_WAY} AND u.partition = l.partition) END AS partition_room
      FROM queues q CROSS JOIN json_each(?) c
      CROSS JOIN lines l ON l.line IN (
        SELECT r.line FROM lines r INDEXED BY lines_ready
        WHERE r.name = c.value->>0 AND r.version = c.value->>1 AND r.queue = q.queue
          AND r.head_rank IS NOT NULL AND r.is_full = 0 ORDER BY r.head_rank LIMIT ?)
      CROSS JOIN workflows w ON w.workflow IN (
        SELECT i.workflow FROM workflows i INDEXED BY workflows_in_line
        WHERE i.line = l.line AND i.line IS NOT NULL AND i.status = 'pending' ORDER BY i.rank, i.workflow LIMIT ?)
      WHERE q.queue = ? ORDER BY w.rank, w.workflow LIMIT ?`,
    params: [codesParam(codes), limit, limit, queue, limit],
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
  /**
   * None is put there where one with this key was put after `since`. What is later than `until` is of a clock that has been set
   * back since.
   */
  readonly throttle: { readonly key: string; readonly since: number; readonly until: number } | null;
}

const ENQUEUE =
  `INSERT INTO workflows (workflow_id, name, version, status, created_at, updated_at, due_at, queue, partition,
    ready_at, rank, deduplication_key, debounce_key, throttle_key)
  SELECT ?, ?, ?, ?, ?, ?, ?, q.queue, ?, ?, ? - ? * q.ageing_ms, ?, ?, ? FROM queues q
  WHERE q.name = ? AND q.depth < q.max_depth AND NOT EXISTS (
    SELECT 1 FROM workflows t WHERE t.queue = q.queue AND t.throttle_key = ? AND t.created_at > ? AND t.created_at <= ?)
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
        versionColumn(input),
        isDelayed ? "waiting" : "pending",
        createdAt,
        createdAt,
        isDelayed ? readyAt : null,
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
        throttle?.until ?? null,
      ],
    },
    createMissingInput(input),
    ...joinLine({ workflowId }),
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
      WHERE q.name = ? AND w.throttle_key = ? AND w.created_at > ? AND w.created_at <= ?
      ORDER BY precedence LIMIT 1`,
    params: [
      queue,
      deduplicationKey,
      queue,
      debounceKey,
      queue,
      throttle?.key ?? null,
      throttle?.since ?? null,
      throttle?.until ?? null,
    ],
  };
}

const POSTPONE =
  `UPDATE workflows SET status = 'waiting', due_at = ?, ready_at = ?, partition = ?, version = ?,
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
    ...withdrawFromLine(workflow),
    {
      sql: POSTPONE,
      params: [readyAt, readyAt, partition, versionColumn(input), readyAt, priority, now, workflow],
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
    ...joinLine(workflow),
  ];
}

/** Which of the results of {@linkcode postponeWorkflow} tells whether the workflow had not begun. */
export const POSTPONED_AT = withdrawFromLine(0).length;

const DUE_IN_QUEUES = `SELECT workflow FROM workflows INDEXED BY workflows_delayed
  WHERE line IS NOT NULL AND status = 'waiting' AND due_at IS NOT NULL AND due_at <= ? ORDER BY due_at LIMIT ?`;
const HEADS_OF_DUE = `UPDATE lines SET head_rank = d.least FROM (
    SELECT w.line AS line, min(w.rank) AS least FROM workflows w WHERE w.workflow IN (${DUE_IN_QUEUES}) GROUP BY w.line) d
  WHERE lines.line = d.line AND (lines.head_rank IS NULL OR lines.head_rank > d.least)`;

/** The workflows whose delay is over. */
export function selectDelayedDue(now: number, limit: number): Statement {
  return { sql: DUE_IN_QUEUES, params: [now, limit] };
}

/** Has the workflows whose delay is over wait for their turn. */
export function readyDelayed(now: number, limit: number): Statement[] {
  return [
    { sql: HEADS_OF_DUE, params: [now, limit] },
    {
      sql:
        `UPDATE workflows SET status = 'pending', due_at = NULL, updated_at = ? WHERE workflow IN (${DUE_IN_QUEUES})`,
      params: [now, now, limit],
    },
  ];
}

const CLAIM = `UPDATE workflows SET status = 'running', run = ?, executor = ?, recoveries = ?,
    recovered_completion = ?, updated_at = ?, due_at = NULL, placed = 1,
    begun_at = CASE WHEN placed = 1 THEN begun_at ELSE ? END
  WHERE workflow = ? AND status = ? AND run IS ? AND NOT EXISTS (
      SELECT 1 FROM executors e WHERE e.executor = workflows.executor AND e.executor <> ? AND e.lease_until > ?
        AND e.lease_until IS NOT ?)
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
  const { run, executor, recoveries, recoveredCompletion, now, overLease = null } = takeover;
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
      overLease,
      executor,
      now,
      now,
    ],
  };
}

const FORGET_PLACEMENTS = `DELETE FROM placements
  WHERE queue = (SELECT w.queue FROM workflows w WHERE w.workflow = ? AND w.placed = 1 AND w.begun_at = ?)
    AND at <= ? - ${PLACEMENTS_KEPT_MS} - (SELECT q.rate_period_ms FROM queues q WHERE q.queue = placements.queue)`;
const NOTE_PLACEMENT = `INSERT INTO placements (queue, at)
  SELECT q.queue, w.begun_at FROM workflows w JOIN queues q ON q.queue = w.queue
  WHERE w.workflow = ? AND w.run = ? AND w.placed = 1 AND w.begun_at = ? AND q.rate_limit IS NOT NULL`;

/**
 * Counts the slot that a workflow was given, where its queue has a rate; for a batch that has given it one.
 *
 * @param run the run that has it, or had it last
 */
export function notePlacement(workflow: number, run: number, now: number): Statement[] {
  return [
    { sql: FORGET_PLACEMENTS, params: [workflow, now, now] },
    { sql: NOTE_PLACEMENT, params: [workflow, run, now] },
  ];
}

const PLACE = `UPDATE workflows SET placed = 1, begun_at = ?, status = 'pending', due_at = NULL
  WHERE workflow = ? AND queue IS NOT NULL AND placed IS NULL AND status IN ('pending', 'waiting') AND run IS ?`;

/** Gives a workflow that has begun its place, whatever the limits: it is cancelled, and its steps are to be undone. */
export function placeCancelled({ workflow, run }: Seen, now: number): Statement {
  return { sql: PLACE, params: [now, workflow, run] };
}
