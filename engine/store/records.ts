import { CorruptCheckpointError } from "../errors.ts";
import * as checkpoints from "./checkpoint_statements.ts";
import type { Database, Row } from "./database.ts";
import type { Ownership, Seen, SeenInQueue } from "./ownership.ts";
import { PAGE_LIMITS, type PageLimits, readPage } from "./pages.ts";
import * as patches from "./patch_statements.ts";
import { emittedAfter, publishedAfter } from "./publication_statements.ts";
import {
  type Checkpoint,
  findWrongInteger,
  inputChecksum,
  type IntegerColumns,
  outcomeChecksum,
  type Patch,
  patchChecksum,
  publicationChecksum,
  readCheckpoint,
  type ShownPublication,
  textOrNull,
  WORKFLOW_STATUSES,
  type WorkflowInput,
  type WorkflowStatus,
} from "./rows.ts";
import { parseStoredError, type StoredError } from "../stored_error.ts";
import * as workflows from "./workflow_statements.ts";
import type { CodeName, WorkflowFilter } from "./workflow_statements.ts";

/** A workflow as the store has it, without what it has come to. */
export interface ListedWorkflow extends SeenInQueue {
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
  /** When it was last retried. */
  readonly retriedAt: number | null;
  /** Waiting: when it is to be looked at; null where only a message can move it on. */
  readonly dueAt: number | null;
  readonly queueName: string | null;
  /** Of its code, as the workers find it. */
  readonly version: string | undefined;
  /** Whether it has its slot in its queue. */
  readonly isPlaced: boolean;
  /** In a list, of one that is large, no more than what it is. */
  readonly errorJson: string | null;
}

/** A workflow as the store has it. */
export interface WorkflowRecord extends ListedWorkflow {
  readonly outputJson: string | null;
  /** Of its outcome; null while it has none. */
  readonly checksum: number | null;
  /** What of its row cannot be used as it is, if something cannot. */
  readonly wrong: string | undefined;
}

/** A checkpoint, and why it cannot be used, if it cannot. */
export interface InspectedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly corrupt: CorruptCheckpointError | undefined;
}

/** Some of them. */
export interface InspectedPage {
  /** With the number of the row, for those that run. */
  readonly rows: readonly (InspectedCheckpoint & { readonly row?: number })[];
  /** Whether there are more after them. */
  readonly more: boolean;
}

/** Some completions that follow each other. */
export interface CompletionPage {
  readonly completions: readonly Checkpoint[];
  /** Whether there are more after them. */
  readonly more: boolean;
}

/** A workflow that a worker can claim, as an index has it. */
export interface ReadyWorkflow {
  /** Its short key. */
  readonly workflow: number;
  readonly workflowId: string;
  readonly name: string;
  readonly version: string | undefined;
  /** The short key of its queue; null where it is in none. */
  readonly queue: number | null;
  readonly partition: string | null;
  /** How many more of its partition may get a slot, where its queue limits that. */
  readonly partitionRoom: number | undefined;
}

/** Who owns a workflow, and with it who waits for it. */
export interface Owned {
  readonly status: WorkflowStatus;
  /** When it is due, if it waits; null where only a message can move it on. */
  readonly dueAt: number | null;
  /** Null where nobody does. */
  readonly executor: number | null;
  /** Null where it is not written down. */
  readonly leaseUntil: number | null;
  /** The workflow that it is a child of. */
  readonly parentId: string | undefined;
}

/** How many completions are looked through at a time for those of a step. */
const SEARCHED = 10_000;

/** What is stored of workflows, to be read; nothing is taken for read that is not as it was written. */
export class Records {
  constructor(protected readonly database: Database) {}

  /** Where the store is, for messages. */
  get location(): string {
    return this.database.location;
  }

  /**
   * The workflow of this id.
   *
   * @param workflow its short key, where that is known: then the index of ids is not asked
   * @throws {CorruptCheckpointError} if it is another workflow that is found under this id
   */
  async find(workflowId: string, workflow?: number): Promise<WorkflowRecord | undefined> {
    const statement = workflow === undefined
      ? workflows.selectWorkflow(workflowId)
      : workflows.selectWorkflowByKey(workflow);
    const [row] = await this.database.read(statement);
    if (row === undefined) return undefined;
    const record = readWorkflow(row);
    if (record.workflowId === workflowId) return record;
    const found = `the row of workflow "${record.workflowId}" under its id: an index of the file is damaged`;
    throw this.corrupt(workflowId, "workflow", found);
  }

  /**
   * What changes with all that happens to a workflow, by the ids of those that there are: its status, and how many
   * completions there are.
   */
  async states(workflowIds: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const rows = await this.database.read(workflows.selectStates(workflowIds));
    return new Map(rows.map(({ workflow_id: id, ...state }) => [String(id), JSON.stringify(state)]));
  }

  /** Who owns workflows, by the ids of those that there are. */
  async owned(workflowIds: readonly string[]): Promise<ReadonlyMap<string, Owned>> {
    const rows = await this.database.read(workflows.selectOwned(workflowIds));
    return new Map(rows.map((row) => {
      const owned = {
        status: row.status as WorkflowStatus,
        dueAt: row.due_at as number | null,
        executor: row.executor as number | null,
        leaseUntil: row.lease_until as number | null,
        parentId: textOrNull(row.parent_id) ?? undefined,
      };
      return [String(row.workflow_id), owned];
    }));
  }

  /** Workflows, the newest first. */
  async list(filter: WorkflowFilter): Promise<ListedWorkflow[]> {
    const rows = await this.database.read(workflows.selectWorkflows(filter));
    return rows.map(readListed);
  }

  /** Checks that a workflow's outcome is as it was written. @throws {CorruptCheckpointError} if it is not */
  verifyOutcome(record: WorkflowRecord): void {
    const { workflowId, status, outputJson, errorJson, wrong } = record;
    if (!WORKFLOW_STATUSES.includes(status)) {
      throw this.corrupt(workflowId, "outcome", `the status "${status}"`);
    }
    if (!hasEnded(status) && status !== "blocked") {
      if (record.checksum !== null) {
        throw this.corrupt(workflowId, "outcome", `an outcome, and the status "${status}"`);
      }
      if (wrong !== undefined) throw this.corrupt(workflowId, "workflow", wrong);
      return;
    }
    const at = status === "blocked" ? record.updatedAt : record.completedAt!;
    if (record.checksum !== outcomeChecksum(workflowId, { status, outputJson, errorJson, at })) {
      throw this.corrupt(workflowId, "outcome", "a row with another checksum");
    }
  }

  /**
   * What is stored of the error that a workflow has ended with, or is blocked with. Its checksum says who has written it,
   * and not that it is an error.
   *
   * @throws {CorruptCheckpointError} if it is none
   */
  outcomeError({ workflowId, errorJson }: WorkflowRecord): StoredError {
    if (errorJson === null) throw this.corrupt(workflowId, "outcome", "no error");
    try {
      return parseStoredError(errorJson);
    } catch (cause) {
      throw this.corrupt(
        workflowId,
        "outcome",
        `a text that is no error (${(cause as Error).message})`,
        cause,
      );
    }
  }

  /** What the workflow was started with; its time is counted from its last retry. @throws {CorruptCheckpointError} if it is not as it was written */
  async input(record: ListedWorkflow): Promise<WorkflowInput> {
    const { workflowId, name, createdAt } = record;
    const [row] = await this.database.read(workflows.selectInput(record.workflow));
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
      ...row.forked_from !== null && { forkedFrom: String(row.forked_from) },
      ...row.forked_at !== null && { forkedAt: row.forked_at as number },
      ...row.unchecked !== 0 && { unchecked: true },
      ...row.begun_at !== null && { begunAt: row.begun_at as number },
    };
    if (typeof (row.input_json ?? "") !== "string" || inputChecksum(input) !== row.checksum) {
      throw this.corrupt(workflowId, "input", "a row with another checksum");
    }
    const { deadlineAt, forkedAt: begunAt = createdAt } = input;
    if (deadlineAt === undefined || record.retriedAt === null) return input;
    return { ...input, deadlineAt: deadlineAt + record.retriedAt - begunAt };
  }

  /** The number of the last completion of a workflow, 0 where there is none. */
  async lastCompletion(workflow: number): Promise<number> {
    const [row] = await this.database.read(checkpoints.selectLastCompletion(workflow));
    return row!.completion as number | null ?? 0;
  }

  /** Where a step completed first: null if it has begun and not completed yet; undefined if there is no such step. */
  async firstCompletion(
    { workflow }: Seen,
    stepKey: string,
  ): Promise<{ completion: number | null } | undefined> {
    const last = await this.lastCompletion(workflow);
    for (let after = 0; after < last; after += SEARCHED) {
      const among = { after, last: Math.min(last, after + SEARCHED) };
      const [row] = await this.database.read(checkpoints.selectFirstCompletion(workflow, stepKey, among));
      if (row !== undefined) return { completion: row.completion as number };
    }
    const [begun] = await this.database.read(checkpoints.selectBegun(workflow, stepKey));
    return begun && { completion: null };
  }

  /**
   * The completions of a workflow after one of them, in their order, as many as make a page.
   *
   * @throws {CorruptCheckpointError} at the first that is missing or not as it was written
   */
  async completions(
    owner: Seen & { workflowId: string },
    after: number,
    limits: PageLimits = PAGE_LIMITS,
  ): Promise<CompletionPage> {
    const query = checkpoints.completionsAfter(owner.workflow, after);
    const { rows, more } = await readPage(this.database, query, limits);
    const completions = rows.map((row, i) => {
      const checkpoint = this.#readCheckpoint(owner.workflowId, row);
      if (checkpoint.completion !== after + 1 + i) {
        throw this.corrupt(owner.workflowId, checkpoint.key, `no completion ${after + 1 + i} before it`);
      }
      return checkpoint;
    });
    return { completions, more };
  }

  /** One of them. @throws {CorruptCheckpointError} if it is missing or not as it was written */
  async completion(
    owner: Seen & { workflowId: string },
    { completion, key }: Pick<Checkpoint, "completion" | "key">,
  ): Promise<Checkpoint> {
    const [row] = await this.database.read(checkpoints.selectCompletion(owner.workflow, completion!));
    if (row === undefined) throw this.corrupt(owner.workflowId, key, "no row");
    return this.#readCheckpoint(owner.workflowId, row);
  }

  /** The changes of its code that a workflow has taken up. @throws {CorruptCheckpointError} likewise */
  async patches({ workflow, workflowId }: Seen & { workflowId: string }): Promise<Patch[]> {
    const rows = await this.database.read(patches.selectPatches(workflow));
    return rows.map((row) => {
      const patch = { changeId: String(row.change_id), run: row.run as number, at: row.at as number };
      if (patchChecksum(workflowId, patch) === row.checksum) return patch;
      throw this.corrupt(workflowId, `patched:${patch.changeId}`, "a row with another checksum");
    });
  }

  /**
   * All that a workflow shows which was committed with one of its completions up to a certain one, page by page.
   *
   * @throws {CorruptCheckpointError} likewise
   */
  async *publications(
    { workflow, workflowId }: Seen & { workflowId: string },
    last: number,
  ): AsyncIterableIterator<ShownPublication[]> {
    for (const queryAfter of [publishedAfter, emittedAfter]) {
      let after: ShownPublication | undefined;
      do {
        const { rows, more } = await readPage(
          this.database,
          queryAfter(workflow, after, last),
          PAGE_LIMITS,
        );
        const page = rows.map((row) => this.#readPublication(workflowId, row));
        if (page.length > 0) yield page;
        after = more ? page.at(-1) : undefined;
      } while (after !== undefined);
    }
  }

  #readPublication(workflowId: string, row: Row): ShownPublication {
    const shown: ShownPublication = {
      kind: row.position === undefined ? "publish" : "emit",
      name: String(row.name),
      position: row.position as number | undefined ?? null,
      valueJson: textOrNull(row.value_json),
      at: row.at as number,
      completion: row.completion as number,
    };
    if (publicationChecksum(workflowId, { ...shown, startedAt: shown.at }, shown) === row.checksum) {
      return shown;
    }
    throw this.corrupt(workflowId, `${shown.kind}:${shown.name}`, "a row with another checksum");
  }

  /** The steps that were running when the workflow was last heard of. @throws {CorruptCheckpointError} likewise */
  async running(owner: Seen & { workflowId: string }): Promise<Checkpoint[]> {
    const keys = new Set<string>();
    return (await this.#runningRows(owner.workflow)).map((row) => {
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

  /** In the order in which they were begun. */
  async #runningRows(workflow: number): Promise<Row[]> {
    const rows = await this.database.read(checkpoints.selectRunning(workflow));
    return rows.sort((a, b) => (a.checkpoint as number) - (b.checkpoint as number));
  }

  /**
   * The completions of a workflow, for people: each as its row says, with what is wrong with it.
   *
   * @param after all numbers, also such as no completion has: a row with one is to be seen as well
   */
  async inspect(record: ListedWorkflow, after: number, limits: PageLimits): Promise<InspectedPage> {
    const query = checkpoints.completionsAfter(record.workflow, after);
    const { rows, more } = await readPage(this.database, query, limits);
    return { rows: rows.map((row) => this.#inspect(record, row)), more };
  }

  /** What a workflow has begun and not seen the end of, by their keys, likewise. @param after the last one before the page */
  async inspectRunningAfter(
    record: ListedWorkflow,
    after: { key: string; checkpoint: number },
    limits: PageLimits,
  ): Promise<InspectedPage> {
    const query = checkpoints.runningAfter(record.workflow, after);
    const { rows, more } = await readPage(this.database, query, limits);
    return {
      rows: rows.map((row) => ({ ...this.#inspect(record, row), row: row.checkpoint as number })),
      more,
    };
  }

  /** All that a workflow has begun and not seen the end of, in the order in which it was begun. */
  async inspectRunning(record: WorkflowRecord): Promise<InspectedCheckpoint[]> {
    return (await this.#runningRows(record.workflow)).map((row) => this.#inspect(record, row));
  }

  #inspect({ workflowId }: ListedWorkflow, row: Row): InspectedCheckpoint {
    const { checkpoint, wrong } = readCheckpoint(workflowId, row);
    return {
      checkpoint,
      corrupt: wrong === undefined ? undefined : this.corrupt(workflowId, checkpoint.key, wrong),
    };
  }

  /** How many steps come after a completion: those that are completed, and those that run. */
  async countStepsAfter({ workflow }: Seen, completion: number): Promise<number> {
    const [row] = await this.database.read(checkpoints.countStepsAfter(workflow, completion));
    return row!.count as number;
  }

  /** How many run whose keys come after one. */
  async countRunningAfter({ workflow }: Seen, after: { key: string; checkpoint: number }): Promise<number> {
    const [row] = await this.database.read(checkpoints.countRunningAfter(workflow, after));
    return row!.count as number;
  }

  /** The error for something of a workflow that cannot be read back as it was written. */
  corrupt(workflowId: string, key: string, found: string, cause?: unknown): CorruptCheckpointError {
    return new CorruptCheckpointError(this.location, workflowId, key, found, { cause });
  }

  /** Workflows of these codes, in no queue, that wait and are due, the longest due first. */
  async dueOf(codes: readonly CodeName[], now: number, limit: number): Promise<ReadyWorkflow[]> {
    return (await this.database.read(workflows.selectDueOf(codes, now, limit))).map(readReady);
  }

  /** The queues of which workflows of these codes have their slot, and are due or were stopped at a checkpoint. */
  async resumableQueues(codes: readonly CodeName[], now: number): Promise<number[]> {
    const rows = await this.database.read(workflows.selectResumableQueues(codes, now));
    return rows.map((row) => row.queue as number);
  }

  /** The workflows of a queue that are so. */
  async resumableOf(
    queue: number,
    codes: readonly CodeName[],
    options: { now: number; limit: number },
  ): Promise<ReadyWorkflow[]> {
    return (await this.database.read(workflows.selectResumableOf(queue, codes, options))).map(readReady);
  }

  /** Workflows of these codes, in no queue, that no process runs and that can be claimed at once. */
  async pendingOf(codes: readonly CodeName[], limit: number): Promise<ReadyWorkflow[]> {
    return (await this.database.read(workflows.selectPendingOf(codes, limit))).map(readReady);
  }

  /** The ids of workflows of a status that there is not. @param limit how many, at most */
  async oddStatuses(limit: number): Promise<string[]> {
    const rows = await this.database.read(workflows.selectOddStatuses(limit));
    return rows.map((row) => String(row.workflow_id));
  }

  /** The codes of workflows that could be claimed, each once, with one of the workflows. @param limit how many, about */
  async claimableCodes(limit: number): Promise<(CodeName & { readonly workflowId: string })[]> {
    const found = new Map<string, CodeName & { readonly workflowId: string }>();
    for (const statement of workflows.selectClaimableCodes(limit)) {
      for (const row of await this.database.read(statement)) {
        const [name, version] = [String(row.name), String(row.version)];
        const code = { name, ...version !== "" && { version }, workflowId: String(row.workflow_id) };
        found.set(JSON.stringify([name, version]), code);
      }
    }
    return [...found.values()];
  }

  /** The executors that own workflows, with the end of their leases; null for one that is not registered (any more). */
  async owners(limit: number): Promise<{ executor: number; leaseUntil: number | null }[]> {
    const rows = await this.database.read(workflows.selectOwners(limit));
    return rows.map((row) => ({
      executor: row.executor as number,
      leaseUntil: row.lease_until as number | null ?? null,
    }));
  }

  /** The queues of which an executor runs workflows; null among them if it runs some that are in none. */
  async ownedQueues(executor: number): Promise<(number | null)[]> {
    const rows = await this.database.read(workflows.selectOwnedQueues(executor));
    return rows.map((row) => row.queue as number | null);
  }

  /** Workflows of these codes that an executor owns, of one queue, or in none (null). */
  async ownedBy(
    executor: number,
    queue: number | null,
    options: { codes: readonly CodeName[]; limit: number },
  ): Promise<ReadyWorkflow[]> {
    return (await this.database.read(workflows.selectOwnedBy(executor, queue, options))).map(readReady);
  }

  /** How many workflows an executor owns. */
  async ownedCount(executor: number): Promise<number> {
    return (await this.database.read(workflows.selectOwnedCount(executor)))[0]!.count as number;
  }

  /** What an executor owns. */
  async ownedRuns(executor: number, limit: number): Promise<Ownership[]> {
    const rows = await this.database.read(workflows.selectOwnedRuns(executor, limit));
    return rows.map((row) => ({
      workflowId: String(row.workflow_id),
      workflow: row.workflow as number,
      run: row.run as number,
      isPartitioned: row.partition !== null,
    }));
  }

  /** When the next workflow is due that waits, and is not due yet: of these codes, or delayed in a queue. */
  async nextDue(codes: readonly CodeName[], now: number): Promise<number | undefined> {
    const [next] = await this.database.read(workflows.selectNextDue(codes, now));
    const [placed] = await this.database.read(workflows.selectNextDuePlaced(codes, now));
    const times = [next!.due_at, placed!.due_at].filter((at) => typeof at === "number");
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The workflow that has the deduplication key of another one and has not ended, if there is one. */
  async keyHolder({ workflow }: Seen): Promise<{ workflowId: string; key: string } | undefined> {
    const [row] = await this.database.read(workflows.selectKeyHolder(workflow));
    return row && { workflowId: String(row.workflow_id), key: String(row.deduplication_key) };
  }

  /** Whether a run owns its workflow still. */
  async owns(owner: Ownership): Promise<boolean> {
    return (await this.database.read(workflows.selectOwnership(owner))).length === 1;
  }

  /** Whether a workflow waits that this run was the last to have. */
  async isResting(owner: Ownership): Promise<boolean> {
    return (await this.database.read(workflows.selectResting(owner))).length === 1;
  }

  /** Whether a workflow has been told that it is cancelled or out of time, or has begun to undo its steps. */
  async isEnding({ workflow }: Seen): Promise<boolean> {
    return (await this.database.read(checkpoints.selectEnding(workflow))).length > 0;
  }

  /** All completions from one on, page by page. */
  async *completionsFrom(record: WorkflowRecord, from: number): AsyncIterableIterator<readonly Checkpoint[]> {
    for (let after = from - 1, more = true; more;) {
      const page = await this.completions(record, after);
      yield page.completions;
      after += page.completions.length;
      more = page.more;
    }
  }

  /** The children of a workflow that have not ended and end with it. */
  async openChildren(workflowId: string): Promise<string[]> {
    const rows = await this.database.read(workflows.selectOpenChildren(workflowId));
    return rows.map((row) => String(row.workflow_id));
  }
}

/** Whether a workflow of this status has an outcome. */
export function hasEnded(status: WorkflowStatus): status is "completed" | "failed" | "cancelled" {
  return status === "completed" || status === "failed" || status === "cancelled";
}

/** A workflow of a row that says what a worker has to know. */
export function readReady(row: Row): ReadyWorkflow {
  return {
    workflow: row.workflow as number,
    workflowId: String(row.workflow_id),
    name: String(row.name),
    version: row.version === "" ? undefined : String(row.version),
    queue: row.queue as number | null ?? null,
    partition: textOrNull(row.partition ?? null),
    partitionRoom: row.partition_room as number | null | undefined ?? undefined,
  };
}

/**
 * What the columns of a workflow may hold. Its key is always an integer, by which SQLite finds it; one that is not exact as a
 * number comes as a text, and binds as the integer that it is.
 */
const WORKFLOW_COLUMNS: IntegerColumns = {
  integers: [
    "run",
    "executor",
    "recoveries",
    "recovered_completion",
    "queue",
    "placed",
    "checksum",
  ],
  times: ["created_at", "updated_at", "completed_at", "retried_at", "due_at", "lease_until"],
};

function findWrong(row: Row): string | undefined {
  const { workflow_id: id, name, status, version, created_at: createdAt, updated_at: updatedAt } = row;
  const isText = [id, name, status, version].every((text) => typeof text === "string");
  if (!isText) return "a column that is no text";
  if (!WORKFLOW_STATUSES.includes(status as WorkflowStatus)) return `the status ${JSON.stringify(status)}`;
  if (createdAt === null || updatedAt === null) return "no time at which it was made, or changed";
  const texts = [row.output_json ?? "", row.error_json ?? "", row.partition ?? ""];
  if (!texts.every((text) => typeof text === "string")) return "a column that is no text";
  if (row.queue !== null && row.queue_name === null) return `the queue ${row.queue}, and there is none`;
  return findWrongInteger(row, WORKFLOW_COLUMNS);
}

function readWorkflow(row: Row): WorkflowRecord {
  return {
    ...readListed(row),
    outputJson: textOrNull(row.output_json),
    checksum: row.checksum as number | null,
    wrong: findWrong({ ...row, lease_until: row.lease_until ?? null }),
  };
}

function readListed(row: Row): ListedWorkflow {
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
    retriedAt: row.retried_at as number | null,
    dueAt: row.due_at as number | null,
    queue: row.queue as number | null,
    queueName: textOrNull(row.queue_name),
    version: row.version === "" ? undefined : String(row.version),
    partition: textOrNull(row.partition),
    isPlaced: row.placed === 1,
    errorJson: textOrNull(row.error_json),
  };
}
