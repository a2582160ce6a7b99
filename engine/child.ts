import { isEngineFailure } from "./engine_failure.ts";
import { WorkflowConflictError } from "./errors.ts";
import { retryObstacle } from "./outcome.ts";
import { checkInput, checkWorkflow } from "./started_with.ts";
import type { RunningRows } from "./running_rows.ts";
import type { Scope } from "./scope.ts";
import { runningRow, type StepOutcome } from "./step.ts";
import { childTopic } from "./store/mailbox.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import type { Ownership } from "./store/ownership.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import { errorText } from "./stored_error.ts";
import type { Workflow } from "./workflow.ts";

/** A child that is to be started, or waited for. */
export interface ChildTask {
  readonly key: string;
  readonly workflow: Workflow;
  /** The child's id; by default one that is made of the parent's id and the key. */
  readonly id: string | undefined;
  /**
   * The text of its input. Rejects with what a workflow is told of an input that cannot be stored or that its child does
   * not take; not asked for where the child was started before.
   */
  readonly inputText: () => Promise<string | null>;
  readonly detached: boolean;
  /** How long it may take, in milliseconds. */
  readonly timeoutMs: number | undefined;
  /** The part of the parent that waits for it. */
  readonly scope: Scope;
}

/** What a child needs of the run of its parent. */
export interface ChildHost {
  readonly workflowId: string;
  readonly run: number;
  readonly owner: Ownership;
  readonly input: WorkflowInput;
  readonly store: Store;
  readonly rows: RunningRows;
  /** The time now, and a seed for the child. */
  readonly clock: { now(): number };
  seed(): number;
  /** Runs a workflow that is stored, if it can be run here. */
  runChild(workflow: Workflow, workflowId: string): void;
  /** Has the run wait. */
  wait(row: Checkpoint, scope: Scope): void;
  /** Whether the run begins nothing more. */
  readonly stopping: boolean;
  loseLease(doing: string): void;
}

/** The longest id that is made of the parent's id and the key. */
const MAX_ID_LENGTH = 200;

/**
 * Starts a child, or goes on waiting for it.
 *
 * The child and the row that says its parent waits for it are made in one commit; the child's end and the message that
 * says so are another one. So a child is started once, and its end is never missed.
 *
 * @param row what says that the parent waits for it, where a run before this one has started it
 * @returns undefined: its outcome comes with a message. An outcome only where it cannot be started, or has ended already
 */
export async function performChild(
  host: ChildHost,
  task: ChildTask,
  row: Checkpoint | undefined,
): Promise<StepOutcome | undefined> {
  const id = row?.topic?.slice(childTopic("").length) ?? task.id ?? await childId(host.workflowId, task.key);
  const now = host.clock.now();
  const wait = row ??
    { ...runningRow(host, task.key, 1, now), kind: "child", topic: childTopic(id) } as const;
  if (row === undefined) {
    let inputJson: string | null;
    try {
      inputJson = await task.inputText();
    } catch (error) {
      if (isEngineFailure(error)) throw error;
      return failure(wait, now, error);
    }
    if (host.stopping) return await new Promise<never>(() => {});
    const child = childInput(host, task, { id, inputJson, now });
    host.rows.stored(wait);
    const made = await host.store.createChild(host.owner, child, wait);
    if (made === "lost") {
      host.loseLease(`start child "${id}"`);
      return await new Promise<never>(() => {});
    }
    const outcome = made === "taken" ? await adopt(host, child, wait) : undefined;
    if (outcome !== undefined) return outcome;
  }
  host.runChild(task.workflow, id);
  host.wait(wait, task.scope);
  return undefined;
}

/** The id of a child that was given none: a person can read it, unless it is one of very many generations. */
export async function childId(parentId: string, key: string): Promise<string> {
  const id = `${parentId}/${key}`;
  if (id.length <= MAX_ID_LENGTH) return id;
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(id));
  return `child-${Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

function childInput(
  host: ChildHost,
  task: ChildTask,
  { id, inputJson, now }: { id: string; inputJson: string | null; now: number },
): WorkflowInput {
  const { workflow: { name, version }, detached, timeoutMs = Infinity } = task;
  const deadlineAt = Math.min(detached ? Infinity : host.input.deadlineAt ?? Infinity, now + timeoutMs);
  return {
    workflowId: id,
    name,
    inputJson,
    createdAt: now,
    seed: host.seed(),
    parentId: host.workflowId,
    detached,
    ...version !== undefined && { version },
    ...deadlineAt !== Infinity && { deadlineAt },
  };
}

/**
 * Takes a workflow for the child that has the child's id: it must be one that this parent has started before. One that
 * has failed since, or was cancelled, is tried again.
 *
 * @returns its outcome, if it has one that stands
 */
async function adopt(
  host: ChildHost,
  child: WorkflowInput,
  wait: Checkpoint,
): Promise<StepOutcome | undefined> {
  const { store, clock } = host;
  const record = (await store.find(child.workflowId))!;
  const found = await store.input(record);
  try {
    checkWorkflow(found, child.name);
    await checkInput(found, child.inputJson);
    if (found.parentId !== child.parentId) {
      throw new WorkflowConflictError(child.workflowId, "parent", found.parentId ?? "none", child.parentId!);
    }
  } catch (error) {
    if (!(error instanceof WorkflowConflictError)) throw error;
    return failure(wait, clock.now(), error);
  }
  // Right before the parent begins to wait: what has ended by then does not tell it any more.
  const latest = hasEnded(record.status) ? record : (await store.find(child.workflowId))!;
  if (!hasEnded(latest.status)) return undefined;
  store.verifyOutcome(latest);
  if (latest.status !== "completed" && await tryAgain(host, latest)) return undefined;
  return outcome(wait, clock.now(), latest);
}

/** Has a child that failed or was cancelled be tried again, unless nothing can come of that. @returns whether it is */
async function tryAgain({ store, clock, workflowId }: ChildHost, record: WorkflowRecord): Promise<boolean> {
  const error = store.outcomeError(record);
  if (retryObstacle(error) !== undefined) return false;
  return await store.retry(record, { from: error.completion, parentId: workflowId, now: clock.now() });
}

function failure(wait: Checkpoint, now: number, error: unknown): StepOutcome {
  return outcome(wait, now, { outputJson: null, errorJson: errorText(error) });
}

function outcome(
  { attempt, startedAt }: Checkpoint,
  now: number,
  { outputJson, errorJson }: Pick<StepOutcome, "outputJson" | "errorJson">,
): StepOutcome {
  return { attempt, startedAt, durationMs: Math.max(0, now - startedAt), outputJson, errorJson };
}
