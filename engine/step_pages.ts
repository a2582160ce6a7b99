/**
 * The steps of a workflow as people and programs look at them from outside, page by page.
 *
 * @module
 */

import type { CorruptCheckpointError } from "./errors.ts";
import { runName } from "./ids.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { decodeAnyValue } from "./serialize.ts";
import { PAGE_LIMITS, type PageLimits } from "./store/pages.ts";
import type { InspectedPage, WorkflowRecord } from "./store/records.ts";
import type { Checkpoint, CheckpointKind } from "./store/rows.ts";
import type { Store } from "./store/store.ts";
import { encodeError, parseStoredError, type StoredError } from "./stored_error.ts";

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

/** Which steps of a workflow to give: see `engine.steps()`. */
export interface StepsPage {
  /** Where the page before it ended: its `next`. From the first step on by default. */
  after?: string;
  /** How many at most, 100 by default, 1,000 at most. It may be fewer: together they have about a megabyte, or there is one. */
  limit?: number;
}

/** Some steps of a workflow. */
export interface StepsFound {
  /** In the order of their completions; those that run come last. */
  readonly steps: readonly StepDetail[];
  /** Where the next page begins; undefined if there are no more. */
  readonly next?: string;
}

const STEPS_OPTIONS = optionNames<StepsPage>({ after: true, limit: true });
const DEFAULT_STEPS_LIMIT = 100;
const MAX_STEPS_LIMIT = PAGE_LIMITS.rows;

/** Steps of a workflow: see `engine.steps()`. */
export async function listSteps(
  store: Store,
  record: WorkflowRecord,
  page: StepsPage,
): Promise<StepsFound> {
  checkOptions(page, STEPS_OPTIONS, "list the steps of workflow", record.workflowId);
  const { after, limit = DEFAULT_STEPS_LIMIT } = page;
  if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_STEPS_LIMIT)) {
    throw new RangeError(
      `Cannot list the steps of workflow "${record.workflowId}": wanted a limit from 1 to ${MAX_STEPS_LIMIT}, ` +
        `found ${limit}`,
    );
  }
  const place = after === undefined ? FIRST_PLACE : placeOf(after);
  if (place === undefined) {
    throw new TypeError(
      `Cannot list the steps of workflow "${record.workflowId}": wanted what an earlier page gave as its next ` +
        `for after, found ${typeof after === "string" ? JSON.stringify(after.slice(0, 100)) : typeof after}`,
    );
  }
  const { steps, next } = await findSteps(store, record, place, limit);
  return { steps, ...(next !== undefined && { next: placeText(next) }) };
}

/** A place among the steps of a workflow: after a completion; or after one that runs, which come by their keys. */
export type Place = { readonly completion: number } | { readonly key: string; readonly checkpoint: number };

/** Before all completions: also before such as have a number that none has. */
export const FIRST_PLACE = { completion: Number.MIN_SAFE_INTEGER };
const FIRST_RUNNING = { key: "", checkpoint: 0 };

function placeText(place: Place): string {
  return "key" in place ? `r${place.checkpoint} ${place.key}` : `c${place.completion}`;
}

function placeOf(text: unknown): Place | undefined {
  const [, kind, number, key] = /^([cr])(-?\d{1,16})(?: (.*))?$/su.exec(String(text)) ?? [];
  if (kind === undefined || !Number.isSafeInteger(Number(number))) return undefined;
  if (kind === "c") return key === undefined ? { completion: Number(number) } : undefined;
  return key === undefined ? undefined : { checkpoint: Number(number), key };
}

/** @returns some steps, and where those after them begin, if there are any */
export async function findSteps(
  store: Store,
  record: WorkflowRecord,
  from: Place,
  limit: number,
): Promise<{ steps: StepDetail[]; next: Place | undefined }> {
  const steps: StepDetail[] = [];
  let bytes = PAGE_LIMITS.bytes;
  let place: Place | undefined = from;
  while (place !== undefined && steps.length < limit && bytes > 0) {
    const isRunning: boolean = "key" in place;
    const limits = { rows: limit - steps.length, bytes };
    const { rows, more } = await readSteps(store, record, place, limits);
    for (const { checkpoint, corrupt } of rows) {
      bytes -= (checkpoint.outputJson?.length ?? 0) + (checkpoint.errorJson?.length ?? 0);
      if (checkpoint.status !== "retried") steps.push(await describeStep(checkpoint, corrupt));
    }
    const last = rows.at(-1);
    if (more && last !== undefined) {
      const { key, completion }: Checkpoint = last.checkpoint;
      place = isRunning ? { key, checkpoint: last.row! } : { completion: Number(completion) };
    } else {
      place = isRunning ? undefined : FIRST_RUNNING;
    }
  }
  // Where the completions have filled a page, there need be none that run.
  const isOver = place === FIRST_RUNNING &&
    (await store.inspectRunningAfter(record, FIRST_RUNNING, ONE)).rows.length === 0;
  return { steps, next: isOver ? undefined : place };
}

function readSteps(
  store: Store,
  record: WorkflowRecord,
  from: Place,
  limits: PageLimits,
): Promise<InspectedPage> {
  return "key" in from
    ? store.inspectRunningAfter(record, from, limits)
    : store.inspect(record, from.completion, limits);
}

const ONE = { rows: 1, bytes: 1 };

/** How many steps come after a place. */
export async function countMore(
  store: Store,
  record: WorkflowRecord,
  after: Place,
): Promise<{ count: number; after: string }> {
  const count = "key" in after
    ? await store.countRunningAfter(record, after)
    : await store.countStepsAfter(record, after.completion);
  return { count, after: placeText(after) };
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

/** What is stored of an error; of one that cannot be read, why. */
export function readError(json: string): StoredError {
  try {
    return parseStoredError(json);
  } catch (error) {
    return encodeError(error);
  }
}

/** A stored value, or why it cannot be read. */
export async function readValue(text: string | null): Promise<{ value: unknown; error?: StoredError }> {
  try {
    return { value: await decodeAnyValue(text) };
  } catch (error) {
    return { value: undefined, error: encodeError(error) };
  }
}
