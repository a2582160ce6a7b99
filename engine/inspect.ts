/**
 * Workflows as people and programs look at them from outside.
 *
 * @module
 */

import { type CorruptCheckpointError, StepwellError, WorkflowNotFoundError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import { runName } from "./ids.ts";
import { decodeAnyValue } from "./serialize.ts";
import {
  type Checkpoint,
  type CheckpointKind,
  WORKFLOW_STATUSES,
  type WorkflowStatus,
} from "./store/rows.ts";
import type { WorkflowRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import { encodeError, parseStoredError, type StoredError } from "./stored_error.ts";

/** Which workflows to list. */
export interface ListFilter {
  /** Only those of this status, or one of these. */
  status?: WorkflowStatus | readonly WorkflowStatus[];
  /** Only those of the workflow of this name. */
  workflow?: string;
  /** How many at most, 100 by default, 10,000 at most. */
  limit?: number;
  /** Only those made before the workflow of this id: the last of one list begins the next. */
  before?: string;
}

const FILTER = optionNames<ListFilter>({ status: true, workflow: true, limit: true, before: true });
const DEFAULT_LIST_LIMIT = 100;
const MAX_LIST_LIMIT = 10_000;

/** A workflow, in a list. */
export interface WorkflowSummary {
  /** The caller's name for it. */
  readonly id: string;
  /** The workflow's name. */
  readonly workflow: string;
  /** What became of it. */
  readonly status: WorkflowStatus;
  /** When it was started first. */
  readonly createdAt: Date;
  /** When the status last changed. */
  readonly updatedAt: Date;
  /** When it was completed, failed or cancelled. */
  readonly completedAt?: Date;
  /** Of one that is waiting: when it is taken up again at the latest; only a message does so if there is none. */
  readonly dueAt?: Date;
  /** The run that owns it, or owned it last. */
  readonly runId?: string;
  /** The name of the queue that it was put into, if it was. */
  readonly queue?: string;
  /** The part of that queue that it belongs to. */
  readonly partition?: string;
  /** How often in a row its process was lost without a new checkpoint. */
  readonly recoveries: number;
  /** Why it failed, or is blocked. */
  readonly error?: StoredError;
}

/** A workflow with its steps. */
export interface WorkflowDetail extends WorkflowSummary {
  /** The version of the code that it was started with, if that had one. */
  readonly version?: string;
  /** The id of the workflow whose checkpoints it began with, if it is a fork. */
  readonly forkedFrom?: string;
  /** What it was started with; undefined also where that cannot be read. */
  readonly input: unknown;
  /** What it returned; undefined also where that cannot be read. */
  readonly output: unknown;
  /** In the order of their completions; those that run come last. */
  readonly steps: readonly StepDetail[];
}

/** A step of a workflow. */
export interface StepDetail {
  /** Its id and its number: `id#000001`. */
  readonly key: string;
  /** Its id. */
  readonly id: string;
  /** What the workflow asked for. */
  readonly kind: CheckpointKind;
  /** What became of it. A step that is `running` in a workflow nobody runs is a zombie: it will run again. */
  readonly status: "running" | "completed" | "failed";
  /** Which attempt it was, or is, from 1. */
  readonly attempt: number;
  /** The run that wrote this. */
  readonly runId: string;
  /** What it returned; undefined also where that cannot be read. */
  readonly output: unknown;
  /** What it failed with; of a running step, what its last attempt failed with; or why its row cannot be read. */
  readonly error?: StoredError;
  /** When this attempt was begun. */
  readonly startedAt: Date;
  /** When it ended. */
  readonly completedAt?: Date;
  /** Its place in the order in which the workflow saw outcomes. */
  readonly completion?: number;
  /** What kind of message it waits for: `signal:NAME`, `child:ID`. */
  readonly topic?: string;
  /** When it is tried again; when what it waits for is over. */
  readonly nextAttemptAt?: Date;
}

/** Workflows, the newest first: see `engine.list()`. */
export async function listWorkflows(store: Store, filter: ListFilter): Promise<WorkflowSummary[]> {
  checkOptions(filter, FILTER, "list workflows");
  const { status = [], workflow: name, limit = DEFAULT_LIST_LIMIT, before: beforeId } = filter;
  const statuses: readonly WorkflowStatus[] = Array.isArray(status) ? status : [status];
  for (const status of statuses) {
    if (!WORKFLOW_STATUSES.includes(status)) {
      throw new TypeError(
        `Cannot list workflows: wanted one of ${WORKFLOW_STATUSES.join(", ")}, found ${found(status)}`,
      );
    }
  }
  if (name !== undefined && typeof name !== "string") {
    throw new TypeError(`Cannot list workflows: wanted a workflow's name, found ${found(name)}`);
  }
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_LIST_LIMIT)) {
    throw new RangeError(
      `Cannot list workflows: wanted a limit from 1 to ${MAX_LIST_LIMIT}, found ${found(limit)}`,
    );
  }
  if (beforeId !== undefined) {
    checkName(beforeId, "a workflow id");
    if (await store.find(beforeId) === undefined) throw new WorkflowNotFoundError(beforeId, store.location);
  }
  return (await store.list({ statuses, name, limit, beforeId })).map(summarize);
}

/** What a list shows of a workflow. */
function summarize(record: WorkflowRecord): WorkflowSummary {
  return {
    id: record.workflowId,
    workflow: record.name,
    status: record.status,
    createdAt: new Date(record.createdAt),
    updatedAt: new Date(record.updatedAt),
    recoveries: record.recoveries,
    ...(record.completedAt !== null && { completedAt: new Date(record.completedAt) }),
    ...(record.status === "waiting" && record.dueAt !== null && { dueAt: new Date(record.dueAt) }),
    ...(record.run !== null && { runId: runName(record.run) }),
    ...(record.queueName !== null && { queue: record.queueName }),
    ...(record.partition !== null && { partition: record.partition }),
    ...(record.errorJson !== null && { error: readError(record.errorJson) }),
  };
}

/** All there is to see of a workflow. What cannot be read is told as its error, and stops nothing. */
export async function describe(store: Store, record: WorkflowRecord): Promise<WorkflowDetail> {
  const rows = await store.inspect(record);
  const steps: StepDetail[] = [];
  for (const { checkpoint, corrupt } of rows) {
    if (checkpoint.status !== "retried") steps.push(await describeStep(checkpoint, corrupt));
  }
  const stored = await store.input(record).catch(readFailure);
  const input = await readValue(stored?.inputJson ?? null);
  const output = await readValue(record.outputJson);
  return {
    ...summarize(record),
    ...(stored?.version !== undefined && { version: stored.version }),
    ...(stored?.forkedFrom !== undefined && { forkedFrom: stored.forkedFrom }),
    input: input.value,
    output: output.value,
    steps,
  };
}

async function describeStep(
  checkpoint: Checkpoint,
  corrupt: CorruptCheckpointError | undefined,
): Promise<StepDetail> {
  const { key, kind, attempt, run, startedAt, durationMs, completion, nextAttemptAt, errorJson, topic } =
    checkpoint;
  const output = await readValue(checkpoint.outputJson);
  const error = corrupt !== undefined
    ? encodeError(corrupt)
    : errorJson !== null
    ? readError(errorJson)
    : output.error;
  return {
    key,
    id: key.replace(/#\d{6}$/, ""),
    kind,
    status: checkpoint.status === "running" || checkpoint.status === "failed"
      ? checkpoint.status
      : "completed",
    attempt,
    runId: runName(run),
    output: output.value,
    startedAt: new Date(startedAt),
    ...(error !== undefined && { error }),
    ...(durationMs !== null && { completedAt: new Date(startedAt + durationMs) }),
    ...(completion !== null && { completion }),
    ...(topic !== undefined && { topic }),
    ...(nextAttemptAt !== null && { nextAttemptAt: new Date(nextAttemptAt) }),
  };
}

function readError(json: string): StoredError {
  try {
    return parseStoredError(json);
  } catch (error) {
    return encodeError(error);
  }
}

async function readValue(text: string | null): Promise<{ value: unknown; error?: StoredError }> {
  try {
    return { value: await decodeAnyValue(text) };
  } catch (error) {
    return { value: undefined, error: encodeError(error) };
  }
}

function readFailure(error: unknown): undefined {
  if (error instanceof StepwellError) return undefined;
  throw error;
}
