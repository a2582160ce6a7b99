/**
 * The statements by which a workflow is made that begins with the checkpoints of another. All of them name a number that is
 * this fork's alone, in the place of a run: where the new id is taken, none has an effect.
 *
 * What checkpoints hold is copied from row to row, however large it is. Only their checksums are new, as they are also of the
 * id of the workflow.
 *
 * @module
 */

import type { SqlValue, Statement } from "./database.ts";
import { joinLine } from "./line_statements.ts";
import { inputChecksum, type Patch, patchChecksum, versionColumn, type WorkflowInput } from "./rows.ts";

/** The fork that makes a workflow. */
export interface Forking {
  /** The id of the new workflow. */
  readonly workflowId: string;
  /** A number that is this fork's alone. */
  readonly run: number;
  /** The other workflow, which must not have been retried since it was looked at: that changes its checkpoints. */
  readonly from: { readonly workflow: number; readonly retriedAt: number | null };
}

/** What is copied of the other workflow: where it is, and its checksum in the new one. */
export interface Copied {
  readonly checkpoints: readonly (readonly [completion: number, checksum: number])[];
  readonly patches: readonly Patch[];
  /** By the completion as well, as a value takes the place of the one before it. */
  readonly published: readonly (readonly [key: string, completion: number, checksum: number])[];
  readonly emitted: readonly (readonly [stream: string, position: number, checksum: number])[];
}

/** How many rows are copied with one statement. */
const CHUNK = 500;

const OF_THIS_FORK = "FROM workflows WHERE workflow_id = ? AND run = ? AND status IN ('pending', 'waiting')";

function ofThisFork({ workflowId, run }: Forking): SqlValue[] {
  return [workflowId, run];
}

const CREATE_FORK = `INSERT INTO workflows (workflow_id, name, version, status, run, created_at, updated_at)
  SELECT ?, ?, ?, 'pending', ?, ?, ? FROM workflows o WHERE o.workflow = ? AND o.retried_at IS ?
  ON CONFLICT (workflow_id) DO NOTHING`;
const CREATE_FORK_INPUT =
  `INSERT INTO inputs (workflow, seed, input_json, version, deadline_at, forked_from, forked_at, begun_at, checksum)
  SELECT workflow, ?, ?, ?, ?, ?, ?, ?, ? ${OF_THIS_FORK}`;

/** Where a fork is put in a queue. */
export interface ForkPlacing {
  readonly queue: string;
  readonly partition: string | null;
  readonly priority: number;
  /** When it may begin at the earliest. */
  readonly readyAt: number;
}

const CREATE_IN_QUEUE =
  `INSERT INTO workflows (workflow_id, name, version, status, run, created_at, updated_at, due_at, queue, partition,
    ready_at, rank)
  SELECT ?, ?, ?, ?, ?, ?, ?, ?, q.queue, ?, ?, ? - ? * q.ageing_ms FROM queues q
  WHERE q.name = ? AND q.depth < q.max_depth AND EXISTS (
    SELECT 1 FROM workflows o WHERE o.workflow = ? AND o.retried_at IS ?)
  ON CONFLICT (workflow_id) DO NOTHING`;

/**
 * Makes a workflow that no process runs yet; changes nothing where the id is taken, or the queue full.
 *
 * @param placing where it waits for its turn; undefined for in no queue
 */
export function createFork(
  fork: Forking,
  input: WorkflowInput,
  { now, placing }: { now: number; placing: ForkPlacing | undefined },
): Statement[] {
  const { workflowId, name, createdAt, seed, inputJson } = input;
  const { version = null, deadlineAt = null, forkedFrom = null, forkedAt = null, begunAt = null } = input;
  const columns = [seed, inputJson, version, deadlineAt, forkedFrom, forkedAt, begunAt, inputChecksum(input)];
  const createInput = { sql: CREATE_FORK_INPUT, params: [...columns, ...ofThisFork(fork)] };
  const { workflow, retriedAt } = fork.from;
  if (placing === undefined) {
    const params = [workflowId, name, versionColumn(input), fork.run, createdAt, now, workflow, retriedAt];
    return [{ sql: CREATE_FORK, params }, createInput];
  }
  const { queue, partition, priority, readyAt } = placing;
  const isDelayed = readyAt > now;
  return [
    {
      sql: CREATE_IN_QUEUE,
      params: [
        workflowId,
        name,
        versionColumn(input),
        isDelayed ? "waiting" : "pending",
        fork.run,
        createdAt,
        now,
        isDelayed ? readyAt : null,
        partition,
        readyAt,
        readyAt,
        priority,
        queue,
        workflow,
        retriedAt,
      ],
    },
    createInput,
    ...joinLine({ workflowId }),
  ];
}

/** SQL that copies rows: the new workflow, the rows as a list of lists, and each row of the other that is one of them. */
const copied = (from: string, on: string) =>
  `FROM (SELECT workflow ${OF_THIS_FORK}) n CROSS JOIN json_each(?) j CROSS JOIN ${from} o ON ${on}`;

const COPY_CHECKPOINTS = `INSERT INTO checkpoints (workflow, step_key, kind, status, completion, attempt,
    started_at, duration_ms, next_attempt_at, run, output_json, error_json, topic, checksum)
  SELECT n.workflow, o.step_key, o.kind, o.status, o.completion, o.attempt, o.started_at, o.duration_ms,
    o.next_attempt_at, o.run, o.output_json, o.error_json, o.topic, j.value->>1
  ${copied("checkpoints", "o.workflow = ? AND o.completion = j.value->>0")}`;

/** Gives the new workflow checkpoints of the other. */
export function copyCheckpoints(fork: Forking, rows: Copied["checkpoints"]): Statement[] {
  return copy(COPY_CHECKPOINTS, fork, rows);
}

const COPY_PATCH = `INSERT INTO patches (workflow, change_id, run, at, checksum)
  SELECT workflow, ?, ?, ?, ? ${OF_THIS_FORK}`;

/** Gives the new workflow a change that the other has taken up. */
export function copyPatch(fork: Forking, patch: Patch): Statement {
  const { changeId, run, at } = patch;
  const checksum = patchChecksum(fork.workflowId, patch);
  return { sql: COPY_PATCH, params: [changeId, run, at, checksum, ...ofThisFork(fork)] };
}

const COPY_PUBLISHED = `INSERT INTO published (workflow, key, value_json, published_at, completion, checksum)
  SELECT n.workflow, o.key, o.value_json, o.published_at, o.completion, j.value->>2
  ${copied("published", "o.workflow = ? AND o.key = j.value->>0 AND o.completion = j.value->>1")}`;

/** Gives the new workflow values that the other has published, where it has published none in their place meanwhile. */
export function copyPublished(fork: Forking, rows: Copied["published"]): Statement[] {
  return copy(COPY_PUBLISHED, fork, rows);
}

const COPY_EMITTED =
  `INSERT INTO emitted (workflow, stream, value_json, emitted_at, completion, checksum, position)
  SELECT n.workflow, o.stream, o.value_json, o.emitted_at, o.completion, j.value->>2, o.position
  ${copied("emitted", "o.workflow = ? AND o.stream = j.value->>0 AND o.position = j.value->>1")}`;

/** Gives the new workflow entries of the other's streams. */
export function copyEmitted(fork: Forking, rows: Copied["emitted"]): Statement[] {
  return copy(COPY_EMITTED, fork, rows);
}

function copy(sql: string, fork: Forking, rows: readonly (readonly SqlValue[])[]): Statement[] {
  const statements: Statement[] = [];
  for (let i = 0; i < rows.length; i += CHUNK) {
    const list = JSON.stringify(rows.slice(i, i + CHUNK));
    statements.push({ sql, params: [...ofThisFork(fork), list, fork.from.workflow] });
  }
  return statements;
}
