/**
 * What the rows of the store mean, and the checksums by which they are known to be as they were written.
 *
 * @module
 */

import { crc32, crc32Numbers } from "../checksum.ts";
import type { Row, SqlValue } from "./database.ts";

/**
 * The status of a workflow: `pending` (nobody runs it), `running` (a run owns it), `waiting` (for a time or an event),
 * `completed`, `failed` (its function threw), `cancelled`, `blocked` (the engine does not go on without a person).
 */
export type WorkflowStatus =
  | "pending"
  | "running"
  | "waiting"
  | "completed"
  | "failed"
  | "cancelled"
  | "blocked";

/** Every status a workflow can have. */
export const WORKFLOW_STATUSES: readonly WorkflowStatus[] = [
  "pending",
  "running",
  "waiting",
  "completed",
  "failed",
  "cancelled",
  "blocked",
];

/**
 * What a checkpoint is of: a `step`; a `sleep`, the wait for a `signal` or for a `child` workflow, which have come to
 * an end; the instant at which the workflow was told that it is cancelled, or out of time (`cancel`); the
 * `compensation` of a step; a value that was published (`publish`) or added to a stream (`emit`); a `transaction` on the
 * store itself; a `cleanup`, which has ended or is out of time.
 */
export type CheckpointKind =
  | "step"
  | "sleep"
  | "signal"
  | "child"
  | "cancel"
  | "compensation"
  | "publish"
  | "emit"
  | "transaction"
  | "cleanup";

/** The kinds of checkpoints; the number of one in the store is its place here. */
const KINDS: readonly CheckpointKind[] = [
  "step",
  "sleep",
  "signal",
  "child",
  "cancel",
  "compensation",
  "publish",
  "emit",
  "transaction",
  "cleanup",
];

/** The status of a checkpoint; its number in the store is its place here. */
const CHECKPOINT_STATUSES = ["running", "completed", "failed", "retried", "kept"] as const;
/**
 * The status of a checkpoint. Two of them come from a retry of the workflow, for what followed the failure:
 * `retried` is out of force: a failure, or what the workflow showed to the outside in view of it; `kept` is a result that
 * still stands, but need not be asked for again.
 */
export type CheckpointStatus = typeof CHECKPOINT_STATUSES[number];

/** A row of the table of checkpoints. */
export interface Checkpoint {
  readonly key: string;
  readonly kind: CheckpointKind;
  readonly status: CheckpointStatus;
  /** Its place in the order of what the workflow saw, from 1; null while it runs. */
  readonly completion: number | null;
  readonly attempt: number;
  readonly startedAt: number;
  readonly durationMs: number | null;
  readonly nextAttemptAt: number | null;
  readonly run: number;
  readonly outputJson: string | null;
  readonly errorJson: string | null;
  /** The topic of the message that it waits for, or waited for, if it did. */
  readonly topic?: string;
}

/** What a workflow is started with. */
export interface WorkflowInput {
  readonly workflowId: string;
  readonly name: string;
  readonly createdAt: number;
  readonly seed: number;
  readonly inputJson: string | null;
  /** The version of its code, if that has one. */
  readonly version?: string;
  /** When it is cut off, if ever. */
  readonly deadlineAt?: number;
  /** The id of the workflow that started it, if one did. */
  readonly parentId?: string;
  /** Whether it does not end with that one. */
  readonly detached?: boolean;
  /** The id of the workflow whose checkpoints it began with, if it is a fork. */
  readonly forkedFrom?: string;
  /** When it was forked. */
  readonly forkedAt?: number;
  /** When its first run began, where that was not when it was made. */
  readonly begunAt?: number;
  /** Whether its input was given without the workflow's code, whose schema has yet to look at it. */
  readonly unchecked?: boolean;
}

/** The version of a workflow's code as the table of workflows has it, beside the name: what has none is found there too. */
export function versionColumn({ version }: { readonly version?: string | null }): string {
  return version ?? "";
}

/** How a workflow ended, or why it is blocked. */
export interface WorkflowOutcome {
  readonly status: "completed" | "failed" | "cancelled" | "blocked";
  readonly outputJson: string | null;
  readonly errorJson: string | null;
  readonly at: number;
}

export const kindCode = (kind: CheckpointKind): number => KINDS.indexOf(kind);
export const statusCode = (status: CheckpointStatus): number => CHECKPOINT_STATUSES.indexOf(status);

/** The checksum of a checkpoint: all that its row says. */
export function checkpointChecksum(workflowId: string, checkpoint: Checkpoint): number {
  const { key, kind, status, completion, attempt, startedAt, durationMs, nextAttemptAt, run, topic } =
    checkpoint;
  const numbers = [
    kindCode(kind),
    statusCode(status),
    completion,
    attempt,
    startedAt,
    durationMs,
    nextAttemptAt,
    run,
  ];
  const names = crc32(key, crc32("\n", crc32(workflowId)));
  const head = crc32Numbers(numbers, names);
  return payloadsChecksum(checkpoint, topic === undefined ? head : crc32(`\n${topic}`, head));
}

/** What the row of a checkpoint holds beside its workflow, in the order of its columns. */
export function columnsWithTopic(workflowId: string, checkpoint: Checkpoint): SqlValue[] {
  return [
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
    checkpoint.topic ?? null,
    checkpointChecksum(workflowId, checkpoint),
  ];
}

/** The checksum of what a workflow was started with. */
export function inputChecksum(input: WorkflowInput): number {
  const { workflowId, name, createdAt, seed, inputJson, version, deadlineAt, parentId, detached } = input;
  const rest: unknown[] = input.forkedAt === undefined ? [] : [input.forkedFrom, input.forkedAt];
  if (input.unchecked) rest.push("unchecked");
  if (input.begunAt !== undefined) rest.push(`begun ${input.begunAt}`);
  const head = `${workflowId}\n${name}\n${createdAt} ${seed}\n`;
  // Inputs of before there were such things have the checksum that they always had.
  const isPlain = version === undefined && deadlineAt === undefined && parentId === undefined;
  const more = isPlain && rest.length === 0
    ? ""
    : JSON.stringify([version ?? null, deadlineAt ?? null, parentId ?? null, detached ?? false, ...rest]);
  return payloadsChecksum({ outputJson: inputJson, errorJson: null }, crc32(head + more));
}

/** A change of its code that a workflow has taken up. */
export interface Patch {
  readonly changeId: string;
  /** The run that took it up. */
  readonly run: number;
  readonly at: number;
}

/** The checksum of a patch. */
export function patchChecksum(workflowId: string, { changeId, run, at }: Patch): number {
  return crc32(`${workflowId}\n${changeId}\n${run} ${at}`) | 0;
}

/** A message to a workflow. */
export interface Message {
  readonly workflowId: string;
  readonly topic: string;
  readonly payloadJson: string | null;
  readonly sentAt: number;
}

/** The checksum of a message. */
export function messageChecksum({ workflowId, topic, payloadJson, sentAt }: Message): number {
  return payloadsChecksum(
    { outputJson: payloadJson, errorJson: null },
    crc32(`${workflowId}\n${topic}\n${sentAt}\n`),
  );
}

/** What a checkpoint shows to the outside: a value that was published, or added to a stream. */
export interface Publication {
  /** What it was published under, or the name of the stream. */
  readonly name: string;
  readonly valueJson: string | null;
}

/** What is stored of something that was shown. */
export interface ShownPublication extends Publication {
  readonly kind: "publish" | "emit";
  /** Its place in its stream; null for a value under a key. */
  readonly position: number | null;
  readonly at: number;
  /** That of the checkpoint which it was committed with. */
  readonly completion: number;
}

/** Whether a checkpoint of this kind shows something to the outside. */
export function isPublication(kind: CheckpointKind): kind is "publish" | "emit" {
  return kind === "publish" || kind === "emit";
}

/** The checksum of a publication. @param checkpoint the one that it was committed with */
export function publicationChecksum(
  workflowId: string,
  { kind, completion, startedAt }: Pick<Checkpoint, "kind" | "completion" | "startedAt">,
  { name, valueJson }: Publication,
): number {
  return payloadsChecksum(
    { outputJson: valueJson, errorJson: null },
    crc32(`${workflowId}\n${kind}:${name}\n${completion} ${startedAt}\n`),
  );
}

/** The checksum of how a workflow ended. */
export function outcomeChecksum(workflowId: string, outcome: WorkflowOutcome): number {
  return payloadsChecksum(outcome, crc32(`${workflowId}\n${outcome.status} ${outcome.at}\n`));
}

function payloadsChecksum(
  { outputJson, errorJson }: { outputJson: string | null; errorJson: string | null },
  head: number,
): number {
  let sum = crc32(outputJson === null ? "-" : "=", head);
  if (outputJson !== null) sum = crc32(outputJson, sum);
  sum = crc32(errorJson === null ? "\n-" : "\n=", sum);
  if (errorJson !== null) sum = crc32(errorJson, sum);
  // SQLite stores a signed integer of 32 bits in four bytes, an unsigned one in six.
  return sum | 0;
}

/** A checkpoint, as its row says, and what is wrong with that row. */
export interface ReadCheckpoint {
  readonly checkpoint: Checkpoint;
  /** What was found in place of the row that was written; undefined if it is that row. */
  readonly wrong: string | undefined;
}

/** Reads a row of the table of checkpoints, and checks that it is as it was written. */
export function readCheckpoint(workflowId: string, row: Row): ReadCheckpoint {
  const kind = KINDS[row.kind as number];
  const status = CHECKPOINT_STATUSES[row.status as number];
  const checkpoint: Checkpoint = {
    key: String(row.step_key),
    kind: kind ?? "step",
    status: status ?? "failed",
    completion: row.completion as number | null,
    attempt: row.attempt as number,
    startedAt: row.started_at as number,
    durationMs: row.duration_ms as number | null,
    nextAttemptAt: row.next_attempt_at as number | null,
    run: row.run as number,
    outputJson: textOrNull(row.output_json),
    errorJson: textOrNull(row.error_json),
    ...row.topic !== null && { topic: String(row.topic) },
  };
  return { checkpoint, wrong: findWrong(workflowId, row, kind, status, checkpoint) };
}

function findWrong(
  workflowId: string,
  row: Row,
  kind: CheckpointKind | undefined,
  status: CheckpointStatus | undefined,
  checkpoint: Checkpoint,
): string | undefined {
  if (kind === undefined) return `the kind ${row.kind}`;
  if (status === undefined) return `the status ${row.status}`;
  const texts = [row.step_key, row.output_json ?? "", row.error_json ?? "", row.topic ?? ""];
  if (!texts.every((text) => typeof text === "string")) return "a column that is no text";
  if (checkpointChecksum(workflowId, checkpoint) !== row.checksum) return "a row with another checksum";
  return undefined;
}

/** The last time that there is: that of a `Date`. */
const MAX_TIME_MS = 8_640_000_000_000_000;

/** What columns of a row may hold besides null. */
export interface IntegerColumns {
  /** Integers that are exact as numbers. */
  readonly integers: readonly string[];
  /** Milliseconds since 1970. */
  readonly times: readonly string[];
}

/** Which column of a row holds something else, if one does: whatever stands in a file is not to go on from there. */
export function findWrongInteger(row: Row, { integers, times }: IntegerColumns): string | undefined {
  for (const column of integers) {
    const value = row[column];
    if (value !== null && !Number.isSafeInteger(value)) {
      return `${column} ${shown(value)}, which is no integer`;
    }
  }
  for (const column of times) {
    const value = row[column];
    if (value !== null && !(Number.isSafeInteger(value) && Math.abs(value as number) <= MAX_TIME_MS)) {
      return `${column} ${shown(value)}, which is no time`;
    }
  }
  return undefined;
}

function shown(value: unknown): string {
  const text = value instanceof Uint8Array
    ? `a blob of ${value.length} bytes`
    : JSON.stringify(value) ?? "nothing";
  return text.length <= 100 ? text : `${text.slice(0, 100)}…`;
}

/** What a column says, of whatever type it is. */
export function textOrNull(value: unknown): string | null {
  return value === null ? null : String(value);
}
