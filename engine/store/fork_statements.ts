/**
 * The statements by which a workflow is made that begins with the checkpoints of another. All of them name a number that is
 * this fork's alone, in the place of a run: where the new id is taken, none has an effect.
 *
 * @module
 */

import type { SqlValue, Statement } from "./database.ts";
import { joinLine } from "./line_statements.ts";
import {
  type Checkpoint,
  columnsWithTopic,
  inputChecksum,
  type Patch,
  patchChecksum,
  publicationChecksum,
  type ShownPublication,
  versionColumn,
  type WorkflowInput,
} from "./rows.ts";

/** The fork that makes a workflow. */
export interface Forking {
  /** The id of the new workflow. */
  readonly workflowId: string;
  /** A number that is this fork's alone. */
  readonly run: number;
}

const OF_THIS_FORK = "FROM workflows WHERE workflow_id = ? AND run = ? AND status IN ('pending', 'waiting')";

function ofThisFork({ workflowId, run }: Forking): SqlValue[] {
  return [workflowId, run];
}

const CREATE_FORK = `INSERT INTO workflows (workflow_id, name, version, status, run, created_at, updated_at)
  VALUES (?, ?, ?, 'pending', ?, ?, ?) ON CONFLICT (workflow_id) DO NOTHING`;
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
  WHERE q.name = ? AND q.depth < q.max_depth ON CONFLICT (workflow_id) DO NOTHING`;

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
  if (placing === undefined) {
    const params = [workflowId, name, versionColumn(input), fork.run, createdAt, now];
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
      ],
    },
    createInput,
    ...joinLine({ workflowId }),
  ];
}

const COPY_CHECKPOINT = `INSERT INTO checkpoints (workflow, step_key, kind, status, completion, attempt,
    started_at, duration_ms, next_attempt_at, run, output_json, error_json, topic, checksum)
  SELECT workflow, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ? ${OF_THIS_FORK}`;

/** Gives the new workflow a checkpoint of the other. */
export function copyCheckpoint(fork: Forking, checkpoint: Checkpoint): Statement {
  return {
    sql: COPY_CHECKPOINT,
    params: [...columnsWithTopic(fork.workflowId, checkpoint), ...ofThisFork(fork)],
  };
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
  SELECT workflow, ?, ?, ?, ?, ? ${OF_THIS_FORK}`;
const COPY_EMITTED =
  `INSERT INTO emitted (workflow, stream, value_json, emitted_at, completion, checksum, position)
  SELECT workflow, ?, ?, ?, ?, ?, ? ${OF_THIS_FORK}`;

/** Gives the new workflow something that the other shows. */
export function copyPublication(fork: Forking, shown: ShownPublication): Statement {
  const { name, valueJson, at, completion, position } = shown;
  const checksum = publicationChecksum(fork.workflowId, { ...shown, startedAt: at }, shown);
  const columns = [name, valueJson, at, completion, checksum];
  return position === null
    ? { sql: COPY_PUBLISHED, params: [...columns, ...ofThisFork(fork)] }
    : { sql: COPY_EMITTED, params: [...columns, position, ...ofThisFork(fork)] };
}
