import { findArrivals, isWait } from "./arrivals.ts";
import type { Clock } from "./clock.ts";
import {
  CorruptCheckpointError,
  LimitExceededError,
  StepwellError,
  TooManyRecoveriesError,
  UnknownVersionError,
  UnknownWorkflowError,
  WorkflowBlockedError,
  WorkflowBusyError,
  WorkflowNotFoundError,
  WorkflowPausedError,
} from "./errors.ts";
import type { Executor } from "./executor.ts";
import { randomId, type RandomSource } from "./random.ts";
import { runName } from "./ids.ts";
import type { RunStart } from "./run.ts";
import { checkInput, checkWorkflow } from "./started_with.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import { type Mailbox, PAUSE_TOPIC } from "./store/mailbox.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import { decodeError, errorText } from "./stored_error.ts";
import { isCode, type Versions } from "./versions.ts";
import type { Workflow } from "./workflow.ts";

/** What is asked for. */
export interface ClaimRequest {
  readonly workflowId: string;
  /** What is to run it; where it is stored with another version, the code of that one is taken. */
  readonly workflow: Workflow;
  /** Undefined where the caller leaves the input open: whatever the workflow was started with will do. */
  readonly inputJson: string | null | undefined;
  /** What a workflow that is made is given, where the caller leaves it open. @throws if it must not */
  readonly inputIfNew?: () => string | null;
  /** When it is out of time, for one that is made. */
  readonly deadlineAt?: number;
  /** Whether the workflow is made where there is none. */
  readonly create: boolean;
  /** Whether the id is one that nobody can have used yet. */
  readonly fresh: boolean;
  /** Its short key, where that is known. */
  readonly key?: number;
  /** Whether this process has let it go to wait: then it sees to its children. */
  readonly known?: boolean;
}

/**
 * The workflow is claimed; or there is nothing to claim it for: it has ended, or waits for what has not come yet, or for its
 * turn in its queue. With the code of the version that it was started with.
 */
export type Claimed =
  | { readonly claimed: RunStart; readonly workflow: Workflow }
  | { readonly ended: WorkflowRecord }
  | { readonly queued: WorkflowRecord }
  | { readonly waiting: WorkflowRecord; readonly workflow: Workflow };

/** A stored workflow that is to be taken up. */
interface Found {
  readonly record: WorkflowRecord;
  readonly input: WorkflowInput;
  /** Its code, or why there is none here. */
  readonly code: Workflow | WorkflowBlockedError;
}

/** How often another process may be first at a claim before it is given up. */
const MAX_TRIES = 100;

/**
 * Makes a workflow, or takes it up where it was left, for a run of this process.
 *
 * Owns: the decision who may run a workflow. Does not own: its enforcement, which is in the statements: a claim has
 * an effect only on the workflow as it was when this decided.
 */
export class Claims {
  constructor(
    private readonly options: {
      store: Store;
      mailbox: Mailbox;
      executors: ExecutorRegistry;
      executor: Executor;
      versions: Versions;
      clock: Clock;
      random: RandomSource;
      maxRecoveries: number;
      /** Called when a workflow that nobody runs is blocked. */
      onBlocked: (record: WorkflowRecord, error: WorkflowBlockedError) => void;
    },
  ) {}

  /**
   * @throws {WorkflowConflictError} if the id belongs to another workflow or another input
   * @throws {WorkflowBusyError} if another process runs it, or owns it and has a lease
   * @throws {WorkflowBlockedError} if it is blocked, or has to be
   * @throws {WorkflowNotFoundError} if there is none and none is to be made
   */
  async claim(request: ClaimRequest): Promise<Claimed> {
    const { store } = this.options;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // A look comes first: what has ended can be told also where the file cannot be written to.
      const record = request.fresh && tries === 0
        ? undefined
        : await store.find(request.workflowId, request.key);
      if (record === undefined && !request.create) {
        throw new WorkflowNotFoundError(request.workflowId, store.location);
      }
      const claimed = record === undefined
        ? await this.#create(request)
        : await this.#guarded(record, () => this.#takeUp(record, request));
      if (claimed !== undefined) return claimed;
    }
    throw new LimitExceededError("tries of a claim", MAX_TRIES, `claim workflow "${request.workflowId}"`);
  }

  /**
   * Looks at a stored workflow. Whatever that throws which is no answer of the engine's is of what is stored of this workflow:
   * it blocks that, and stops nothing else.
   */
  async #guarded<T>(record: WorkflowRecord, look: () => Promise<T>): Promise<T> {
    try {
      return await look();
    } catch (error) {
      if (error instanceof StepwellError) throw error;
      const found = `a row that cannot be used (${error instanceof Error ? error.message : String(error)})`;
      const corrupt = this.options.store.corrupt(record.workflowId, "workflow", found, error);
      throw await this.#blockSpoiled(record, corrupt);
    }
  }

  /** Blocks a workflow that no process runs, if what it was started with is not as it was written. */
  async inspect(workflowId: string): Promise<void> {
    const record = await this.options.store.find(workflowId);
    if (record === undefined || record.status === "running" || record.status === "blocked") return;
    const input = await this.#input(record);
    const wrong = input instanceof CorruptCheckpointError ? input : this.#verify(record);
    if (wrong !== undefined) await this.#blockSpoiled(record, wrong);
  }

  /** Blocks a workflow whose row is not as it was written; not one that has an outcome in it: that is not overwritten. */
  async #blockSpoiled(record: WorkflowRecord, error: WorkflowBlockedError): Promise<WorkflowBlockedError> {
    const { status, completedAt, outputJson, errorJson } = record;
    const hasOutcome = hasEnded(status) || completedAt !== null || outputJson !== null || errorJson !== null;
    return hasOutcome ? error : await this.block(record, error);
  }

  /** @returns undefined if there is one by now */
  async #create(
    { workflowId, workflow, inputIfNew, inputJson = inputIfNew?.() ?? null, deadlineAt }: ClaimRequest,
  ): Promise<Claimed | undefined> {
    const { store, executor, clock, random } = this.options;
    const { name, version } = workflow;
    const input: WorkflowInput = {
      workflowId,
      name,
      inputJson,
      createdAt: clock.now(),
      seed: randomId(random),
      ...version !== undefined && { version },
      ...deadlineAt !== undefined && { deadlineAt },
    };
    const owner = await this.#write(() => store.create(input, randomId(random), executor.id));
    return owner && { claimed: { owner, input, record: undefined, recovered: false }, workflow };
  }

  /** @returns undefined if somebody else was first */
  async #takeUp(record: WorkflowRecord, request: ClaimRequest): Promise<Claimed | undefined> {
    const input = await this.#input(record);
    if (!(input instanceof CorruptCheckpointError)) {
      checkWorkflow(input, request.workflow.name);
      await checkInput(input, request.inputJson);
    }
    const wrong = this.#verify(record);
    if (wrong !== undefined && (hasEnded(record.status) || record.status === "blocked")) throw wrong;
    if (hasEnded(record.status)) return { ended: record };
    const code = input instanceof CorruptCheckpointError
      ? request.workflow
      : this.options.versions.codeFor(input, request.workflow);
    if (record.status === "blocked") {
      const error = blockedError(this.options.store, record);
      if (!(error instanceof UnknownWorkflowError || error instanceof UnknownVersionError)) throw error;
      if (!isCode(code)) throw code;
      // The cause is mended: here is an engine that has the workflow.
      await this.options.store.unblock(record, this.options.clock.now());
      return undefined;
    }
    const lost = (record.status === "running" || wrong !== undefined) && await this.#lostOwner(record);
    if (lost === undefined) return undefined;
    if (input instanceof CorruptCheckpointError) throw await this.#blockSpoiled(record, input);
    if (wrong !== undefined) throw await this.#blockSpoiled(record, wrong);
    if (record.version !== input.version) {
      const found = `version ${record.version} in its row, and ${input.version} in its input`;
      throw await this.#blockSpoiled(
        record,
        this.options.store.corrupt(record.workflowId, "workflow", found),
      );
    }
    if (await this.options.mailbox.first(record.workflowId, PAUSE_TOPIC) !== undefined) {
      throw await this.block(record, new WorkflowPausedError(record.workflowId));
    }
    const run = randomId(this.options.random);
    const { arrivals, hasChildren } = await this.#findArrivals(record, input, run);
    const { dueAt } = record;
    const isDue = record.status !== "waiting" || dueAt !== null && dueAt <= this.options.clock.now();
    // Its children may have been lost with the process that had let it go: only its code knows theirs.
    const mayBeOrphaned = hasChildren && !request.known;
    if (!isDue && arrivals.length === 0 && !mayBeOrphaned) {
      // Until it is due it is left as it is: another process may have its code, and wakes only what waits.
      if (!isCode(code)) throw code;
      return { waiting: record, workflow: code };
    }
    return await this.#takeOver({ record, input, code }, { lost, arrivals, run });
  }

  /**
   * What has come of what a workflow waits for, which becomes a part of its history in the same commit in which it is taken
   * up: so one that was cancelled, or is out of time, begins nothing more.
   */
  async #findArrivals(
    record: WorkflowRecord,
    input: WorkflowInput,
    run: number,
  ): Promise<{ arrivals: ArrivedRow[]; hasChildren: boolean }> {
    const { store, mailbox, clock } = this.options;
    const sources = { store, mailbox };
    try {
      const rows = await store.running(record);
      if (record.status === "waiting") await this.#checkDue(record, input, rows);
      const waits = rows.filter(isWait);
      const hasChildren = waits.some(({ kind }) => kind === "child");
      const options = { input, interruptible: true, now: clock.now(), run };
      let arrivals = await findArrivals(sources, waits, options);
      if (arrivals.some(({ checkpoint: { kind } }) => kind === "cancel") && await store.isEnding(record)) {
        arrivals = await findArrivals(sources, waits, { ...options, interruptible: false });
      }
      if (arrivals.length === 0) return { arrivals, hasChildren };
      let last = await store.lastCompletion(record.workflow);
      arrivals = arrivals.map((arrival) => ({
        ...arrival,
        checkpoint: { ...arrival.checkpoint, completion: ++last },
      }));
      return { arrivals, hasChildren };
    } catch (error) {
      if (error instanceof CorruptCheckpointError) throw await this.block(record, error);
      throw error;
    }
  }

  /**
   * Checks that a workflow is looked at in time for all that it waits for, as the rows say it: nothing else vouches for
   * what is stored of that.
   *
   * @throws {CorruptCheckpointError} if it is not
   */
  async #checkDue(
    record: WorkflowRecord,
    { deadlineAt }: WorkflowInput,
    rows: readonly Checkpoint[],
  ): Promise<void> {
    const { store } = this.options;
    const { workflowId, dueAt } = record;
    const times = rows.flatMap(({ nextAttemptAt }) => nextAttemptAt ?? []);
    if (deadlineAt !== undefined && !await store.isEnding(record)) times.push(deadlineAt);
    const latest = times.reduce((first, at) => Math.min(first, at), Infinity);
    if (latest < (dueAt ?? Infinity)) {
      throw store.corrupt(workflowId, "due_at", `${dueAt}, and it waits until ${latest} at the latest`);
    }
    if (dueAt === null && !rows.some(({ topic }) => topic !== undefined)) {
      throw store.corrupt(workflowId, "due_at", "nothing that it waits for");
    }
  }

  /** What of a workflow's row is not as it was written, if something is not. */
  #verify(record: WorkflowRecord): CorruptCheckpointError | undefined {
    try {
      this.options.store.verifyOutcome(record);
      return undefined;
    } catch (error) {
      if (error instanceof CorruptCheckpointError) return error;
      throw error;
    }
  }

  async #input(record: WorkflowRecord): Promise<WorkflowInput | CorruptCheckpointError> {
    try {
      return await this.options.store.input(record);
    } catch (error) {
      if (error instanceof CorruptCheckpointError) return error;
      throw error;
    }
  }

  /**
   * Why a workflow that a run has may be taken from it.
   *
   * @returns undefined if that run has it no more
   * @throws {WorkflowBusyError} if it may not
   */
  async #lostOwner(record: WorkflowRecord): Promise<"gone" | "slow" | "own" | undefined> {
    for (let seen = record, tries = 0;; tries++) {
      const lost = this.#judgeOwner(seen);
      if (!(lost instanceof WorkflowBusyError)) return lost;
      // Who strikes an executor off that is gone takes its lock for a moment then.
      const found = await this.options.store.find(record.workflowId, record.workflow);
      if (found?.status !== record.status || found.run !== record.run) return undefined;
      if (found.leaseUntil !== null || tries === MAX_TRIES) throw lost;
      seen = found;
    }
  }

  #judgeOwner(
    { workflowId, run, executor, leaseUntil }: WorkflowRecord,
  ): "gone" | "slow" | "own" | WorkflowBusyError {
    const { executors, executor: self } = this.options;
    // Its run has ended here without being able to say so; otherwise the engine would have joined it.
    if (executor === self.id) return "own";
    if (executor === null || !Number.isSafeInteger(executor)) return "gone";
    const judged = executors.judge({ executor, leaseUntil });
    if (typeof judged === "string") return judged;
    return new WorkflowBusyError(workflowId, runName(run!), new Date(judged.busyUntil));
  }

  async #takeOver(
    { record, input, code }: Found,
    how: { lost: false | "gone" | "slow" | "own"; arrivals: readonly ArrivedRow[]; run: number },
  ): Promise<Claimed | undefined> {
    const { store, executor, clock, maxRecoveries } = this.options;
    const { lost, arrivals, run } = how;
    if (!isCode(code)) throw await this.block(record, code);
    const recovered = lost === "gone" || lost === "slow";
    const recoveredCompletion = recovered ? await store.lastCompletion(record.workflow) : null;
    const inVain = recovered && record.recoveredCompletion === recoveredCompletion;
    const recoveries = recovered ? (inVain ? record.recoveries : 0) + 1 : 0;
    if (recoveries > maxRecoveries) {
      throw await this.block(
        record,
        new TooManyRecoveriesError(record.workflowId, recoveries, maxRecoveries),
      );
    }
    const gone = lost === "gone" && record.leaseUntil !== null ? record.executor! : undefined;
    const overLease = lost === "slow" ? record.leaseUntil : null;
    const claim = { run, executor: executor.id, recoveries, recoveredCompletion, gone, arrivals, overLease };
    const now = clock.now();
    const begins = record.run === null && now !== record.createdAt ? input : undefined;
    const owner = await this.#write(() => store.claim(record, { ...claim, now, begins }));
    if (gone !== undefined) this.options.executors.clearLock(gone);
    if (owner === undefined) return record.queue === null ? undefined : await this.#queued(record);
    const begun = begins === undefined ? input : { ...input, begunAt: now };
    return { claimed: { owner, input: begun, record, recovered }, workflow: code };
  }

  /** @returns undefined if it is not for want of a place in its queue that the workflow was not to be had */
  async #queued(record: WorkflowRecord): Promise<Claimed | undefined> {
    const found = await this.options.store.find(record.workflowId);
    return found?.status === record.status && found.run === record.run ? { queued: found } : undefined;
  }

  /** Blocks a workflow that nobody runs. @returns the error to throw */
  async block(record: WorkflowRecord, error: WorkflowBlockedError): Promise<WorkflowBlockedError> {
    const { store, clock, onBlocked } = this.options;
    const blocked = await store.blockUnowned(record, errorText(error), clock.now());
    if (blocked) onBlocked(record, error);
    return error;
  }

  /**
   * Writes a claim, and the lease with it. A lease that could not be written does not undo the claim: the lock says
   * meanwhile that this process lives, and the executor writes the lease as soon as it can.
   */
  #write<T>(write: () => Promise<T>): Promise<T> {
    const renewing = this.options.executor.prepareClaim();
    return renewing === undefined ? write() : Promise.allSettled([write(), renewing]).then(([written]) => {
      if (written.status === "rejected") throw written.reason;
      return written.value;
    });
  }
}

/** Why a workflow is blocked. */
export function blockedError(store: Store, record: WorkflowRecord): WorkflowBlockedError {
  try {
    store.verifyOutcome(record);
  } catch (error) {
    if (error instanceof CorruptCheckpointError) return error;
    throw error;
  }
  let error: unknown;
  try {
    error = decodeError(store.outcomeError(record));
  } catch (corrupt) {
    if (corrupt instanceof CorruptCheckpointError) return corrupt;
    throw corrupt;
  }
  if (error instanceof WorkflowBlockedError) return error;
  return store.corrupt(record.workflowId, "outcome", "an error that blocks no workflow", error);
}
