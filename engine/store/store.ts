/**
 * The store: what the engine keeps, in the engine's words. Every operation is one batch; what it may change is fenced
 * in its statements, and whether it has is the answer.
 *
 * @module
 */

import * as checkpoints from "./checkpoint_statements.ts";
import type { Batch, OpenTransaction, Rider, Statement, TransactionRequest, Write } from "./database.ts";
import { removeExecutor } from "./executor_statements.ts";
import * as forks from "./fork_statements.ts";
import type { Copied, Forking, ForkPlacing } from "./fork_statements.ts";
import { CANCEL_TOPIC, childTopic, type KeptMessage, PAUSE_TOPIC } from "./mailbox.ts";
import { joinLine, leaveLine, notePartition } from "./line_statements.ts";
import * as messages from "./message_statements.ts";
import type { Ownership, Seen, SeenInQueue, Takeover } from "./ownership.ts";
import * as publications from "./publication_statements.ts";
import { Records, type WorkflowRecord } from "./records.ts";
import { writePatch } from "./patch_statements.ts";
import {
  claimPlace,
  ensureQueue,
  notePlacement,
  placeCancelled,
  type QueueLimits,
  selectQueue,
} from "./queue_statements.ts";
import {
  type Checkpoint,
  isPublication,
  type Patch,
  type Publication,
  type WorkflowInput,
  type WorkflowOutcome,
} from "./rows.ts";
import * as workflows from "./workflow_statements.ts";

/** What has come of what a workflow waits for, as it is written down. */
export interface ArrivedRow {
  readonly checkpoint: Checkpoint;
  /** Whether it takes the place of a row that says the workflow waits for it. */
  readonly replacesRunning: boolean;
  /** The message that it was, if it was one. */
  readonly message: KeptMessage | undefined;
}

/** See the module. */
export class Store extends Records {
  /**
   * Makes a workflow that this run owns.
   *
   * @returns the right to write to it, or undefined if the id is taken
   */
  async create(input: WorkflowInput, run: number, executor: number): Promise<Ownership | undefined> {
    const [workflow] = await this.database.write(workflows.createWorkflow(input, run, executor));
    return workflow === 0 ? undefined : { workflowId: input.workflowId, workflow: workflow!, run };
  }

  /**
   * Takes a workflow over, if it is still as it was seen, nobody with a lease owns it, and its queue has a place for it.
   *
   * @param claim.begins the input of a workflow that begins now, and was made before
   * @param claim.gone an executor whose process has ended, to be struck off in the same commit
   * @param claim.arrivals what has come of what it waits for, to become part of its history in the same commit
   * @returns the right to write to it, or undefined if it is not to be had
   */
  async claim(
    record: WorkflowRecord,
    claim: Takeover & { gone: number | undefined; arrivals?: readonly ArrivedRow[]; begins?: WorkflowInput },
  ): Promise<Ownership | undefined> {
    const { workflowId, workflow } = record;
    const isPartitioned = record.queue !== null && record.partition !== null;
    const owner = { workflowId, workflow, run: claim.run, ...isPartitioned && { isPartitioned } };
    // Before the claim, which heeds the lease of an executor that is registered.
    const gone = claim.gone === undefined ? [] : [removeExecutor(claim.gone)];
    const batch = [
      ...gone,
      record.queue === null ? workflows.claimWorkflow(record, claim) : claimPlace(record, claim),
      ...claim.begins === undefined ? [] : [workflows.beginWorkflow(owner, claim.begins, claim.now)],
      ...this.arrivalStatements(owner, claim.arrivals ?? []),
      ...record.queue === null || record.isPlaced
        ? []
        : [...notePlacement(workflow, claim.run, claim.now), ...leaveLine(workflow)],
      ...isPartitioned ? [notePartition(workflow)] : [],
    ];
    return (await this.database.write(batch))[gone.length] === 1 ? owner : undefined;
  }

  /** Writes what the schema of a workflow has made of its input. @returns whether the run still owned the workflow */
  writeCheckedInput(owner: Ownership, input: WorkflowInput): Promise<boolean> {
    return this.#changed(workflows.writeCheckedInput(owner, input));
  }

  /**
   * The statement by which a run takes up again what waits and it was the last to have, if the queue of that has a place for it;
   * for {@linkcode Store.submit}.
   */
  rejoinStatement(
    { workflow, run }: Ownership,
    { executor, isQueued, now }: { executor: number; isQueued: boolean; now: number },
  ): Statement {
    const seen = { workflow, run, status: "waiting" } as const;
    const takeover = { run, executor, recoveries: 0, recoveredCompletion: null, now };
    return isQueued ? claimPlace(seen, takeover) : workflows.claimWorkflow(seen, takeover);
  }

  /** The statements that make what has come a part of the workflow's history, for {@linkcode Store.submit}. */
  arrivalStatements(owner: Ownership, arrivals: readonly ArrivedRow[]): Statement[] {
    return arrivals.flatMap(({ checkpoint, replacesRunning, message }) => [
      checkpoints.writeCheckpoint(owner, checkpoint, replacesRunning),
      ...message === undefined ? [] : messages.consumeMessage(owner, message, checkpoint.completion!),
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
    const batch = wait.rows.map((row) => checkpoints.writeCheckpoint(owner, row, false));
    batch.push(workflows.parkWorkflow(owner, wait));
    const parked = (await this.database.write(batch, owner.run)).at(-1) === 1;
    return parked ? "parked" : await this.owns(owner) ? "running" : "lost";
  }

  /** Blocks a workflow that nobody runs. @returns whether it was still as it was seen */
  async blockUnowned(record: WorkflowRecord, errorJson: string, now: number): Promise<boolean> {
    const { workflowId, outputJson } = record;
    const outcome: WorkflowOutcome = { status: "blocked", outputJson, errorJson, at: now };
    const batch = [
      workflows.blockUnowned(record, workflowId, outcome),
      ...messages.discardMessages(workflowId, PAUSE_TOPIC),
      ...afterChange(record),
    ];
    return (await this.database.write(batch))[0] === 1;
  }

  /** Lifts a block. @returns whether it was still as it was seen */
  async unblock(record: WorkflowRecord, now: number): Promise<boolean> {
    const discard = messages.discardMessages(record.workflowId, PAUSE_TOPIC);
    const results = await this.database.write([
      ...discard,
      workflows.unblockWorkflow(record, now),
      ...afterChange(record),
    ]);
    return results[discard.length] === 1;
  }

  /**
   * Makes a workflow that has failed or was cancelled ready to run again. What it was requested before, and what its
   * parent was told of its end and has not looked at, is forgotten.
   *
   * @param from the completion that failed it: failures from there on are put out of force, with what the workflow
   *   showed to the outside, and results that came after it need not be asked for again; undefined if the workflow failed
   *   by itself
   * @returns whether it was still as it was seen, and no other one that has not ended has its deduplication key
   */
  async retry(
    record: WorkflowRecord,
    { from, parentId, now }: { from: number | undefined; parentId: string | undefined; now: number },
  ): Promise<boolean> {
    const { workflowId } = record;
    const batch: Statement[] = [];
    for await (const page of from === undefined ? [] : this.completionsFrom(record, from)) {
      for (const checkpoint of page) {
        if (checkpoint.status !== "failed" && checkpoint.status !== "completed") continue;
        // Kept, "failed" would stand for what the workflow shows next under the same name.
        // A cleanup begins anew, with its time.
        const { kind } = checkpoint;
        const isOver = checkpoint.status === "failed" || isPublication(kind) || kind === "cleanup";
        const status = isOver ? "retried" : "kept";
        batch.push(checkpoints.amendCheckpoint(record, workflowId, { ...checkpoint, status }));
      }
    }
    batch.push(
      ...messages.forgetRequest(record, { workflowId, topic: CANCEL_TOPIC }, CANCEL_TOPIC),
      ...messages.forgetKept(record, { workflowId, topic: PAUSE_TOPIC }),
    );
    if (parentId !== undefined) {
      batch.push(...messages.forgetKept(record, { workflowId: parentId, topic: childTopic(workflowId) }));
    }
    batch.push(workflows.retryWorkflow(record, now));
    const results = await this.database.write([...batch, ...afterChange(record)]);
    return results[batch.length - 1] === 1;
  }

  /**
   * Writes a checkpoint.
   *
   * @param replacesRunning whether the step has a row that says it is running
   * @returns whether the run still owns the workflow
   */
  checkpoint(owner: Ownership, checkpoint: Checkpoint, replacesRunning: boolean): Promise<boolean> {
    return this.#changed(checkpoints.writeCheckpoint(owner, checkpoint, replacesRunning), owner.run);
  }

  /** What completes a step, for {@linkcode Store.submit}: its checkpoint, and what is shown to the outside with it. */
  completing(
    owner: Ownership,
    checkpoint: Checkpoint,
    replacesRunning: boolean,
    publication: Publication | undefined,
  ): Batch {
    const written = checkpoints.writeCheckpoint(owner, checkpoint, replacesRunning);
    return publication === undefined
      ? [written]
      : [written, publications.writePublication(owner, checkpoint, publication)];
  }

  /** The statement of {@linkcode Store.checkpoint}, for a rider. */
  checkpointStatement(owner: Ownership, checkpoint: Checkpoint, replacesRunning: boolean): Statement {
    return checkpoints.writeCheckpoint(owner, checkpoint, replacesRunning);
  }

  /** The statement that says that the workflow has taken up a change of its code, for {@linkcode Store.submit}. */
  patchStatement(owner: Ownership, patch: Patch): Statement {
    return writePatch(owner, patch);
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
    const batch = abandoned.map((checkpoint) => checkpoints.writeCheckpoint(owner, checkpoint, true));
    if (waited) batch.push(checkpoints.forgetWaits(owner));
    if (parentId !== undefined) batch.push(...this.#tellParent(owner, parentId, outcome.at));
    for (const child of children) batch.push(...this.#cancelChild(owner, child, outcome.at));
    // At the end: until then the run owns the workflow, which is what the fences of all the others ask.
    const ended = batch.push(workflows.finishWorkflow(owner, outcome)) - 1;
    if (owner.isPartitioned) batch.push(notePartition(owner.workflow));
    return (await this.database.write(batch, owner.run))[ended] === 1;
  }

  #tellParent(
    ended: (Ownership | Seen) & { readonly workflowId: string },
    parentId: string,
    at: number,
  ): Statement[] {
    const topic = childTopic(ended.workflowId);
    const message = { workflowId: parentId, topic, payloadJson: null, sentAt: at };
    return [messages.sendFrom(ended, message, null), messages.wakeWorkflow(parentId, at, topic)];
  }

  #cancelChild(owner: Ownership | Seen, workflowId: string, at: number): Statement[] {
    const message = { workflowId, topic: CANCEL_TOPIC, payloadJson: null, sentAt: at };
    return [messages.sendFrom(owner, message, CANCEL_TOPIC), messages.wakeWorkflow(workflowId, at)];
  }

  /**
   * Blocks the workflow: the run ends, and nothing of what it has begun is lost.
   *
   * @param waits what it waits for, where no row says so yet
   * @returns whether it still owned it
   */
  async block(
    owner: Ownership,
    outcome: WorkflowOutcome,
    waits: readonly Checkpoint[] = [],
  ): Promise<boolean> {
    const batch = [
      ...waits.map((row) => checkpoints.writeCheckpoint(owner, row, false)),
      workflows.finishWorkflow(owner, outcome),
      ...messages.discardMessages(owner.workflowId, PAUSE_TOPIC),
      ...owner.isPartitioned ? [notePartition(owner.workflow)] : [],
    ];
    return (await this.database.write(batch, owner.run))[waits.length] === 1;
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
    const batch = workflows.createChild(owner, input);
    batch.push(checkpoints.writeCheckpoint(owner, wait, false));
    const [made, , written] = await this.database.write(batch, owner.run);
    return written === 0 ? "lost" : made === 0 ? "taken" : "made";
  }

  /**
   * Makes a workflow that begins with checkpoints of another, and that no process runs yet. What they hold does not pass
   * through this process: the store copies it.
   *
   * @param copied what was found of the other as it is in the record
   * @param how.place where it waits for its turn, and the limits of a queue that has to be made; undefined for in no queue
   * @returns whether it was made: not if there is a workflow of this id, the other one was retried meanwhile, or the queue
   *   is full
   */
  async fork(
    fork: Forking,
    input: WorkflowInput,
    copied: Copied,
    { now, place }: {
      now: number;
      place?: { readonly placing: ForkPlacing; readonly limits: QueueLimits } | undefined;
    },
  ): Promise<boolean> {
    const ensured = place === undefined ? [] : [ensureQueue(place.placing.queue, place.limits)];
    const results = await this.database.write([
      ...ensured,
      ...forks.createFork(fork, input, { now, placing: place?.placing }),
      ...forks.copyCheckpoints(fork, copied.checkpoints),
      ...copied.patches.map((patch) => forks.copyPatch(fork, patch)),
      ...forks.copyPublished(fork, copied.published),
      ...forks.copyEmitted(fork, copied.emitted),
    ]);
    return results[ensured.length] === 1;
  }

  /** How many wait in a queue to begin, and how many may; undefined if there is no such queue. */
  async queueDepth(name: string): Promise<{ depth: number; maxDepth: number } | undefined> {
    const [row] = await this.database.read(selectQueue(name));
    return row && { depth: row.depth as number, maxDepth: row.max_depth as number };
  }

  /**
   * Cancels a workflow: at once, and its children with it, if it is blocked or has not begun; otherwise it is told, and is
   * to be paused no more.
   *
   * @returns the ids of those that were told besides; undefined if it is not as it was seen, or has ended
   */
  async cancel(
    record: WorkflowRecord,
    parentId: string | undefined,
    outcome: WorkflowOutcome,
  ): Promise<string[] | undefined> {
    const { workflowId } = record;
    const { at } = outcome;
    const children = record.status === "blocked" ? await this.openChildren(workflowId) : [];
    const message = { workflowId, topic: CANCEL_TOPIC, payloadJson: null, sentAt: at };
    const before = [
      ...messages.forgetKept(record, { workflowId, topic: PAUSE_TOPIC }),
      ...parentId === undefined ? [] : this.#tellParent(record, parentId, at),
      ...children.flatMap((child) => this.#cancelChild(record, child, at)),
    ];
    const [cancelled, sent] = (await this.database.write([
      ...before,
      workflows.cancelUnowned(record, workflowId, outcome),
      messages.sendRequest(message, CANCEL_TOPIC),
      messages.wakeWorkflow(workflowId, at),
      ...this.#placing(record, at),
      ...afterChange(record),
    ])).slice(before.length);
    if (cancelled === 1) return [...children, ...parentId === undefined ? [] : [parentId]];
    const requested = sent === 1 ||
      (await this.database.read(messages.selectMessageByKey(workflowId, CANCEL_TOPIC, CANCEL_TOPIC))).length >
        0;
    return requested ? [] : undefined;
  }

  /**
   * Cancels a workflow that has begun and is paused: it goes on, and is told.
   *
   * @returns whether it was still as it was seen
   */
  async cancelPaused(record: WorkflowRecord, now: number): Promise<boolean> {
    const message = { workflowId: record.workflowId, topic: CANCEL_TOPIC, payloadJson: null, sentAt: now };
    // In this order: nothing is sent to one that is blocked.
    const batch = [
      workflows.unblockWorkflow(record, now),
      messages.sendRequest(message, CANCEL_TOPIC),
      ...this.#placing(record, now),
      ...afterChange(record),
    ];
    return (await this.database.write(batch))[0] === 1;
  }

  /** Gives a workflow that has begun its slot back, so that its steps are undone. */
  #placing(record: WorkflowRecord, now: number): Statement[] {
    const { run, queue, workflow } = record;
    if (run === null || queue === null) return [];
    return [placeCancelled(record, now), ...notePlacement(workflow, run, now)];
  }

  /** Has a workflow that is running be paused no more. */
  async withdrawPause(record: WorkflowRecord): Promise<void> {
    const { workflowId } = record;
    await this.database.write(messages.forgetKept(record, { workflowId, topic: PAUSE_TOPIC }));
  }

  /**
   * Pauses a workflow: at once if it waits or nobody runs it; otherwise it is told. There is a message in any case, so that
   * a process that would wake it hears of it.
   *
   * @returns whether it is paused, or will be told
   */
  async pause(record: WorkflowRecord, outcome: WorkflowOutcome): Promise<boolean> {
    const { workflowId } = record;
    const message = { workflowId, topic: PAUSE_TOPIC, payloadJson: null, sentAt: outcome.at };
    const [told] = await this.database.write([
      messages.sendRequest(message, null),
      workflows.pauseUnowned(record, workflowId, outcome),
      ...messages.discardMessages(workflowId, PAUSE_TOPIC),
      ...afterChange(record),
    ]);
    return told === 1;
  }

  /** Ends the run without an outcome. @param waits as of {@linkcode Store.block}. @returns whether it still owned it */
  async release(owner: Ownership, now: number, waits: readonly Checkpoint[] = []): Promise<boolean> {
    const batch = waits.map((row) => checkpoints.writeCheckpoint(owner, row, false));
    batch.push(workflows.releaseWorkflow(owner, now));
    return (await this.database.write(batch)).at(-1) === 1;
  }

  /** Settled once all that the run has written before is in the store. */
  async settled({ run }: Ownership): Promise<void> {
    await this.database.write([], run);
  }

  /** Begins a transaction with a user's statements; see {@linkcode Database.begin}. */
  begin(request: TransactionRequest): Promise<OpenTransaction> {
    return this.database.begin(request);
  }

  /** The statements that make a workflow which nobody runs yet; the first changes a row if its id was free. */
  starting(input: WorkflowInput): Statement[] {
    return workflows.createPending(input);
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

/** Brings the lines of its queue up to date with what a batch has made of a workflow, if it is in one. */
function afterChange({ queue, partition, workflow }: SeenInQueue): Statement[] {
  if (queue === null) return [];
  const place = partition === null ? [] : [notePartition(workflow)];
  return [...leaveLine(workflow), ...joinLine(workflow), ...place];
}
