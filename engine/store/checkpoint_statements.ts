/**
 * The statements about checkpoints. Each write that a run makes names, in its own `WHERE`, the run that must own the
 * workflow for it to have an effect (the fence): the number of changed rows tells whether it had.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import { hasOwnKey, type Ownership, type Seen } from "./ownership.ts";
import type { PagedQuery } from "./pages.ts";
import { type Checkpoint, checkpointChecksum, columnsWithTopic, kindCode, statusCode } from "./rows.ts";
import { rows, several } from "./several.ts";

const INSERT_CHECKPOINT = `INSERT INTO checkpoints (workflow, step_key, kind, status, completion, attempt,
    started_at, duration_ms, next_attempt_at, run, output_json, error_json, checksum)
  SELECT workflow, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM workflows
  WHERE workflow = ? AND run = ? AND status = 'running'`;
const UPDATE_CHECKPOINT =
  `UPDATE checkpoints INDEXED BY checkpoints_running SET kind = ?, status = ?, completion = ?, attempt = ?,
    started_at = ?, duration_ms = ?, next_attempt_at = ?, run = ?, output_json = ?, error_json = ?, checksum = ?
  WHERE workflow = ? AND completion IS NULL AND step_key = ? AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')`;

/**
 * Writes a checkpoint.
 *
 * @param replacesRunning whether the step has a row already, which says that it is running
 */
export function writeCheckpoint(
  owner: Ownership,
  checkpoint: Checkpoint,
  replacesRunning: boolean,
): Statement {
  const { workflow, workflowId, run } = owner;
  if (!replacesRunning && checkpoint.topic !== undefined) return writeWait(owner, checkpoint);
  const params = [
    checkpoint.key,
    kindCode(checkpoint.kind),
    statusCode(checkpoint.status),
    checkpoint.completion,
    checkpoint.attempt,
    checkpoint.startedAt,
    checkpoint.durationMs,
    checkpoint.nextAttemptAt,
    checkpoint.run,
    checkpoint.outputJson,
    checkpoint.errorJson,
    checkpointChecksum(workflowId, checkpoint),
    workflow,
    run,
  ];
  if (!replacesRunning) return { sql: INSERT_CHECKPOINT, params, several: insertCheckpoints };
  const columns = params.slice(1, -2);
  return { sql: UPDATE_CHECKPOINT, params: [...columns, workflow, checkpoint.key, workflow, run] };
}

/** {@linkcode INSERT_CHECKPOINT} for several rows. The cross join has every row look its owner up, not the other way. */
const insertCheckpoints = several((count) =>
  `INSERT INTO checkpoints (workflow, step_key, kind, status, completion, attempt, started_at, duration_ms,
    next_attempt_at, run, output_json, error_json, checksum)
  SELECT w.workflow, ${Array.from({ length: 12 }, (_, i) => `v.column${i + 1}`).join(", ")}
  FROM (VALUES ${rows(count, "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")}) v CROSS JOIN workflows w
  WHERE w.workflow = v.column13 AND w.run = v.column14 AND w.status = 'running'`
);

const INSERT_WAIT = `INSERT INTO checkpoints (workflow, step_key, kind, status, completion, attempt,
    started_at, duration_ms, next_attempt_at, run, output_json, error_json, topic, checksum)
  SELECT workflow, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM workflows
  WHERE workflow = ? AND run = ? AND status = 'running'`;

/** Writes the first row of something that waits for a message. */
function writeWait({ workflow, workflowId, run }: Ownership, checkpoint: Checkpoint): Statement {
  return { sql: INSERT_WAIT, params: [...columnsWithTopic(workflowId, checkpoint), workflow, run] };
}

const FORGET_WAITS =
  `DELETE FROM checkpoints WHERE workflow = ? AND completion IS NULL AND kind IN (1, 2, 3, 9)
  AND EXISTS (SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')`;

/** Takes out the rows that say the workflow waits: it ends, and nobody will know what they would have brought. */
export function forgetWaits({ workflow, run }: Ownership): Statement {
  return { sql: FORGET_WAITS, params: [workflow, workflow, run] };
}

const AMEND_CHECKPOINT = `UPDATE checkpoints SET status = ?, checksum = ?
  WHERE workflow = ? AND completion = ? AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.status = ? AND w.run IS ? AND ${hasOwnKey("w")})`;

/** Changes the status of a checkpoint of a workflow that nobody runs, if that is still as it was seen, with its key. */
export function amendCheckpoint(seen: Seen, workflowId: string, checkpoint: Checkpoint): Statement {
  return {
    sql: AMEND_CHECKPOINT,
    params: [
      statusCode(checkpoint.status),
      checkpointChecksum(workflowId, checkpoint),
      seen.workflow,
      checkpoint.completion,
      seen.workflow,
      seen.status,
      seen.run,
    ],
  };
}

const CHECKPOINT_COLUMNS = [
  "step_key",
  "kind",
  "status",
  "completion",
  "attempt",
  "started_at",
  "duration_ms",
  "next_attempt_at",
  "run",
  "output_json",
  "error_json",
  "topic",
  "checksum",
];

/** What checkpoints have to be read by pages. */
const PAGED = { table: "checkpoints", key: ["checkpoint"], large: ["output_json", "error_json"] };

/** The completions of a workflow after one of them, in their order; `NULL` is no number, so none that runs is among them. */
export function completionsAfter(workflow: number, after: number): PagedQuery {
  return {
    ...PAGED,
    columns: CHECKPOINT_COLUMNS,
    where: "workflow = ? AND completion > ?",
    params: [workflow, after],
    orderBy: ["completion"],
  };
}

/** A completion of a workflow. */
export function selectCompletion(workflow: number, completion: number): Statement {
  return {
    sql: `SELECT ${CHECKPOINT_COLUMNS.join(", ")} FROM checkpoints WHERE workflow = ? AND completion = ?`,
    params: [workflow, completion],
  };
}

/** What a workflow has begun and not seen the end of, by their keys. @param after the last one of the page before */
export function runningAfter(
  workflow: number,
  after: { readonly key: string; readonly checkpoint: number },
): PagedQuery {
  return {
    ...PAGED,
    columns: ["checkpoint", ...CHECKPOINT_COLUMNS],
    where: "workflow = ? AND completion IS NULL AND (step_key, checkpoint) > (?, ?)",
    params: [workflow, after.key, after.checkpoint],
    orderBy: ["step_key", "checkpoint"],
  };
}

/** How many steps of a workflow come after one of its completions. */
export function countStepsAfter(workflow: number, after: number): Statement {
  return {
    sql: `SELECT
        (SELECT count(*) FROM checkpoints WHERE workflow = ? AND completion > ? AND status <> 3) +
        (SELECT count(*) FROM checkpoints INDEXED BY checkpoints_running
          WHERE workflow = ? AND completion IS NULL) AS count`,
    params: [workflow, after, workflow],
  };
}

/** How many steps of a workflow run whose keys come after one. */
export function countRunningAfter(
  workflow: number,
  after: { readonly key: string; readonly checkpoint: number },
): Statement {
  return {
    sql: `SELECT count(*) AS count FROM checkpoints INDEXED BY checkpoints_running
      WHERE workflow = ? AND completion IS NULL AND (step_key, checkpoint) > (?, ?)`,
    params: [workflow, after.key, after.checkpoint],
  };
}

/** The steps of a workflow that were running when it was last heard of, and any row that is out of the order. */
export function selectRunning(workflow: number): Statement {
  const columns = CHECKPOINT_COLUMNS.join(", ");
  return {
    sql: `SELECT ${columns}, checkpoint FROM checkpoints WHERE workflow = ? AND completion IS NULL
      UNION ALL
      SELECT ${columns}, checkpoint FROM checkpoints WHERE workflow = ? AND completion < 1`,
    params: [workflow, workflow],
  };
}

/** A row if a workflow has been told that it is cancelled or out of time, or has begun to undo its steps. */
export function selectEnding(workflow: number): Statement {
  return {
    // The kinds as the index has them: as parameters, they would not be known to be those.
    sql: `SELECT 1 AS ending FROM checkpoints INDEXED BY checkpoints_ending
      WHERE workflow = ? AND kind IN (4, 5) AND status <> ? LIMIT 1`,
    params: [workflow, statusCode("retried")],
  };
}

/** The first completion of a step among some that follow each other. */
export function selectFirstCompletion(
  workflow: number,
  stepKey: string,
  { after, last }: { after: number; last: number },
): Statement {
  return {
    sql: `SELECT completion FROM checkpoints
      WHERE workflow = ? AND completion > ? AND completion <= ? AND step_key = ? ORDER BY completion LIMIT 1`,
    params: [workflow, after, last, stepKey],
  };
}

/** A row if a step has begun and not completed. */
export function selectBegun(workflow: number, stepKey: string): Statement {
  return {
    sql: `SELECT 1 AS begun FROM checkpoints INDEXED BY checkpoints_running
      WHERE workflow = ? AND completion IS NULL AND step_key = ? LIMIT 1`,
    params: [workflow, stepKey],
  };
}

/** The number of the last completion of a workflow. */
export function selectLastCompletion(workflow: number): Statement {
  return {
    sql: "SELECT max(completion) AS completion FROM checkpoints WHERE workflow = ?",
    params: [workflow],
  };
}
