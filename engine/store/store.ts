/**
 * The store: what the engine keeps, in the engine's words. Every operation is one batch; what it may change is fenced
 * in its statements, and whether it has is the answer.
 *
 * @module
 */

import { CorruptCheckpointError, StoreError } from "../errors.ts";
import type { Database, Liveness, Rider, Row, Statement, Write } from "./database.ts";
import {
  type Checkpoint,
  inputChecksum,
  outcomeChecksum,
  readCheckpoint,
  textOrNull,
  WORKFLOW_STATUSES,
  type WorkflowInput,
  type WorkflowOutcome,
  type WorkflowStatus,
} from "./rows.ts";
import { CANCEL_TOPIC, childTopic, type KeptMessage, PAUSE_TOPIC } from "./mailbox.ts";
import * as messages from "./message_statements.ts";
import * as statements from "./statements.ts";
import type { Ownership, Seen, WorkflowFilter } from "./statements.ts";

/** A workflow as the store has it. */
export interface WorkflowRecord extends Seen {
  readonly workflowId: string;
  readonly name: string;
  /** The process that owns it; null when nobody does. */
  readonly executor: number | null;
  /** The end of that process's lease; null when it is not registered (any more). */
  readonly leaseUntil: number | null;
  readonly recoveries: number;
  readonly recoveredCompletion: number | null;
  readonly createdAt: number;
  readonly updatedAt: number;
  readonly completedAt: number | null;
  /** Waiting: when it is to be looked at; null where only a message can move it on. */
  readonly dueAt: number | null;
  readonly outputJson: string | null;
  readonly errorJson: string | null;
  /** Of its outcome; null while it has none. */
  readonly checksum: number | null;
}

/** A checkpoint, and why it cannot be used, if it cannot. */
export interface InspectedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly corrupt: CorruptCheckpointError | undefined;
}

/** A workflow that is waiting and due. */
export interface DueWorkflow {
  readonly workflow: number;
  readonly workflowId: string;
  readonly name: string;
  readonly dueAt: number;
}

/** What has come of what a workflow waits for, as it is written down. */
export interface ArrivedRow {
  readonly checkpoint: Checkpoint;
  /** Whether it takes the place of a row that says the workflow waits for it. */
  readonly replacesRunning: boolean;
  /** The message that it was, if it was one. */
  readonly message: KeptMessage | undefined;
}

/** See the module. */
export class Store {
  constructor(private readonly database: Database) {}

  /** Where the store is, for messages. */
  get location(): string {
    return this.database.location;
  }

  /**
   * Makes a workflow that this run owns.
   *
   * @returns the right to write to it, or undefined if the id is taken
   */
  async create(input: WorkflowInput, run: number, executor: number): Promise<Ownership | undefined> {
    const [workflow] = await this.database.write(statements.createWorkflow(input, run, executor));
    return workflow === 0 ? undefined : { workflowId: input.workflowId, workflow: workflow!, run };
  }

  /** The workflow of this id. */
  async find(workflowId: string): Promise<WorkflowRecord | undefined> {
    const [row] = await this.database.read(statements.selectWorkflow(workflowId));
    return row && readWorkflow(row);
  }

  /** Workflows, the newest first. */
  async list(filter: WorkflowFilter): Promise<WorkflowRecord[]> {
    const rows = await this.database.read(statements.selectWorkflows(filter));
    return rows.map(readWorkflow);
  }

  /** Checks that a workflow's outcome is as it was written. @throws {CorruptCheckpointError} if it is not */
  verifyOutcome(record: WorkflowRecord): void {
    const { workflowId, status, outputJson, errorJson } = record;
    if (!WORKFLOW_STATUSES.includes(status)) {
      throw this.corrupt(workflowId, "outcome", `the status "${status}"`);
    }
    if (!hasEnded(status) && status !== "blocked") {
      if (record.checksum !== null) {
        throw this.corrupt(workflowId, "outcome", `an outcome, and the status "${status}"`);
      }
      return;
    }
    const at = status === "blocked" ? record.updatedAt : record.completedAt!;
    if (record.checksum !== outcomeChecksum(workflowId, { status, outputJson, errorJson, at })) {
      throw this.corrupt(workflowId, "outcome", "a row with another checksum");
    }
  }

  /** What the workflow was started with. @throws {CorruptCheckpointError} if it is not as it was written */
  async input(record: WorkflowRecord): Promise<WorkflowInput> {
    const { workflowId, name, createdAt } = record;
    const [row] = await this.database.read(statements.selectInput(record.workflow));
    if (row === undefined) throw this.corrupt(workflowId, "input", "no row");
    const input = {
      workflowId,
      name,
      createdAt,
      seed: row.seed as number,
      inputJson: textOrNull(row.input_json),
      ...row.version !== null && { version: String(row.version) },
      ...row.deadline_at !== null && { deadlineAt: row.deadline_at as number },
      ...row.parent_id !== null && { parentId: String(row.parent_id) },
      ...row.detached !== 0 && { detached: true },
    };
    if (typeof (row.input_json ?? "") !== "string" || inputChecksum(input) !== row.checksum) {
      throw this.corrupt(workflowId, "input", "a row with another checksum");
    }
    return input;
  }

  /** The number of the last completion of a workflow, 0 where there is none. */
  async lastCompletion(workflow: number): Promise<number> {
    const [row] = await this.database.read(statements.selectLastCompletion(workflow));
    return row!.completion as number | null ?? 0;
  }

  /**
   * The completions of a workflow after one of them, in their order.
   *
   * @throws {CorruptCheckpointError} at the first that is missing or not as it was written
   */
  async completions(
    owner: Seen & { workflowId: string },
    after: number,
    limit: number,
  ): Promise<Checkpoint[]> {
    const rows = await this.database.read(statements.selectCompletions(owner.workflow, after, limit));
    return rows.map((row, i) => {
      const checkpoint = this.#readCheckpoint(owner.workflowId, row);
      if (checkpoint.completion !== after + 1 + i) {
        throw this.corrupt(owner.workflowId, checkpoint.key, `no completion ${after + 1 + i} before it`);
      }
      return checkpoint;
    });
  }

  /** The steps that were running when the workflow was last heard of. @throws {CorruptCheckpointError} likewise */
  async running(owner: Seen & { workflowId: string }): Promise<Checkpoint[]> {
    const rows = await this.database.read(statements.selectRunning(owner.workflow));
    const keys = new Set<string>();
    return rows.map((row) => {
      const checkpoint = this.#readCheckpoint(owner.workflowId, row);
      if (keys.has(checkpoint.key)) {
        throw this.corrupt(owner.workflowId, checkpoint.key, "two rows of a running step");
      }
      keys.add(checkpoint.key);
      return checkpoint;
    });
  }

  #readCheckpoint(workflowId: string, row: Row): Checkpoint {
    const { checkpoint, wrong } = readCheckpoint(workflowId, row);
    if (wrong !== undefined) throw this.corrupt(workflowId, String(row.step_key), wrong);
    return checkpoint;
  }

  /** All checkpoints of a workflow, for people: each as its row says, with what is wrong with it. */
  async inspect({ workflow, workflowId }: WorkflowRecord): Promise<InspectedCheckpoint[]> {
    const rows = await this.database.read(statements.selectCheckpoints(workflow));
    return rows.map((row) => {
      const { checkpoint, wrong } = readCheckpoint(workflowId, row);
      return {
        checkpoint,
        corrupt: wrong === undefined ? undefined : this.corrupt(workflowId, checkpoint.key, wrong),
      };
    });
  }

  /** The error for something of a workflow that cannot be read back as it was written. */
  corrupt(workflowId: string, key: string, found: string, cause?: unknown): CorruptCheckpointError {
    return new CorruptCheckpointError(this.location, workflowId, key, found, { cause });
  }

  /**
   * Takes a workflow over, if it is still as it was seen and nobody with a lease owns it.
   *
   * @param claim.gone an executor whose process has ended, to be struck off in the same commit
   * @param claim.arrivals what has come of what it waits for, to become part of its history in the same commit
   * @returns the right to write to it, or undefined if somebody else was first
   */
  async claim(record: WorkflowRecord, claim: {
    run: number;
    executor: number;
    recoveries: number;
    recoveredCompletion: number | null;
    now: number;
    gone: number | undefined;
    arrivals?: readonly ArrivedRow[];
  }): Promise<Ownership | undefined> {
    const { workflowId, workflow } = record;
    const owner = { workflowId, workflow, run: claim.run };
    // Before the claim, which heeds the lease of an executor that is registered.
    const gone = claim.gone === undefined ? [] : [statements.removeExecutor(claim.gone)];
    const batch = [
      ...gone,
      statements.claimWorkflow(record, claim),
      ...this.#arriving(owner, claim.arrivals ?? []),
    ];
    const claimed = (await this.database.write(batch))[gone.length] === 1;
    if (claim.gone !== undefined) this.#clearLock(claim.gone);
    return claimed ? owner : undefined;
  }

  /** Makes what has come a part of the workflow's history. @returns whether the run still owns the workflow */
  async arrive(owner: Ownership, arrivals: readonly ArrivedRow[]): Promise<boolean> {
    return (await this.database.write(this.#arriving(owner, arrivals), owner.run))[0] === 1;
  }

  #arriving(owner: Ownership, arrivals: readonly ArrivedRow[]): Statement[] {
    return arrivals.flatMap(({ checkpoint, replacesRunning, message }) => [
      statements.writeCheckpoint(owner, checkpoint, replacesRunning),
      ...message === undefined ? [] : [messages.consumeMessage(owner, message, checkpoint.completion!)],
    ]);
  }

  /**
   * Ends the run, and leaves the workflow waiting, unless a message is there that it would wait for.
   *
   * @param wait.rows what it waits for, where no row says so yet
   * @returns `"running"` if there is such a message: the rows are written, and the run goes on
   */
  async park(
    owner: Ownership,
    wait: { rows: readonly Checkpoint[]; dueAt: number | null; topics: readonly string[]; now: number },
  ): Promise<"parked" | "running" | "lost"> {
    const batch = wait.rows.map((row) => statements.writeCheckpoint(owner, row, false));
    batch.push(statements.parkWorkflow(owner, wait));
    const parked = (await this.database.write(batch, owner.run)).at(-1) === 1;
    return parked ? "parked" : await this.owns(owner) ? "running" : "lost";
  }

  /**
   * The workflows that are waiting and due, the longest due first.
   *
   * @param after the last one of the page before this one
   */
  async due(
    now: number,
    after: { dueAt: number; workflow: number },
    limit: number,
  ): Promise<DueWorkflow[]> {
    const rows = await this.database.read(statements.selectDue(now, after, limit));
    return rows.map((row) => ({
      workflow: row.workflow as number,
      workflowId: String(row.workflow_id),
      name: String(row.name),
      dueAt: row.due_at as number,
    }));
  }

  /** When the next workflow is due that is waiting, and is not due yet. */
  async nextDue(now: number): Promise<number | undefined> {
    const [row] = await this.database.read(statements.selectNextDue(now));
    return row!.due_at as number | null ?? undefined;
  }

  /** Whether a run owns its workflow still. */
  async owns(owner: Ownership): Promise<boolean> {
    return (await this.database.read(statements.selectOwnership(owner))).length === 1;
  }

  /** Blocks a workflow that nobody runs. @returns whether it was still as it was seen */
  async blockUnowned(record: WorkflowRecord, errorJson: string, now: number): Promise<boolean> {
    const { workflowId, outputJson } = record;
    const outcome: WorkflowOutcome = { status: "blocked", outputJson, errorJson, at: now };
    const batch = [
      statements.blockUnowned(record, workflowId, outcome),
      messages.discardMessages(workflowId, PAUSE_TOPIC),
    ];
    return (await this.database.write(batch))[0] === 1;
  }

  /** Lifts a block. @returns whether it was still as it was seen */
  async unblock(record: WorkflowRecord, now: number): Promise<boolean> {
    const batch = [
      messages.discardMessages(record.workflowId, PAUSE_TOPIC),
      statements.unblockWorkflow(record, now),
    ];
    return (await this.database.write(batch)).at(-1) === 1;
  }

  /**
   * Makes a failed workflow ready to run again.
   *
   * @param from the completion that failed it: failures from there on are put out of force, and results that came
   *   after it need not be asked for again; undefined if the workflow failed by itself
   * @returns whether it was still as it was seen
   */
  async retry(record: WorkflowRecord, from: number | undefined, now: number): Promise<boolean> {
    const tail = from === undefined ? [] : await this.completionsFrom(record, from);
    const amended = tail.filter(({ status }) => status === "failed" || status === "completed").map(
      (
        checkpoint,
      ) => ({ ...checkpoint, status: checkpoint.status === "failed" ? "retried" : "kept" } as const),
    );
    const batch = statements.retryWorkflow(record, record.workflowId, amended, now);
    return (await this.database.write(batch)).at(-1) === 1;
  }

  /** All completions from one on. */
  async completionsFrom(record: WorkflowRecord, from: number): Promise<Checkpoint[]> {
    const all: Checkpoint[] = [];
    for (let after = from - 1;;) {
      const page = await this.completions(record, after, PAGE);
      all.push(...page);
      if (page.length < PAGE) return all;
      after += PAGE;
    }
  }

  /**
   * Writes a checkpoint.
   *
   * @param replacesRunning whether the step has a row that says it is running
   * @returns whether the run still owns the workflow
   */
  checkpoint(owner: Ownership, checkpoint: Checkpoint, replacesRunning: boolean): Promise<boolean> {
    return this.#changed(statements.writeCheckpoint(owner, checkpoint, replacesRunning), owner.run);
  }

  /** The statement of {@linkcode Store.checkpoint}, for a rider or for {@linkcode Store.submit}. */
  checkpointStatement(owner: Ownership, checkpoint: Checkpoint, replacesRunning: boolean): Statement {
    return statements.writeCheckpoint(owner, checkpoint, replacesRunning);
  }

  /** Writes what calls back; see {@linkcode Database.submit}. */
  submit(write: Write): void {
    this.database.submit(write);
  }

  /** Lets the row of a running step ride along with the next commit; see {@linkcode Database.rideAlong}. */
  rideAlong(rider: Rider): void {
    this.database.rideAlong(rider);
  }

  /**
   * Ends the run, with the workflow's outcome or blocked. Its parent is told; its children are cancelled.
   *
   * @param ending.abandoned the steps whose rows still say that they are running, as they are left
   * @param ending.waited whether there are rows that say the workflow waits
   * @param ending.children the children that end with it
   * @returns whether the run still owned the workflow
   */
  async finish(
    owner: Ownership,
    outcome: WorkflowOutcome,
    ending: {
      abandoned?: readonly Checkpoint[];
      waited?: boolean;
      parentId?: string;
      children?: readonly string[];
    } = {},
  ): Promise<boolean> {
    const { abandoned = [], waited = false, parentId, children = [] } = ending;
    const batch = abandoned.map((checkpoint) => statements.writeCheckpoint(owner, checkpoint, true));
    if (waited) batch.push(statements.forgetWaits(owner));
    const place = batch.push(statements.finishWorkflow(owner, outcome)) - 1;
    if (parentId !== undefined) batch.push(...this.#tellParent(owner, parentId, outcome.at));
    for (const child of children) batch.push(...this.#cancelChild(owner, child, outcome.at));
    return (await this.database.write(batch, owner.run))[place] === 1;
  }

  #tellParent(
    ended: Pick<Seen, "workflow" | "run"> & { workflowId: string },
    parentId: string,
    at: number,
  ): Statement[] {
    const topic = childTopic(ended.workflowId);
    const message = { workflowId: parentId, topic, payloadJson: null, sentAt: at };
    return [messages.sendFrom(ended, message, null), messages.wakeWorkflow(parentId, at, topic)];
  }

  #cancelChild(owner: Ownership, workflowId: string, at: number): Statement[] {
    const message = { workflowId, topic: CANCEL_TOPIC, payloadJson: null, sentAt: at };
    return [messages.sendFrom(owner, message, CANCEL_TOPIC), messages.wakeWorkflow(workflowId, at)];
  }

  /** Blocks the workflow: the run ends, and nothing of what it has begun is lost. @returns whether it still owned it */
  async block(owner: Ownership, outcome: WorkflowOutcome): Promise<boolean> {
    const batch = [
      statements.finishWorkflow(owner, outcome),
      messages.discardMessages(owner.workflowId, PAUSE_TOPIC),
    ];
    return (await this.database.write(batch, owner.run))[0] === 1;
  }

  /** The children of a workflow that have not ended and end with it. */
  async openChildren(workflowId: string): Promise<string[]> {
    const rows = await this.database.read(statements.selectOpenChildren(workflowId));
    return rows.map((row) => String(row.workflow_id));
  }

  /** Requests the children of a workflow to be cancelled. */
  async cancelChildren(owner: Ownership, children: readonly string[], now: number): Promise<void> {
    await this.database.write(children.flatMap((child) => this.#cancelChild(owner, child, now)), owner.run);
  }

  /**
   * Makes a child, which nobody runs yet, and the row that says its parent waits for it.
   *
   * @returns `"made"`, `"taken"` if there is a workflow of this id, or `"lost"` if the run does not own the parent
   */
  async createChild(
    owner: Ownership,
    input: WorkflowInput,
    wait: Checkpoint,
  ): Promise<"made" | "taken" | "lost"> {
    const batch = statements.createChild(owner, input);
    batch.push(statements.writeCheckpoint(owner, wait, false));
    const [made, , written] = await this.database.write(batch, owner.run);
    return written === 0 ? "lost" : made === 0 ? "taken" : "made";
  }

  /**
   * Cancels a workflow: at once if it is blocked or has not begun; otherwise it is told.
   *
   * @returns whether it is cancelled, or will be told; false if it is not as it was seen, or has ended
   */
  async cancel(
    record: WorkflowRecord,
    parentId: string | undefined,
    outcome: WorkflowOutcome,
  ): Promise<boolean> {
    const { workflowId } = record;
    const { at } = outcome;
    const message = { workflowId, topic: CANCEL_TOPIC, payloadJson: null, sentAt: at };
    const results = await this.database.write([
      statements.cancelUnowned(record, workflowId, outcome),
      messages.sendRequest(message, CANCEL_TOPIC),
      messages.wakeWorkflow(workflowId, at),
      ...parentId === undefined ? [] : this.#tellParent(record, parentId, at),
    ]);
    return results[0] === 1 || results[1] === 1 ||
      (await this.database.read(messages.selectMessageByKey(workflowId, CANCEL_TOPIC, CANCEL_TOPIC))).length >
        0;
  }

  /** Pauses a workflow: at once if it waits or nobody runs it; otherwise it is told. @returns as {@linkcode Store.cancel} */
  async pause(record: WorkflowRecord, outcome: WorkflowOutcome): Promise<boolean> {
    const { workflowId } = record;
    const message = { workflowId, topic: PAUSE_TOPIC, payloadJson: null, sentAt: outcome.at };
    const [paused, told] = await this.database.write([
      statements.pauseUnowned(record, workflowId, outcome),
      messages.sendRequest(message, null),
    ]);
    return paused === 1 || told === 1;
  }

  /** Ends the run without an outcome. @returns whether it still owned the workflow */
  release(owner: Ownership, now: number): Promise<boolean> {
    return this.#changed(statements.releaseWorkflow(owner, now));
  }

  /** Renews an executor's lease. */
  async renew(executor: number, leaseUntil: number): Promise<void> {
    await this.database.write([statements.renewLease(executor, leaseUntil)]);
  }

  /** Strikes an executor off that owns nothing any more, and removes its lock. */
  async retire(executor: number): Promise<void> {
    await this.database.write([statements.removeExecutor(executor)]);
    this.#clearLock(executor);
  }

  /** Strikes off the executors whose process is gone, and removes their locks. */
  async removeGone(self: number): Promise<void> {
    const rows = await this.database.read(statements.selectExecutors(MAX_SWEPT));
    const executors = new Set([...rows.map((row) => row.executor as number), ...this.database.listLocks()]);
    for (const executor of executors) {
      if (executor !== self && this.liveness(executor) === "gone") await this.retire(executor);
    }
  }

  /** Removes the lock of an executor that is struck off; what cannot be removed hurts nobody. */
  #clearLock(executor: number): void {
    try {
      this.database.clearLock(executor);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Takes the lock that shows that this executor's process lives. */
  holdLock(executor: number): void {
    this.database.holdLock(executor);
  }

  /** Whether an executor's process lives. */
  liveness(executor: number): Liveness {
    return this.database.probeLock(executor);
  }

  /** Calls back whenever another process may have changed the store. @returns a function that ends it */
  watch(listener: () => void): () => void {
    return this.database.watch(listener);
  }

  close(): Promise<void> {
    return this.database.close();
  }

  async #changed(statement: Statement, stream?: number): Promise<boolean> {
    return (await this.database.write([statement], stream))[0] === 1;
  }
}

/** Whether a workflow of this status has an outcome. */
export function hasEnded(status: WorkflowStatus): status is "completed" | "failed" | "cancelled" {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** How many executors are looked at, at most, when those that are gone are struck off. */
const MAX_SWEPT = 1_000;
/** How many completions are read at a time. */
const PAGE = 1_000;

function readWorkflow(row: Row): WorkflowRecord {
  return {
    workflow: row.workflow as number,
    workflowId: String(row.workflow_id),
    name: String(row.name),
    status: String(row.status) as WorkflowStatus,
    run: row.run as number | null,
    executor: row.executor as number | null,
    leaseUntil: row.lease_until as number | null ?? null,
    recoveries: row.recoveries as number,
    recoveredCompletion: row.recovered_completion as number | null,
    createdAt: row.created_at as number,
    updatedAt: row.updated_at as number,
    completedAt: row.completed_at as number | null,
    dueAt: row.due_at as number | null,
    outputJson: textOrNull(row.output_json),
    errorJson: textOrNull(row.error_json),
    checksum: row.checksum as number | null,
  };
}
