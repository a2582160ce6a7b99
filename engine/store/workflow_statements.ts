/**
 * The statements about workflows. Each write that a run makes names, in its own `WHERE`, the run that must own the
 * workflow for it to have an effect (the fence): the number of changed rows tells whether it had.
 *
 * @module
 */

import type { SqlValue, Statement } from "./database.ts";
import { hasOwnKey, type Ownership, type Seen, type Takeover } from "./ownership.ts";
import {
  inputChecksum,
  outcomeChecksum,
  versionColumn,
  WORKFLOW_STATUSES,
  type WorkflowInput,
  type WorkflowOutcome,
  type WorkflowStatus,
} from "./rows.ts";
import { rows, several } from "./several.ts";

const CREATE_WORKFLOW =
  `INSERT INTO workflows (workflow_id, name, version, status, run, executor, created_at, updated_at)
  VALUES (?, ?, ?, 'running', ?, ?, ?, ?) ON CONFLICT (workflow_id) DO NOTHING`;
const CREATE_INPUT =
  `INSERT INTO inputs (workflow, seed, input_json, version, deadline_at, parent_id, detached, checksum)
  SELECT workflow, ?, ?, ?, ?, ?, ?, ? FROM workflows WHERE workflow_id = ? AND run = ? AND status = 'running'`;

/** {@linkcode CREATE_WORKFLOW} and {@linkcode CREATE_INPUT} for several rows. */
const createWorkflows = several((count) =>
  `INSERT INTO workflows (workflow_id, name, version, status, run, executor, created_at, updated_at)
  VALUES ${rows(count, "(?, ?, ?, 'running', ?, ?, ?, ?)")} ON CONFLICT (workflow_id) DO NOTHING`
);
const createInputs = several((count) =>
  `INSERT INTO inputs (workflow, seed, input_json, version, deadline_at, parent_id, detached, checksum)
  SELECT w.workflow, v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7
  FROM (VALUES ${rows(count, "(?, ?, ?, ?, ?, ?, ?, ?, ?)")}) v CROSS JOIN workflows w
  WHERE w.workflow_id = v.column8 AND w.run = v.column9 AND w.status = 'running'`
);

/** Makes a workflow that this run owns, and gives its short key; changes nothing where the id is taken. */
export function createWorkflow(input: WorkflowInput, run: number, executor: number): Statement[] {
  const { workflowId, name, createdAt } = input;
  return [
    {
      sql: CREATE_WORKFLOW,
      params: [workflowId, name, versionColumn(input), run, executor, createdAt, createdAt],
      givesKey: true,
      several: createWorkflows,
    },
    {
      sql: CREATE_INPUT,
      params: [...inputColumns(input), workflowId, run],
      several: createInputs,
    },
  ];
}

function inputColumns(input: WorkflowInput): SqlValue[] {
  const { seed, inputJson, version = null, deadlineAt = null, parentId = null, detached = false } = input;
  return [seed, inputJson, version, deadlineAt, parentId, Number(detached), inputChecksum(input)];
}

const CREATE_CHILD = `INSERT INTO workflows (workflow_id, name, version, status, created_at, updated_at)
  SELECT ?, ?, ?, 'pending', ?, ? FROM workflows WHERE workflow = ? AND run = ? AND status = 'running'
  ON CONFLICT (workflow_id) DO NOTHING`;
const CREATE_MISSING_INPUT =
  `INSERT INTO inputs (workflow, seed, input_json, version, deadline_at, parent_id, detached, checksum, unchecked)
  SELECT w.workflow, ?, ?, ?, ?, ?, ?, ?, ? FROM workflows w
  WHERE w.workflow_id = ? AND NOT EXISTS (SELECT 1 FROM inputs i WHERE i.workflow = w.workflow)`;

/** Writes what a workflow is started with that was made in the same batch; changes nothing where its id was taken. */
export function createMissingInput(input: WorkflowInput): Statement {
  const { workflowId, unchecked = false } = input;
  return { sql: CREATE_MISSING_INPUT, params: [...inputColumns(input), Number(unchecked), workflowId] };
}

/** Makes a workflow that nobody runs yet, for the run that is to wait for it; changes nothing where the id is taken. */
export function createChild(owner: Ownership, input: WorkflowInput): Statement[] {
  const { workflowId, name, createdAt } = input;
  return [
    {
      sql: CREATE_CHILD,
      params: [workflowId, name, versionColumn(input), createdAt, createdAt, owner.workflow, owner.run],
    },
    createMissingInput(input),
  ];
}

const CREATE_PENDING = `INSERT INTO workflows (workflow_id, name, version, status, created_at, updated_at)
  VALUES (?, ?, ?, 'pending', ?, ?) ON CONFLICT (workflow_id) DO NOTHING`;

/** Makes a workflow that nobody runs yet; changes nothing where the id is taken. */
export function createPending(input: WorkflowInput): Statement[] {
  const { workflowId, name, createdAt } = input;
  return [
    { sql: CREATE_PENDING, params: [workflowId, name, versionColumn(input), createdAt, createdAt] },
    createMissingInput(input),
  ];
}

const CLAIM = `UPDATE workflows SET status = 'running', run = ?, executor = ?, recoveries = ?,
    recovered_completion = ?, updated_at = ?, due_at = NULL
  WHERE workflow = ? AND status = ? AND run IS ? AND NOT EXISTS (
    SELECT 1 FROM executors e WHERE e.executor = workflows.executor AND e.executor <> ? AND e.lease_until > ?
      AND e.lease_until IS NOT ?)`;

/** Takes a workflow over, if it is still as it was seen and nobody with a lease owns it. */
export function claimWorkflow(seen: Seen, takeover: Takeover): Statement {
  const { run, executor, recoveries, recoveredCompletion, now, overLease = null } = takeover;
  return {
    sql: CLAIM,
    params: [
      run,
      executor,
      recoveries,
      recoveredCompletion,
      now,
      seen.workflow,
      seen.status,
      seen.run,
      executor,
      now,
      overLease,
    ],
  };
}

const BLOCK_UNOWNED =
  `UPDATE workflows SET status = 'blocked', executor = NULL, due_at = NULL, placed = NULL, updated_at = ?, error_json = ?,
    checksum = ?, debounce_key = NULL
  WHERE workflow = ? AND status = ? AND run IS ?`;

/** Blocks a workflow that nobody runs, if it is still as it was seen. */
export function blockUnowned(seen: Seen, workflowId: string, outcome: WorkflowOutcome): Statement {
  return {
    sql: BLOCK_UNOWNED,
    params: [
      outcome.at,
      outcome.errorJson,
      outcomeChecksum(workflowId, outcome),
      seen.workflow,
      seen.status,
      seen.run,
    ],
  };
}

const PARK = `UPDATE workflows SET status = 'waiting', executor = NULL, due_at = ?, updated_at = ?
  WHERE workflow = ? AND run = ? AND status = 'running' AND NOT EXISTS (
    SELECT 1 FROM json_each(?) t CROSS JOIN messages m INDEXED BY messages_kept
    WHERE m.workflow_id = workflows.workflow_id AND m.topic = t.value AND m.consumed IS NULL)`;

/**
 * Ends the run, and leaves the workflow waiting, unless a message is there that it would wait for.
 *
 * @param wait.dueAt when to look at it again, whatever comes; null for never
 * @param wait.topics the topics of the messages that it waits for
 */
export function parkWorkflow(
  { workflow, run }: Ownership,
  wait: { dueAt: number | null; topics: readonly string[]; now: number },
): Statement {
  return {
    sql: PARK,
    params: [wait.dueAt, wait.now, workflow, run, JSON.stringify(wait.topics)],
  };
}

/** A workflow's code: that of its name, and of the version it was started with. */
export interface CodeName {
  readonly name: string;
  readonly version?: string;
}

/** Names and versions of code, as a parameter. */
export function codesParam(codes: readonly CodeName[]): string {
  return JSON.stringify(codes.map((code) => [code.name, versionColumn(code)]));
}

const READY_COLUMNS = "w.workflow, w.workflow_id, w.name, w.version, w.queue";

/**
 * Workflows of these codes, in no queue, that wait and are due, the longest due first. What is of other code is not looked at,
 * however much of it there is; likewise below.
 */
export function selectDueOf(codes: readonly CodeName[], now: number, limit: number): Statement {
  return {
    sql: `SELECT ${READY_COLUMNS} FROM json_each(?) c CROSS JOIN workflows w ON w.workflow IN (
        SELECT d.workflow FROM workflows d INDEXED BY workflows_due
        WHERE d.name = c.value->>0 AND d.version = c.value->>1 AND d.status = 'waiting' AND d.queue IS NULL
          AND d.due_at IS NOT NULL AND d.due_at <= ? ORDER BY d.due_at LIMIT ?)
      ORDER BY w.due_at LIMIT ?`,
    params: [codesParam(codes), now, limit, limit],
  };
}

/** The queues of which workflows of these codes have their slot and can go on: they are due, or were stopped at a checkpoint. */
export function selectResumableQueues(codes: readonly CodeName[], now: number): Statement {
  const next = (of: { name: string; version: string; after: string }) => {
    const is = `name = ${of.name} AND version = ${of.version} AND placed = 1`;
    return `(SELECT min(queue) FROM (
      SELECT * FROM (SELECT queue FROM workflows INDEXED BY workflows_released
        WHERE ${is} AND status = 'pending'${of.after} ORDER BY queue LIMIT 1)
      UNION ALL
      SELECT * FROM (SELECT queue FROM workflows INDEXED BY workflows_due_placed
        WHERE ${is} AND status = 'waiting' AND due_at IS NOT NULL${of.after} ORDER BY queue LIMIT 1)))`;
  };
  return {
    sql: `WITH RECURSIVE found (name, version, queue) AS (
        SELECT c.value->>0, c.value->>1, ${
      next({ name: "c.value->>0", version: "c.value->>1", after: "" })
    } FROM json_each(?) c
        UNION ALL
        SELECT f.name, f.version, ${
      next({ name: "f.name", version: "f.version", after: " AND queue > f.queue" })
    } FROM found f WHERE f.queue IS NOT NULL)
      SELECT DISTINCT queue FROM found f WHERE queue IS NOT NULL AND (
        EXISTS (SELECT 1 FROM workflows r INDEXED BY workflows_released
          WHERE r.name = f.name AND r.version = f.version AND r.queue = f.queue AND r.placed = 1 AND r.status = 'pending')
        OR EXISTS (SELECT 1 FROM workflows d INDEXED BY workflows_due_placed
          WHERE d.name = f.name AND d.version = f.version AND d.queue = f.queue AND d.placed = 1
            AND d.status = 'waiting' AND d.due_at IS NOT NULL AND d.due_at <= ?))
      ORDER BY queue`,
    params: [codesParam(codes), now],
  };
}

/** Workflows of a queue that have their slot there and can go on, those that were stopped first. */
export function selectResumableOf(
  queue: number,
  codes: readonly CodeName[],
  { now, limit }: { now: number; limit: number },
): Statement {
  return {
    sql: `SELECT ${READY_COLUMNS}, w.partition FROM json_each(?) c CROSS JOIN workflows w ON w.workflow IN (
        SELECT * FROM (SELECT r.workflow FROM workflows r INDEXED BY workflows_released
          WHERE r.name = c.value->>0 AND r.version = c.value->>1 AND r.queue = ? AND r.placed = 1
            AND r.status = 'pending' ORDER BY r.workflow LIMIT ?)
        UNION ALL
        SELECT * FROM (SELECT d.workflow FROM workflows d INDEXED BY workflows_due_placed
          WHERE d.name = c.value->>0 AND d.version = c.value->>1 AND d.queue = ? AND d.placed = 1
            AND d.status = 'waiting' AND d.due_at IS NOT NULL AND d.due_at <= ? ORDER BY d.due_at LIMIT ?))
      ORDER BY w.due_at LIMIT ?`,
    params: [codesParam(codes), queue, limit, queue, now, limit, limit],
  };
}

/** Workflows of these codes, in no queue, that no process runs and that can begin or go on at once, the oldest first. */
export function selectPendingOf(codes: readonly CodeName[], limit: number): Statement {
  return {
    sql: `SELECT ${READY_COLUMNS} FROM json_each(?) c CROSS JOIN workflows w ON w.workflow IN (
        SELECT p.workflow FROM workflows p INDEXED BY workflows_pending
        WHERE p.name = c.value->>0 AND p.version = c.value->>1 AND p.status = 'pending' AND p.queue IS NULL
        ORDER BY p.workflow LIMIT ?)
      ORDER BY w.workflow LIMIT ?`,
    params: [codesParam(codes), limit, limit],
  };
}

/**
 * When a workflow is due next that waits and is not due yet: of these codes in no queue, or, of any code, one whose delay
 * in a queue is over then; null if there is none.
 */
export function selectNextDue(codes: readonly CodeName[], now: number): Statement {
  return {
    sql: `SELECT min(at) AS due_at FROM (
        SELECT (SELECT d.due_at FROM workflows d INDEXED BY workflows_due
          WHERE d.name = c.value->>0 AND d.version = c.value->>1 AND d.status = 'waiting' AND d.queue IS NULL
            AND d.due_at IS NOT NULL AND d.due_at > ? ORDER BY d.due_at LIMIT 1) AS at FROM json_each(?) c
        UNION ALL
        SELECT (SELECT d.due_at FROM workflows d INDEXED BY workflows_delayed
          WHERE d.line IS NOT NULL AND d.status = 'waiting' AND d.due_at IS NOT NULL AND d.due_at > ?
          ORDER BY d.due_at LIMIT 1))`,
    params: [now, codesParam(codes), now],
  };
}

/** When the next of the workflows of these codes is due that wait and have their slot in a queue, whichever that is. */
export function selectNextDuePlaced(codes: readonly CodeName[], now: number): Statement {
  const of = (name: string, version: string) =>
    `name = ${name} AND version = ${version} AND placed = 1 AND status = 'waiting' AND due_at IS NOT NULL`;
  const next = (name: string, version: string, after: string) =>
    `(SELECT queue FROM workflows INDEXED BY workflows_due_placed WHERE ${
      of(name, version)
    }${after} ORDER BY queue LIMIT 1)`;
  return {
    sql: `WITH RECURSIVE found (name, version, queue) AS (
        SELECT c.value->>0, c.value->>1, ${next("c.value->>0", "c.value->>1", "")} FROM json_each(?) c
        UNION ALL
        SELECT f.name, f.version, ${
      next("f.name", "f.version", " AND queue > f.queue")
    } FROM found f WHERE f.queue IS NOT NULL)
      SELECT min((SELECT due_at FROM workflows INDEXED BY workflows_due_placed
        WHERE ${
      of("f.name", "f.version")
    } AND queue = f.queue AND due_at > ? ORDER BY due_at LIMIT 1)) AS due_at
      FROM found f WHERE f.queue IS NOT NULL`,
    params: [codesParam(codes), now],
  };
}

/** The ids of workflows of a status that there is not: one step through an index for each name and status that is found. */
export function selectOddStatuses(limit: number): Statement {
  const next = (column: string, after: string) =>
    `(SELECT ${column} FROM workflows w INDEXED BY workflows_by_name
      WHERE w.status <> 'running'${after} ORDER BY w.name, w.status LIMIT 1)`;
  const after = " AND (w.name, w.status) > (f.name, f.status)";
  const known = WORKFLOW_STATUSES.map((status) => `'${status}'`).join(", ");
  return {
    sql: `WITH RECURSIVE found (name, status) AS (
        SELECT ${next("w.name", "")}, ${next("w.status", "")}
        UNION ALL
        SELECT ${next("w.name", after)}, ${
      next("w.status", after)
    } FROM found f WHERE f.name IS NOT NULL LIMIT ?)
      SELECT w.workflow_id FROM found f CROSS JOIN workflows w INDEXED BY workflows_by_name
        ON w.name = f.name AND w.status = f.status AND w.status <> 'running'
      WHERE f.status NOT IN (${known}) LIMIT ?`,
    params: [limit, limit],
  };
}

/** Where workflows are found that can be claimed, by their code: the index, and what it is limited to. */
const CLAIMABLE: readonly { readonly index: string; readonly where: string }[] = [
  { index: "workflows_pending", where: "w.status = 'pending' AND w.queue IS NULL" },
  { index: "workflows_due", where: "w.status = 'waiting' AND w.queue IS NULL AND w.due_at IS NOT NULL" },
  { index: "workflows_released", where: "w.placed = 1 AND w.status = 'pending'" },
  { index: "workflows_due_placed", where: "w.placed = 1 AND w.status = 'waiting' AND w.due_at IS NOT NULL" },
];

/**
 * The codes of workflows that could be claimed, or will be when they are due, each with one of them: one step through an
 * index for each code, however many workflows there are of it.
 */
export function selectClaimableCodes(limit: number): Statement[] {
  const steps = ({ table, where, key }: { table: string; where: string; key: string }) => {
    const next = (column: string, after: string) =>
      `(SELECT ${column} FROM ${table} w INDEXED BY ${key} WHERE ${where}${after} ORDER BY w.name, w.version LIMIT 1)`;
    const after = " AND (w.name, w.version) > (f.name, f.version)";
    return `WITH RECURSIVE found (name, version) AS (
        SELECT ${next("w.name", "")}, ${next("w.version", "")}
        UNION ALL
        SELECT ${next("w.name", after)}, ${
      next("w.version", after)
    } FROM found f WHERE f.name IS NOT NULL LIMIT ?)`;
  };
  return [
    ...CLAIMABLE.map(({ index, where }) => ({
      sql: `${steps({ table: "workflows", where, key: index })}
        SELECT f.name, f.version, (SELECT w.workflow_id FROM workflows w INDEXED BY ${index}
          WHERE ${where} AND w.name = f.name AND w.version = f.version LIMIT 1) AS workflow_id
        FROM found f WHERE f.name IS NOT NULL`,
      params: [limit],
    })),
    {
      sql: `${
        steps({
          table: "lines",
          where: "w.head_rank IS NOT NULL AND w.is_full = 0",
          key: "lines_ready",
        })
      }
        SELECT f.name, f.version, (SELECT i.workflow_id FROM lines l INDEXED BY lines_ready
          JOIN workflows i INDEXED BY workflows_in_line ON i.line = l.line AND i.line IS NOT NULL
          WHERE l.head_rank IS NOT NULL AND l.is_full = 0 AND l.name = f.name AND l.version = f.version
          LIMIT 1) AS workflow_id
        FROM found f WHERE f.name IS NOT NULL`,
      params: [limit],
    },
  ];
}

/** The executors that own workflows, with their leases: one step through an index for each. */
export function selectOwners(limit: number): Statement {
  const next = (after: string) =>
    `(SELECT w.executor FROM workflows w INDEXED BY workflows_running
      WHERE w.status = 'running' AND w.executor IS NOT NULL${after} ORDER BY w.executor LIMIT 1)`;
  return {
    sql: `WITH RECURSIVE owners (executor) AS (
        SELECT ${next("")} UNION ALL SELECT ${
      next(" AND w.executor > o.executor")
    } FROM owners o WHERE o.executor IS NOT NULL)
      SELECT o.executor, e.lease_until FROM owners o LEFT JOIN executors e ON e.executor = o.executor
      WHERE o.executor IS NOT NULL LIMIT ?`,
    params: [limit],
  };
}

/** The queues of which an executor runs workflows; one row with null if it runs some that are in none. */
export function selectOwnedQueues(executor: number): Statement {
  const next = (after: string) =>
    `(SELECT w.queue FROM workflows w INDEXED BY workflows_running
      WHERE w.status = 'running' AND w.executor = ? AND w.queue > ${after} ORDER BY w.queue LIMIT 1)`;
  return {
    sql: `WITH RECURSIVE queues_of (queue) AS (
        SELECT ${next("-1")} UNION ALL SELECT ${next("o.queue")} FROM queues_of o WHERE o.queue IS NOT NULL)
      SELECT queue FROM queues_of WHERE queue IS NOT NULL
      UNION ALL SELECT * FROM (SELECT w.queue FROM workflows w INDEXED BY workflows_running
        WHERE w.status = 'running' AND w.executor = ? AND w.queue IS NULL LIMIT 1)`,
    params: [executor, executor, executor],
  };
}

/** Workflows of these codes that an executor owns. @param queue of this queue; null for those that are in none */
export function selectOwnedBy(
  executor: number,
  queue: number | null,
  { codes, limit }: { codes: readonly CodeName[]; limit: number },
): Statement {
  return {
    sql: `SELECT ${READY_COLUMNS} FROM json_each(?) c CROSS JOIN workflows w INDEXED BY workflows_running
      WHERE w.status = 'running' AND w.executor = ? AND w.queue IS ? AND w.name = c.value->>0
        AND w.version = c.value->>1 LIMIT ?`,
    params: [codesParam(codes), executor, queue, limit],
  };
}

/** The ids and runs of the workflows that an executor owns. */
export function selectOwnedRuns(executor: number, limit: number): Statement {
  return {
    sql: `SELECT w.workflow, w.workflow_id, w.run, w.partition FROM workflows w INDEXED BY workflows_running
      WHERE w.status = 'running' AND w.executor = ? LIMIT ?`,
    params: [executor, limit],
  };
}

/** How many workflows an executor owns. */
export function selectOwnedCount(executor: number): Statement {
  return {
    sql: `SELECT count(*) AS count FROM workflows w INDEXED BY workflows_running
      WHERE w.status = 'running' AND w.executor = ?`,
    params: [executor],
  };
}

const FINISH =
  `UPDATE workflows SET status = ?, executor = NULL, placed = NULL, updated_at = ?, completed_at = ?, output_json = ?,
    error_json = ?, checksum = ?
  WHERE workflow = ? AND run = ? AND status = 'running'`;

/** Ends the run with the workflow's outcome, or blocks the workflow. */
export function finishWorkflow(owner: Ownership, outcome: WorkflowOutcome): Statement {
  const { status, at, outputJson, errorJson } = outcome;
  const completedAt = status === "blocked" ? null : at;
  const checksum = outcomeChecksum(owner.workflowId, outcome);
  return {
    sql: FINISH,
    params: [status, at, completedAt, outputJson, errorJson, checksum, owner.workflow, owner.run],
  };
}

const CANCEL_UNOWNED =
  `UPDATE workflows SET status = 'cancelled', executor = NULL, due_at = NULL, placed = NULL, updated_at = ?, completed_at = ?,
    output_json = NULL, error_json = ?, checksum = ?
  WHERE workflow = ? AND run IS ? AND (status = 'blocked' OR status IN ('pending', 'waiting') AND run IS NULL)`;

/** Cancels a workflow that has not begun, or is blocked, if it is still as it was seen: there is nothing to tell. */
export function cancelUnowned(seen: Seen, workflowId: string, outcome: WorkflowOutcome): Statement {
  const { at, errorJson } = outcome;
  return {
    sql: CANCEL_UNOWNED,
    params: [at, at, errorJson, outcomeChecksum(workflowId, outcome), seen.workflow, seen.run],
  };
}

const PAUSE_UNOWNED =
  `UPDATE workflows SET status = 'blocked', executor = NULL, due_at = NULL, placed = NULL, updated_at = ?,
    output_json = NULL, error_json = ?, checksum = ?, debounce_key = NULL
  WHERE workflow = ? AND run IS ? AND status IN ('pending', 'waiting')`;

/** Blocks a workflow that waits or that nobody runs, if it is still as it was seen. */
export function pauseUnowned(seen: Seen, workflowId: string, outcome: WorkflowOutcome): Statement {
  const { at, errorJson } = outcome;
  return {
    sql: PAUSE_UNOWNED,
    params: [at, errorJson, outcomeChecksum(workflowId, outcome), seen.workflow, seen.run],
  };
}

const BEGIN = `UPDATE inputs SET begun_at = ?, checksum = ? WHERE workflow = ? AND checksum = ? AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')`;

/** Writes when a workflow has begun, for the run that has claimed it first, if its input is as it was seen. */
export function beginWorkflow(
  { workflow, run }: Ownership,
  input: WorkflowInput,
  begunAt: number,
): Statement {
  const checksum = inputChecksum({ ...input, begunAt });
  return { sql: BEGIN, params: [begunAt, checksum, workflow, inputChecksum(input), workflow, run] };
}

const CHECK_INPUT = `UPDATE inputs SET input_json = ?, deadline_at = ?, unchecked = 0, checksum = ?
  WHERE workflow = ? AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')`;

/** Writes what the code of the workflow has made of its input, and its deadline. */
export function writeCheckedInput({ workflow, run }: Ownership, input: WorkflowInput): Statement {
  const { inputJson, deadlineAt = null } = input;
  return { sql: CHECK_INPUT, params: [inputJson, deadlineAt, inputChecksum(input), workflow, workflow, run] };
}

/** The children of a workflow that have not ended and end with it. */
export function selectOpenChildren(workflowId: string): Statement {
  return {
    sql: `SELECT w.workflow_id FROM inputs i JOIN workflows w ON w.workflow = i.workflow
      WHERE i.parent_id = ? AND i.detached = 0 AND w.status NOT IN ('completed', 'failed', 'cancelled')`,
    params: [workflowId],
  };
}

const RELEASE = `UPDATE workflows SET status = 'pending', executor = NULL, updated_at = ?
  WHERE workflow = ? AND run = ? AND status = 'running'`;

/** Ends the run without an outcome; anybody may take the workflow up. */
export function releaseWorkflow({ workflow, run }: Ownership, now: number): Statement {
  return { sql: RELEASE, params: [now, workflow, run] };
}

const IS_DELAYED = "begun_at IS NULL AND placed IS NULL AND queue IS NOT NULL AND ready_at > ?";
const UNBLOCK = `UPDATE workflows SET status = CASE WHEN ${IS_DELAYED} THEN 'waiting' ELSE 'pending' END,
    due_at = CASE WHEN ${IS_DELAYED} THEN ready_at END, recoveries = 0, recovered_completion = NULL, updated_at = ?,
    error_json = NULL, checksum = NULL
  WHERE workflow = ? AND status = 'blocked' AND run IS ?`;

/** Lifts a block. One that has not begun, and is not to yet, waits for its time. */
export function unblockWorkflow({ workflow, run }: Seen, now: number): Statement {
  return { sql: UNBLOCK, params: [now, now, now, workflow, run] };
}

const RETRY = `UPDATE workflows SET status = 'pending', updated_at = ?, retried_at = ?, completed_at = NULL,
    error_json = NULL, checksum = NULL
  WHERE workflow = ? AND status = ? AND run IS ? AND ${hasOwnKey("workflows")}`;

/** Makes a workflow that has failed or was cancelled ready to run again, unless another one has its deduplication key. */
export function retryWorkflow({ workflow, status, run }: Seen, now: number): Statement {
  return { sql: RETRY, params: [now, now, workflow, status, run] };
}

/** The workflow that has the deduplication key of another one and has not ended, if there is one. */
export function selectKeyHolder(workflow: number): Statement {
  return {
    sql:
      `SELECT k.workflow_id, k.deduplication_key FROM workflows w JOIN workflows k INDEXED BY workflows_deduplicated
        ON k.queue = w.queue AND k.deduplication_key = w.deduplication_key AND k.workflow <> w.workflow
      WHERE w.workflow = ? AND k.deduplication_key IS NOT NULL
        AND k.status IN ('pending', 'running', 'waiting', 'blocked')`,
    params: [workflow],
  };
}

const LISTED_COLUMNS = `w.workflow, w.workflow_id, w.name, w.status, w.run, w.executor, w.recoveries,
  w.recovered_completion, w.created_at, w.updated_at, w.completed_at, w.retried_at, w.due_at, w.version, w.queue,
  w.partition, w.placed, (SELECT q.name FROM queues q WHERE q.queue = w.queue) AS queue_name`;
const WORKFLOW_COLUMNS = `${LISTED_COLUMNS}, w.output_json, w.error_json, w.checksum`;

/** A workflow by its short key, with the lease of who owns it. */
export function selectWorkflowByKey(workflow: number): Statement {
  return {
    sql: `SELECT ${WORKFLOW_COLUMNS}, e.lease_until FROM workflows w
      LEFT JOIN executors e ON e.executor = w.executor WHERE w.workflow = ?`,
    params: [workflow],
  };
}

/** A workflow, with the lease of who owns it. */
export function selectWorkflow(workflowId: string): Statement {
  return {
    sql: `SELECT ${WORKFLOW_COLUMNS}, e.lease_until FROM workflows w
      LEFT JOIN executors e ON e.executor = w.executor WHERE w.workflow_id = ?`,
    params: [workflowId],
  };
}

/** What changes with all that happens to workflows: how they are, and the last completion of each. */
export function selectStates(workflowIds: readonly string[]): Statement {
  return {
    sql: `SELECT workflow_id, status, run, updated_at,
        (SELECT max(completion) FROM checkpoints c WHERE c.workflow = w.workflow) AS last
      FROM json_each(?) asked CROSS JOIN workflows w WHERE w.workflow_id = asked.value`,
    params: [JSON.stringify(workflowIds)],
  };
}

/** Who owns workflows, and whose children they are. */
export function selectOwned(workflowIds: readonly string[]): Statement {
  return {
    sql: `SELECT w.workflow_id, w.status, w.due_at, w.executor, e.lease_until, i.parent_id
      FROM json_each(?) asked CROSS JOIN workflows w ON w.workflow_id = asked.value
      LEFT JOIN executors e ON e.executor = w.executor LEFT JOIN inputs i ON i.workflow = w.workflow`,
    params: [JSON.stringify(workflowIds)],
  };
}

/** Which workflows to list. */
export interface WorkflowFilter {
  readonly statuses: readonly WorkflowStatus[];
  readonly name: string | undefined;
  /** Only workflows that were made before this one. */
  readonly beforeId: string | undefined;
  readonly limit: number;
}

/** How many bytes of an error are shown in a list. */
const LISTED_ERROR_BYTES = 16_384;
/** How many characters of its message are, where it has more. */
const LISTED_MESSAGE_LENGTH = 1_000;
/** Of a text that is no error there is nothing to show but that. */
const LISTED_ERROR = `CASE WHEN octet_length(w.error_json) <= ${LISTED_ERROR_BYTES} THEN w.error_json
  WHEN w.error_json IS NULL THEN NULL
  WHEN json_valid(w.error_json) THEN json_object('name', w.error_json->>'name',
    'message', substr(w.error_json->>'message', 1, ${LISTED_MESSAGE_LENGTH}))
  ELSE substr(w.error_json, 1, ${LISTED_MESSAGE_LENGTH}) END AS error_json`;

/** Of one name and one status, an index has them in order: SQL. */
const newestOf = (name: string, status: string, before: string) =>
  `SELECT i.workflow FROM workflows i INDEXED BY workflows_by_name
    WHERE i.name = ${name} AND i.status = ${status} AND i.status <> 'running'${before}
    ORDER BY i.workflow DESC LIMIT ?`;
/** The names that there are, from one to the next: SQL. */
const NAMES = `WITH RECURSIVE names (name) AS (
    SELECT min(name) FROM workflows INDEXED BY workflows_by_name WHERE status <> 'running'
    UNION ALL
    SELECT (SELECT min(w.name) FROM workflows w INDEXED BY workflows_by_name
      WHERE w.status <> 'running' AND w.name > n.name) FROM names n WHERE n.name IS NOT NULL)`;

/**
 * Workflows, the newest first, without their outputs. What is read is no more than is given, once for each name and status: the
 * newest of all these are the newest of all. Those that run are in another index: there are no more of them than the processes
 * have room for, and it costs a quick workflow less.
 */
export function selectWorkflows({ statuses, name, beforeId, limit }: WorkflowFilter): Statement {
  const before = (row: string) =>
    beforeId === undefined
      ? ""
      : ` AND ${row}.workflow < (SELECT b.workflow FROM workflows b WHERE b.workflow_id = ?)`;
  const last = [...beforeId === undefined ? [] : [beforeId], limit];
  const wanted = statuses.length === 0 ? WORKFLOW_STATUSES : statuses;
  const parts: { sql: string; params: readonly SqlValue[] }[] = [];
  if (statuses.length === 0 && name === undefined) {
    const sql = `SELECT w.workflow FROM workflows w WHERE TRUE${
      before("w")
    } ORDER BY w.workflow DESC LIMIT ?`;
    parts.push({ sql, params: last });
  } else {
    const ended = JSON.stringify([...new Set(wanted)].filter((status) => status !== "running"));
    const names = name === undefined ? "names n" : "(SELECT ? AS name) n";
    parts.push({
      sql: `SELECT w.workflow FROM ${names} CROSS JOIN json_each(?) s
        CROSS JOIN workflows w ON w.workflow IN (${newestOf("n.name", "s.value", before("i"))})`,
      params: [...name === undefined ? [] : [name], ended, ...last],
    });
    if (wanted.includes("running")) {
      const sql = `SELECT r.workflow FROM workflows r INDEXED BY workflows_running
        WHERE r.status = 'running'${name === undefined ? "" : " AND r.name = ?"}${before("r")}
        ORDER BY r.workflow DESC LIMIT ?`;
      parts.push({ sql, params: [...name === undefined ? [] : [name], ...last] });
    }
  }
  return {
    sql: `${NAMES}
      SELECT ${LISTED_COLUMNS}, ${LISTED_ERROR} FROM (
        SELECT workflow FROM (${parts.map(({ sql }) => `SELECT * FROM (${sql})`).join(" UNION ALL ")})
        ORDER BY workflow DESC LIMIT ?
      ) p CROSS JOIN workflows w ON w.workflow = p.workflow ORDER BY p.workflow DESC`,
    params: [...parts.flatMap(({ params }) => params), limit],
  };
}

/** A row if the run owns the workflow. */
export function selectOwnership({ workflow, run }: Ownership): Statement {
  return {
    sql: "SELECT 1 AS owned FROM workflows WHERE workflow = ? AND run = ? AND status = 'running'",
    params: [workflow, run],
  };
}

/** A row if the workflow waits, and this run was the last that had it. */
export function selectResting({ workflow, run }: Ownership): Statement {
  return {
    sql: "SELECT 1 AS resting FROM workflows WHERE workflow = ? AND run = ? AND status = 'waiting'",
    params: [workflow, run],
  };
}

/** What a workflow was started with. */
export function selectInput(workflow: number): Statement {
  return {
    sql:
      `SELECT seed, input_json, version, deadline_at, parent_id, detached, forked_from, forked_at, unchecked,
      begun_at, checksum FROM inputs WHERE workflow = ?`,
    params: [workflow],
  };
}
