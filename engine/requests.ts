import { blockedError } from "./claim.ts";
import type { Clock } from "./clock.ts";
import {
  CancelledError,
  CorruptCheckpointError,
  LimitExceededError,
  UnknownVersionError,
  type WorkflowBlockedError,
  WorkflowPausedError,
  WorkflowStateError,
} from "./errors.ts";
import { retryObstacle } from "./outcome.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { WorkflowOutcome } from "./store/rows.ts";
import type { Store } from "./store/store.ts";
import { errorText } from "./stored_error.ts";
import { isCode, type Versions } from "./versions.ts";
import type { Workflow } from "./workflow.ts";

/** What a request to a workflow needs of the engine. */
export interface RequestHost {
  readonly store: Store;
  readonly clock: Clock;
  /** The workflow of an id. @throws {WorkflowNotFoundError} if there is none */
  find(id: string): Promise<WorkflowRecord>;
  readonly versions: Versions;
  /** Blocks a workflow that nobody runs. @returns the error that it is blocked with */
  block(record: WorkflowRecord, error: WorkflowBlockedError): Promise<Error>;
  /** Tells a workflow that it was sent something, if it is here. */
  told(workflowId: string): void;
  /** Takes a workflow up, if it can be run here. */
  wake(workflowId: string, workflow: Workflow): Promise<void>;
  /** Goes on with a workflow that is stored, whatever it was started with. */
  takeUp(workflowId: string, workflow: Workflow): Promise<unknown>;
}

/** How often another process may be first at a request before it is given up. */
const MAX_TRIES = 100;

/** Requests a workflow to be cancelled: see `engine.cancel()`. */
export async function cancelWorkflow(host: RequestHost, id: string): Promise<void> {
  await request(host, id, "cancel", async (record) => {
    // It has begun, so it may have steps to undo.
    if (isPaused(host, record) && record.run !== null) {
      return await host.store.cancelPaused(record, host.clock.now()) ? [] : undefined;
    }
    const { parentId } = await host.store.input(record);
    return await host.store.cancel(record, parentId, ending(host, new CancelledError(id), "cancelled"));
  });
}

/** Requests a workflow to be paused: see `engine.pause()`. */
export async function pauseWorkflow(host: RequestHost, id: string): Promise<void> {
  await request(host, id, "pause", async (record) => {
    const paused = await host.store.pause(record, ending(host, new WorkflowPausedError(id), "blocked"));
    return paused ? [] : undefined;
  });
}

/** Goes on with a workflow: see `engine.resume()`. */
export async function resumeWorkflow(host: RequestHost, id: string): Promise<void> {
  const { store, clock } = host;
  const record = await host.find(id);
  const workflow = await registered(host, record);
  if (record.status === "blocked") await store.unblock(record, clock.now());
  else if (record.status === "running") await store.withdrawPause(record);
  await host.takeUp(id, workflow);
}

/** Runs a workflow that has failed again: see `engine.retry()`. */
export async function retryWorkflow(host: RequestHost, id: string): Promise<void> {
  const { store, clock } = host;
  const record = await host.find(id);
  if (record.status !== "failed") throw new WorkflowStateError(id, "retry", "failed", record.status);
  const workflow = await registered(host, record);
  const code = await codeOf(host, record);
  if (code instanceof UnknownVersionError) throw code;
  store.verifyOutcome(record);
  const { parentId } = await store.input(record);
  const error = store.outcomeError(record);
  const obstacle = retryObstacle(error);
  if (obstacle !== undefined) throw new WorkflowStateError(id, "retry", obstacle.wanted, obstacle.found);
  if (!await store.retry(record, { from: error.completion, parentId, now: clock.now() })) {
    const { status } = await host.find(id);
    const holder = status === "failed" ? await store.keyHolder(record) : undefined;
    if (holder === undefined) throw new WorkflowStateError(id, "retry", "failed", status);
    const wanted = `the only one with deduplication key "${holder.key}" that has not ended`;
    throw new WorkflowStateError(id, "retry", wanted, `beside "${holder.workflowId}"`);
  }
  await host.takeUp(id, workflow);
}

/** The code of a stored workflow, of any version: which it is that it needs, the claim finds out. */
async function registered({ versions, block }: RequestHost, record: WorkflowRecord): Promise<Workflow> {
  const { workflowId, name, status } = record;
  const workflow = versions.named(name);
  if (workflow !== undefined) return workflow;
  const error = versions.unknown(workflowId, name);
  throw status === "pending" ? await block(record, error) : error;
}

/** The code of the version that a workflow was started with, or why there is none; undefined where that cannot be read. */
async function codeOf(
  { versions, store }: RequestHost,
  record: WorkflowRecord,
): Promise<Workflow | WorkflowBlockedError | undefined> {
  try {
    return versions.codeFor(await store.input(record));
  } catch (error) {
    if (error instanceof CorruptCheckpointError) return undefined;
    throw error;
  }
}

function ending({ clock }: RequestHost, error: Error, status: "cancelled" | "blocked"): WorkflowOutcome {
  return { status, outputJson: null, errorJson: errorText(error), at: clock.now() };
}

/** @param act returns the ids of the workflows that are to be told too; undefined if it could not be done */
async function request(
  host: RequestHost,
  id: string,
  what: "cancel" | "pause",
  act: (record: WorkflowRecord) => Promise<readonly string[] | undefined>,
): Promise<void> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const record = await host.find(id);
    if (isDone(host, record, what)) return;
    const others = await act(record);
    if (others === undefined) continue;
    for (const other of others) host.told(other);
    host.told(id);
    // Somebody has to run it, so that it can be told.
    if (what === "cancel" && (record.status !== "blocked" || isPaused(host, record))) {
      const code = await codeOf(host, record);
      if (code !== undefined && isCode(code)) await host.wake(id, code);
    }
    return;
  }
  throw new LimitExceededError("tries of a request", MAX_TRIES, `${what} workflow "${id}"`);
}

function isPaused({ store }: RequestHost, record: WorkflowRecord): boolean {
  return record.status === "blocked" && blockedError(store, record) instanceof WorkflowPausedError;
}

/** Whether it is so already. @throws {WorkflowStateError} if it cannot be done any more */
function isDone(host: RequestHost, record: WorkflowRecord, what: "cancel" | "pause"): boolean {
  const { workflowId, status } = record;
  if (hasEnded(status)) {
    if (status === "cancelled" && what === "cancel") return true;
    throw new WorkflowStateError(workflowId, what, "one that has not ended", status);
  }
  if (status !== "blocked" || what !== "pause") return false;
  if (isPaused(host, record)) return true;
  throw new WorkflowStateError(workflowId, what, "one that can go on", status);
}
