import type { Clock } from "./clock.ts";
import {
  CorruptCheckpointError,
  LimitExceededError,
  TooManyRecoveriesError,
  UnknownWorkflowError,
  type WorkflowBlockedError,
  WorkflowBusyError,
  WorkflowConflictError,
  WorkflowNotFoundError,
} from "./errors.ts";
import type { Executor } from "./executor.ts";
import { randomId, type RandomSource } from "./random.ts";
import { runName, type RunStart } from "./run.ts";
import { isSameValue } from "./serialize.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { Store, WorkflowRecord } from "./store/store.ts";
import { decodeError, encodeError, type StoredError } from "./stored_error.ts";

/** What is asked for. */
export interface ClaimRequest {
  readonly workflowId: string;
  /** The workflow's name. */
  readonly name: string;
  /** Undefined where the caller leaves the input open: whatever the workflow was started with will do. */
  readonly inputJson: string | null | undefined;
  /** Whether the workflow is made where there is none. */
  readonly create: boolean;
  /** Whether the id is one that nobody can have used yet. */
  readonly fresh: boolean;
}

/** The workflow is claimed, or has ended and has nothing to be claimed for. */
export type Claimed = { readonly claimed: RunStart } | { readonly ended: WorkflowRecord };

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
      executor: Executor;
      clock: Clock;
      random: RandomSource;
      maxRecoveries: number;
      leaseMs: number;
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
      const record = request.fresh && tries === 0 ? undefined : await store.find(request.workflowId);
      if (record === undefined && !request.create) {
        throw new WorkflowNotFoundError(request.workflowId, store.location);
      }
      const claimed = record === undefined
        ? await this.#create(request)
        : await this.#takeUp(record, request);
      if (claimed !== undefined) return claimed;
    }
    throw new LimitExceededError("tries of a claim", MAX_TRIES, `claim workflow "${request.workflowId}"`);
  }

  /** @returns undefined if there is one by now */
  async #create({ workflowId, name, inputJson = null }: ClaimRequest): Promise<Claimed | undefined> {
    const { store, executor, clock, random } = this.options;
    const input: WorkflowInput = {
      workflowId,
      name,
      inputJson,
      createdAt: clock.now(),
      seed: randomId(random),
    };
    const owner = await this.#write(() => store.create(input, randomId(random), executor.id));
    return owner && { claimed: { owner, input, record: undefined, recovered: false } };
  }

  /** @returns undefined if somebody else was first */
  async #takeUp(record: WorkflowRecord, request: ClaimRequest): Promise<Claimed | undefined> {
    const input = await this.#input(record);
    if (!(input instanceof CorruptCheckpointError)) {
      checkWorkflow(input, request.name);
      await checkInput(input, request.inputJson);
    }
    this.options.store.verifyOutcome(record);
    if (record.status === "completed" || record.status === "failed") return { ended: record };
    if (record.status === "blocked") {
      const error = blockedError(this.options.store, record);
      if (!(error instanceof UnknownWorkflowError)) throw error;
      // The cause is mended: here is an engine that has the workflow.
      await this.options.store.unblock(record, this.options.clock.now());
      return undefined;
    }
    const lost = record.status === "running" && this.#lostOwner(record);
    if (input instanceof CorruptCheckpointError) throw await this.block(record, input);
    return await this.#takeOver(record, input, lost);
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
   * @throws {WorkflowBusyError} if it may not
   */
  #lostOwner({ workflowId, run, executor, leaseUntil }: WorkflowRecord): "gone" | "slow" | "own" {
    const { store, clock, executor: self, leaseMs } = this.options;
    // Its run has ended here without being able to say so; otherwise the engine would have joined it.
    if (executor === self.id) return "own";
    if (executor === null) return "gone";
    const liveness = store.liveness(executor);
    if (liveness === "gone" || leaseUntil === null && liveness === "unknown") return "gone";
    // It lives, and its lease is not written down: it will be with its next heartbeat.
    if (leaseUntil === null) {
      throw new WorkflowBusyError(workflowId, runName(run!), new Date(clock.now() + leaseMs));
    }
    if (leaseUntil > clock.now()) {
      throw new WorkflowBusyError(workflowId, runName(run!), new Date(leaseUntil));
    }
    return "slow";
  }

  async #takeOver(
    record: WorkflowRecord,
    input: WorkflowInput,
    lost: false | "gone" | "slow" | "own",
  ): Promise<Claimed | undefined> {
    const { store, executor, clock, random, maxRecoveries } = this.options;
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
    const claim = { run: randomId(random), executor: executor.id, recoveries, recoveredCompletion, gone };
    const owner = await this.#write(() => store.claim(record, { ...claim, now: clock.now() }));
    return owner && { claimed: { owner, input, record, recovered } };
  }

  /** Blocks a workflow that nobody runs. @returns the error to throw */
  async block(record: WorkflowRecord, error: WorkflowBlockedError): Promise<WorkflowBlockedError> {
    const { store, clock, onBlocked } = this.options;
    const blocked = await store.blockUnowned(record, JSON.stringify(encodeError(error)), clock.now());
    if (blocked) onBlocked(record, error);
    return error;
  }

  /** Writes a claim, and the lease with it. */
  #write<T>(write: () => Promise<T>): Promise<T> {
    const renewing = this.options.executor.prepareClaim();
    return renewing === undefined ? write() : Promise.all([write(), renewing]).then(([result]) => result);
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
  return decodeError(JSON.parse(record.errorJson!) as StoredError) as WorkflowBlockedError;
}

/** Checks that an id is asked for with the workflow that it was started with. @throws {WorkflowConflictError} if it is not */
export function checkWorkflow({ workflowId, name }: WorkflowInput, asked: string): void {
  if (name !== asked) throw new WorkflowConflictError(workflowId, "workflow", `"${name}"`, `"${asked}"`);
}

/**
 * Checks that a workflow is asked for with the input that it was started with.
 *
 * @param asked undefined where the caller leaves it open
 * @throws {WorkflowConflictError} if it is not
 */
export async function checkInput(
  { workflowId, inputJson }: WorkflowInput,
  asked: string | null | undefined,
): Promise<void> {
  if (asked === undefined || await isSameValue(asked, inputJson)) return;
  throw new WorkflowConflictError(workflowId, "input", inputJson ?? "undefined", asked ?? "undefined");
}
