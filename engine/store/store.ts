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
    if (status !== "completed" && status !== "failed" && status !== "blocked") {
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
   * @returns the right to write to it, or undefined if somebody else was first
   */
  async claim(record: WorkflowRecord, claim: {
    run: number;
    executor: number;
    recoveries: number;
    recoveredCompletion: number | null;
    now: number;
    gone: number | undefined;
  }): Promise<Ownership | undefined> {
    const batch = [];
    if (claim.gone !== undefined) batch.push(statements.removeExecutor(claim.gone));
    batch.push(statements.claimWorkflow(record, claim));
    const claimed = (await this.database.write(batch)).at(-1) === 1;
    if (claim.gone !== undefined) this.#clearLock(claim.gone);
    return claimed ? { workflowId: record.workflowId, workflow: record.workflow, run: claim.run } : undefined;
  }

  /** Whether a run owns its workflow still. */
  async owns(owner: Ownership): Promise<boolean> {
    return (await this.database.read(statements.selectOwnership(owner))).length === 1;
  }

  /** Blocks a workflow that nobody runs. @returns whether it was still as it was seen */
  async blockUnowned(record: WorkflowRecord, errorJson: string, now: number): Promise<boolean> {
    const outcome: WorkflowOutcome = { status: "blocked", outputJson: record.outputJson, errorJson, at: now };
    return await this.#changed(statements.blockUnowned(record, record.workflowId, outcome));
  }

  /** Lifts a block. @returns whether it was still as it was seen */
  unblock(record: WorkflowRecord, now: number): Promise<boolean> {
    return this.#changed(statements.unblockWorkflow(record, now));
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
   * Ends the run, with the workflow's outcome or blocked.
   *
   * @param abandoned the steps whose rows still say that they are running, as they are left
   * @returns whether the run still owned the workflow
   */
  async finish(
    owner: Ownership,
    outcome: WorkflowOutcome,
    abandoned: readonly Checkpoint[],
  ): Promise<boolean> {
    const batch = abandoned.map((checkpoint) => statements.writeCheckpoint(owner, checkpoint, true));
    batch.push(statements.finishWorkflow(owner, outcome));
    return (await this.database.write(batch, owner.run)).at(-1) === 1;
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
    outputJson: textOrNull(row.output_json),
    errorJson: textOrNull(row.error_json),
    checksum: row.checksum as number | null,
  };
}
