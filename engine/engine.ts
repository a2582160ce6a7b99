import { blockedError, checkInput, checkWorkflow, type ClaimRequest, Claims } from "./claim.ts";
import {
  EngineClosedError,
  LimitExceededError,
  StoreError,
  UnknownWorkflowError,
  type WorkflowBlockedError,
  WorkflowNotFoundError,
  WorkflowStateError,
} from "./errors.ts";
import { type EngineEvent, Events } from "./events.ts";
import { Executor } from "./executor.ts";
import { Handle, type HandleSource } from "./handle.ts";
import { describe, summarize, type WorkflowDetail, type WorkflowSummary } from "./inspect.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import { randomUuid } from "./random.ts";
import { Run, runName, type RunServices, type RunStart } from "./run.ts";
import { RunContext } from "./run_context.ts";
import { decodeAnyValue, decodeValue, encodeValue, loadDecoder } from "./serialize.ts";
import type { Database } from "./store/database.ts";
import { WORKFLOW_STATUSES, type WorkflowStatus } from "./store/rows.ts";
import { openDatabase } from "./store/open.ts";
import { Store, type WorkflowRecord } from "./store/store.ts";
import { decodeError, type StoredError } from "./stored_error.ts";
import { Turns } from "./turns.ts";
import { checkName, isWorkflow, type Workflow } from "./workflow.ts";

/** How a workflow is started. */
export interface StartOptions<I> {
  /** The caller's name for this execution: starting it again resumes it, or returns what it returned. Random by default. */
  id?: string;
  /** What the function is given. For an id that is known already it may be left out; another one is refused. */
  input?: I;
}

/** Which workflows to list. */
export interface ListFilter {
  /** Only those of this status, or one of these. */
  status?: WorkflowStatus | readonly WorkflowStatus[];
  /** Only those of the workflow of this name. */
  workflow?: string;
  /** How many at most, 100 by default, 10,000 at most. */
  limit?: number;
  /** Only those made before the workflow of this id: the last of one list begins the next. */
  before?: string;
}

const DEFAULT_LIST_LIMIT = 100;
const MAX_LIST_LIMIT = 10_000;

/**
 * Runs workflows on one store.
 *
 * Owns: which workflows run in this process. Does not own: who may run one (claim.ts), what happens in a run (run.ts).
 *
 * 1. A workflow has at most one run in this engine; all who start it share that one.
 * 2. An error of the store is told to who waits, and leaves the workflow as its last checkpoint has it.
 */
export class Engine implements AsyncDisposable {
  readonly #settings: EngineSettings;
  readonly #store: Store;
  readonly #executor: Executor;
  readonly #claims: Claims;
  readonly #services: RunServices;
  readonly #events: Events;
  readonly #source: HandleSource;
  readonly #workflows = new Map<string, Workflow>();
  readonly #runs = new Map<string, Run>();
  /** Claims that are under way, by workflow id. */
  readonly #starting = new Map<string, Promise<Run | WorkflowRecord>>();
  /** Who waits for a run of a workflow to begin here. */
  readonly #awaiting = new Map<string, Set<() => void>>();
  #closing: Promise<void> | undefined;

  /** @ignore Engines come from {@linkcode Engine.open}. */
  private constructor(database: Database, settings: EngineSettings, turns: Turns) {
    const { clock, random, leaseMs, maxRecoveries, maxValueBytes, maxSteps } = settings;
    this.#settings = settings;
    this.#store = new Store(database);
    this.#events = new Events();
    if (settings.onEvent !== undefined) this.#events.observe(settings.onEvent);
    const onBeat = () => this.#checkLeases();
    this.#executor = new Executor({ store: this.#store, clock, random, leaseMs, onBeat });
    this.#claims = new Claims({
      store: this.#store,
      executor: this.#executor,
      clock,
      random,
      maxRecoveries,
      leaseMs,
      onBlocked: (record, error) => this.#blocked(record, error),
    });
    this.#services = {
      store: this.#store,
      clock,
      random,
      turns,
      events: this.#events,
      maxValueBytes,
      maxSteps,
    };
    this.#source = {
      resultOf: (id) => this.#resultOf(id),
      statusOf: async (id) => (await this.#find(id)).status,
      eventsOf: (id) => this.#eventsOf(id),
    };
    for (const workflow of settings.workflows) this.#workflows.set(workflow.name, workflow);
  }

  /**
   * Opens a store, which is made where it is missing.
   *
   * @param location a file's path, or `":memory:"` for one that lives as long as the engine
   * @throws {TypeError | RangeError} if an option is not as {@linkcode EngineOptions} says
   * @throws {StoreOpenError} if the file is not, or cannot be made, a store of this version
   * @throws {StoreBusyError} if other processes have it locked for too long
   *
   * @example
   * ```ts
   * import { Engine } from "@stepwell/stepwell";
   *
   * await using engine = await Engine.open(":memory:", { durability: "normal" });
   * ```
   */
  static async open(location: string, options: EngineOptions = {}): Promise<Engine> {
    const settings = engineSettings(options);
    const turns = new Turns(settings.clock);
    const database = await openDatabase(location, { ...settings, turns });
    return new Engine(database, settings, turns);
  }

  /** @ignore For tests, which put a database of their own making in place. */
  static openOn(
    open: (settings: EngineSettings, turns: Turns) => Database,
    options: EngineOptions = {},
  ): Engine {
    const settings = engineSettings(options);
    const turns = new Turns(settings.clock);
    return new Engine(open(settings, turns), settings, turns);
  }

  /**
   * Starts a workflow, or resumes it, and waits for its output.
   *
   * @throws the workflow's error, if it fails or has failed
   * @throws {WorkflowConflictError} if the id belongs to another workflow, or to another input
   * @throws {WorkflowBusyError} if another process runs it
   * @throws {WorkflowBlockedError} if it is, or has to be, blocked
   * @throws {EngineClosedError | LeaseLostError | StoreError} if the run stops without an outcome
   */
  async run<I, O>(workflow: Workflow<I, O>, options: StartOptions<I> = {}): Promise<O> {
    const started = await this.#start(workflow, options);
    return await (started instanceof Run ? started.result : this.#outcome(started)) as O;
  }

  /**
   * Starts a workflow, or resumes it.
   *
   * @returns a handle, once the start is durable; for a workflow that has ended, too
   * @throws as {@linkcode Engine.run}, up to the start
   */
  async start<I, O>(workflow: Workflow<I, O>, options: StartOptions<I> = {}): Promise<Handle<O>> {
    const started = await this.#start(workflow, options);
    return new Handle<O>(this.#source, started.workflowId);
  }

  /** The handle of a workflow, whether there is one of this id or not. */
  handle<O = unknown>(id: string): Handle<O> {
    checkName(id, "a workflow id");
    return new Handle<O>(this.#source, id);
  }

  /** A workflow with its steps, undefined if there is none of this id. */
  async get(id: string): Promise<WorkflowDetail | undefined> {
    const record = await this.#store.find(id);
    return record && await describe(this.#store, record);
  }

  /** Workflows, the newest first. @throws {TypeError | RangeError} if the filter is not as {@linkcode ListFilter} says */
  async list(filter: ListFilter = {}): Promise<WorkflowSummary[]> {
    const { status = [], workflow: name, limit = DEFAULT_LIST_LIMIT, before: beforeId } = filter;
    const statuses = typeof status === "string" ? [status] : status;
    for (const status of statuses) {
      if (!WORKFLOW_STATUSES.includes(status)) {
        throw new TypeError(
          `Cannot list workflows: wanted one of ${WORKFLOW_STATUSES.join(", ")}, found "${status}"`,
        );
      }
    }
    if (!(Number.isSafeInteger(limit) && limit >= 1 && limit <= MAX_LIST_LIMIT)) {
      throw new RangeError(
        `Cannot list workflows: wanted a limit from 1 to ${MAX_LIST_LIMIT}, found ${limit}`,
      );
    }
    const records = await this.#store.list({ statuses, name, limit, beforeId });
    return records.map(summarize);
  }

  /**
   * Goes on with a workflow that is among the engine's `workflows`. If it is blocked, this lifts the block: the
   * cause should have been mended.
   *
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {UnknownWorkflowError} if its name is not among the engine's `workflows`; it is blocked then
   * @throws {WorkflowBusyError} if another process runs it
   */
  async resume<O = unknown>(id: string): Promise<Handle<O>> {
    checkName(id, "a workflow id");
    const record = await this.#find(id);
    const workflow = await this.#registered(record);
    if (record.status === "blocked") await this.#store.unblock(record, this.#settings.clock.now());
    return await this.#takeUp(workflow, id);
  }

  /**
   * Runs a workflow that has failed again, from the step whose failure it was; what was completed stays so.
   *
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {WorkflowStateError} if it has not failed
   * @throws {UnknownWorkflowError} if its name is not among the engine's `workflows`
   */
  async retry<O = unknown>(id: string): Promise<Handle<O>> {
    checkName(id, "a workflow id");
    const record = await this.#find(id);
    if (record.status !== "failed") throw new WorkflowStateError(id, "retry", "failed", record.status);
    const workflow = await this.#registered(record);
    this.#store.verifyOutcome(record);
    const { completion } = JSON.parse(record.errorJson!) as StoredError;
    if (!await this.#store.retry(record, completion, this.#settings.clock.now())) {
      throw new WorkflowStateError(id, "retry", "failed", (await this.#find(id)).status);
    }
    return await this.#takeUp(workflow, id);
  }

  /**
   * Closes the engine. Workflows that run stop at a checkpoint, for which their steps have the time of `closeGrace`,
   * and can be resumed at once, by any process. Who waits for them gets an `EngineClosedError`.
   */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** {@linkcode Engine.close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#starting.values());
    await Promise.all([...this.#runs.values()].map((run) => run.stop(this.#settings.closeGraceMs)));
    for (const workflowId of [...this.#awaiting.keys()]) this.#wake(workflowId);
    this.#events.close();
    try {
      await this.#executor.retire();
    } catch (error) {
      // The lock goes with the connection, and tells the others what could not be written down.
      if (!(error instanceof StoreError)) throw error;
    } finally {
      await this.#store.close();
    }
  }

  async #start<I, O>(workflow: Workflow<I, O>, options: StartOptions<I>): Promise<Run | WorkflowRecord> {
    if (!isWorkflow(workflow)) throw new TypeError("Cannot start: wanted what workflow() returns");
    const { id = randomUuid(this.#settings.random), input } = options;
    checkName(id, "a workflow id");
    const inputJson = input === undefined
      ? undefined
      : await encodeValue(input, `the input of workflow "${id}"`, this.#settings.maxValueBytes);
    const fresh = options.id === undefined;
    return await this.#startWith(workflow, {
      workflowId: id,
      name: workflow.name,
      inputJson,
      create: true,
      fresh,
    });
  }

  /** Goes on with a workflow that is stored, whatever it was started with. */
  async #takeUp<O>(workflow: Workflow, id: string): Promise<Handle<O>> {
    const { name } = workflow;
    await this.#startWith(workflow, {
      workflowId: id,
      name,
      inputJson: undefined,
      create: false,
      fresh: false,
    });
    return new Handle<O>(this.#source, id);
  }

  /** Joins the run of a workflow, or begins one. @returns it, or the workflow if that has ended */
  async #startWith(workflow: Workflow, request: ClaimRequest): Promise<Run | WorkflowRecord> {
    const { workflowId } = request;
    while (true) {
      if (this.#closing !== undefined) throw this.#closedError();
      const running = this.#runs.get(workflowId);
      if (running !== undefined) return await this.#join(running, request);
      const starting = this.#starting.get(workflowId);
      if (starting === undefined) break;
      await starting.catch(() => {});
    }
    if (this.#runs.size + this.#starting.size >= this.#settings.maxRunning) {
      throw new LimitExceededError("maxRunning", this.#settings.maxRunning, `start workflow "${workflowId}"`);
    }
    const starting = this.#claimAndRun(workflow, request);
    this.#starting.set(workflowId, starting);
    try {
      return await starting;
    } finally {
      this.#starting.delete(workflowId);
    }
  }

  async #join(run: Run, { name, inputJson }: ClaimRequest): Promise<Run> {
    checkWorkflow(run.input, name);
    await checkInput(run.input, inputJson);
    return run;
  }

  async #claimAndRun(workflow: Workflow, request: ClaimRequest): Promise<Run | WorkflowRecord> {
    const result = await this.#claims.claim(request);
    if ("ended" in result) return result.ended;
    const { owner, input: { inputJson } } = result.claimed;
    let input: unknown;
    try {
      const loading = loadDecoder(inputJson);
      if (loading !== undefined) await loading;
      input = decodeValue(inputJson);
    } catch (error) {
      this.#executor.drop(owner);
      throw error;
    }
    const run = this.#newRun(workflow, result.claimed, input);
    this.#runs.set(request.workflowId, run);
    this.#executor.busy = true;
    const ended = () => this.#ended(run);
    run.result.then(ended, ended);
    this.#services.turns.next(() => void run.begin());
    this.#wake(request.workflowId);
    return run;
  }

  #newRun(workflow: Workflow, start: RunStart, input: unknown): Run {
    const run: Run = new Run(this.#services, start, () => workflow.run(new RunContext(run), input));
    return run;
  }

  /** A workflow was blocked without a run. */
  #blocked(record: WorkflowRecord, error: WorkflowBlockedError): void {
    const { workflowId, name: workflow } = record;
    const at = new Date(this.#settings.clock.now());
    this.#events.emit({ type: "blocked", at, workflowId, workflow, runId: runName(record.run ?? 0), error });
    this.#wake(workflowId);
  }

  /** Tells those who wait for a workflow that something has happened to it here. */
  #wake(workflowId: string): void {
    for (const wake of this.#awaiting.get(workflowId) ?? []) wake();
  }

  /** Has the runs find out which of them have lost their lease: while this process did not run, or by another clock. */
  #checkLeases(): void {
    for (const run of this.#runs.values()) void run.checkLease();
  }

  #ended(run: Run): void {
    this.#runs.delete(run.workflowId);
    if (run.mustRelease) this.#executor.drop(run.owner);
    this.#executor.busy = this.#runs.size > 0;
  }

  /** What a workflow that has ended returned or threw. */
  async #outcome(record: WorkflowRecord): Promise<unknown> {
    this.#store.verifyOutcome(record);
    if (record.status === "failed") throw decodeError(JSON.parse(record.errorJson!) as StoredError);
    return await decodeAnyValue(record.outputJson);
  }

  async #resultOf(id: string): Promise<unknown> {
    while (true) {
      const run = this.#runs.get(id);
      if (run !== undefined) return await run.result;
      if (this.#closing !== undefined) throw this.#closedError();
      const { promise: changed, stop } = this.#changeOf(id);
      try {
        const record = await this.#find(id);
        this.#store.verifyOutcome(record);
        if (record.status === "completed" || record.status === "failed") return await this.#outcome(record);
        if (record.status === "blocked") throw blockedError(this.#store, record);
        await changed;
      } finally {
        stop();
      }
    }
  }

  /** Waits until a run of a workflow begins here, or another process changes the store. */
  #changeOf(id: string): { promise: Promise<void>; stop: () => void } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wakes = this.#awaiting.get(id) ?? new Set();
    this.#awaiting.set(id, wakes.add(resolve));
    const stopWatching = this.#store.watch(resolve);
    const stop = () => {
      stopWatching();
      wakes.delete(resolve);
      if (wakes.size === 0) this.#awaiting.delete(id);
    };
    return { promise, stop };
  }

  #eventsOf(id: string): AsyncIterableIterator<EngineEvent> {
    const events = this.#events.ofWorkflow(id);
    // Of a workflow that has ended there is nothing more to come.
    this.#store.find(id).then((record) => {
      const ended = record?.status === "completed" || record?.status === "failed";
      if (ended && !this.#runs.has(id)) events.return!();
    }, () => events.return!());
    return events;
  }

  async #find(id: string): Promise<WorkflowRecord> {
    const record = await this.#store.find(id);
    if (record === undefined) throw new WorkflowNotFoundError(id, this.#store.location);
    return record;
  }

  /** The code of a stored workflow. */
  async #registered(record: WorkflowRecord): Promise<Workflow> {
    const workflow = this.#workflows.get(record.name);
    if (workflow !== undefined) return workflow;
    const error = new UnknownWorkflowError(record.workflowId, record.name, [...this.#workflows.keys()]);
    throw record.status === "pending" ? await this.#claims.block(record, error) : error;
  }

  #closedError(): EngineClosedError {
    return new EngineClosedError(`Cannot use the engine on "${this.#store.location}": it is closed`);
  }
}
