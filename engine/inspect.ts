/**
 * Workflows as people and programs look at them from outside.
 *
 * @module
 */

import { StepwellError, WorkflowNotFoundError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import { runName } from "./ids.ts";
import { countMore, findSteps, FIRST_PLACE, readError, readValue, type StepDetail } from "./step_pages.ts";
import { WORKFLOW_STATUSES, type WorkflowStatus } from "./store/rows.ts";
import { PAGE_LIMITS } from "./store/pages.ts";
import type { ListedWorkflow, WorkflowRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import type { StoredError } from "./stored_error.ts";

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
  /** Why it failed, or is blocked. In a list, an error of many kilobytes has only its name and the beginning of its message. */
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
  /** In the order of their completions; those that run come last. The first of them, where there are many, or large ones. */
  readonly steps: readonly StepDetail[];
  /** The others, if there are any: how many, and where `engine.steps(id, { after })` goes on. */
  readonly moreSteps?: { readonly count: number; readonly after: string };
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
function summarize(record: ListedWorkflow): WorkflowSummary {
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
  const { steps, next } = await findSteps(store, record, FIRST_PLACE, PAGE_LIMITS.rows);
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
    ...(next !== undefined && { moreSteps: await countMore(store, record, next) }),
  };
}

function readFailure(error: unknown): undefined {
  if (error instanceof StepwellError) return undefined;
  throw error;
}
