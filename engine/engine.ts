import { Claims } from "./claim.ts";
import { type Duration, durationMs } from "./duration.ts";
import {
  EngineClosedError,
  LimitExceededError,
  StoreError,
  type WorkflowBlockedError,
  WorkflowNotFoundError,
  WorkflowStateError,
} from "./errors.ts";
import { Events, type StoreEvent, type WorkflowEvent } from "./events.ts";
import { Executor } from "./executor.ts";
import type { ExecutorSummary } from "./executors.ts";
import { Followers, type Following } from "./followers.ts";
import type { ForkOptions } from "./fork.ts";
import { Handle, type HandleSource, type SignalOptions } from "./handle.ts";
import type { ListFilter, WorkflowDetail, WorkflowSummary } from "./inspect.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import type { EnqueueOptions } from "./enqueue.ts";
import { found } from "./quote.ts";
import type { Queue } from "./queue.ts";
import type { Queueing, QueueSummary } from "./queueing.ts";
import { readPublished } from "./read_published.ts";
import { randomId } from "./random.ts";
import type { RequestHost } from "./requests.ts";
import { runName } from "./ids.ts";
import { Run } from "./run.ts";
import { Parked } from "./run_result.ts";
import { refuseOwnStep, type ResultHost, resultOf } from "./results.ts";
import { Runs } from "./runs.ts";
import type { ScheduleSummary, Scheduling } from "./scheduling.ts";
import { encodeValue } from "./serialize.ts";
import { snapshot } from "./snapshot.ts";
import type { Database } from "./store/database.ts";
import { type Signal, SIGNAL_OPTIONS, signalName } from "./signal.ts";
import { ExecutorRegistry } from "./store/executor_registry.ts";
import { Mailbox, MAX_KEPT, signalTopic } from "./store/mailbox.ts";
import { openDatabase } from "./store/open.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import { Publications } from "./store/publications.ts";
import { Store } from "./store/store.ts";
import type { StepsFound, StepsPage } from "./step_pages.ts";
import { type StartOptions, startRequest } from "./start_request.ts";
import { codesParam } from "./store/workflow_statements.ts";
import { StorageHealth } from "./storage_health.ts";
import { StreamReader } from "./stream_reader.ts";
import type { Transactions } from "./transactions.ts";
import { Turns } from "./turns.ts";
import { isCode, Versions } from "./versions.ts";
import type { Explanation } from "./why.ts";
import type { StartArguments, TransactionFunction, Workflow } from "./workflow.ts";

/** How an engine takes up workflows that nobody runs. */
export interface WorkOptions {
  /** How many at a time: an integer from 1. 100 by default. */
  concurrency?: number;
  /**
   * The queues that are seen to, by their definitions or names, and nothing else. All by default, what is in none, and the
   * engine's `schedules`.
   */
  queues?: readonly (Queue | string)[];
  /**
   * After what time in which the store could not be read or written without a break `engine.work()` gives up, and rejects with
   * the error. By default it never does: a disk that was full for an hour and has room again goes on. What fails meanwhile is
   * told by the event `storageFailed`.
   */
  giveUpAfter?: Duration;
}

/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;

const WORK_OPTIONS = optionNames<WorkOptions>({ concurrency: true, queues: true, giveUpAfter: true });
const TRANSACTION_OPTIONS = optionNames<{ timeout?: Duration }>({ timeout: true });

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
  readonly #mailbox: Mailbox;
  readonly #runs: Runs;
  readonly #events: Events;
  readonly #source: HandleSource;
  readonly #versions: Versions;
  readonly #followers: Followers;
  readonly #database: Database;
  readonly #executors: ExecutorRegistry;
  readonly #health: StorageHealth;
  #queueing: Queueing | undefined;
  #scheduling: Scheduling | undefined;
  #transactions: Transactions | undefined;
  #closing: Promise<void> | undefined;
  #isClosed = false;
  #working: PromiseWithResolvers<void> | undefined;

  /** @ignore Engines come from {@linkcode Engine.open}. */
  private constructor(database: Database, settings: EngineSettings, turns: Turns) {
    const { clock, random, leaseMs, maxRecoveries, maxValueBytes, maxSteps, maxRunning, alwaysReplay } =
      settings;
    this.#settings = settings;
    this.#versions = new Versions(settings.workflows);
    this.#database = database;
    this.#store = new Store(database);
    this.#mailbox = new Mailbox(database);
    this.#followers = new Followers(this.#store, clock);
    const executors = this.#executors = new ExecutorRegistry(database, clock, leaseMs);
    this.#events = new Events();
    if (settings.onEvent !== undefined) this.#events.observe(settings.onEvent);
    const onBeat = () => this.#runs.checkLeases();
    const emit = (event: StoreEvent) => this.#events.emit(event);
    const health = this.#health = new StorageHealth({ clock, emit });
    this.#executor = new Executor({
      store: this.#store,
      executors,
      health,
      clock,
      random,
      leaseMs,
      codes: codesParam(this.#versions.codes),
      onBeat,
      onReleased: (owner) => this.#runs.released(owner),
    });
    this.#claims = new Claims({
      store: this.#store,
      mailbox: this.#mailbox,
      executors,
      executor: this.#executor,
      versions: this.#versions,
      clock,
      random,
      maxRecoveries,
      onBlocked: (record, error) => this.#blocked(record, error),
    });
    this.#runs = new Runs({
      services: {
        store: this.#store,
        mailbox: this.#mailbox,
        clock,
        random,
        turns,
        events: this.#events,
        maxValueBytes,
        maxSteps,
        alwaysReplay,
        transactions: () => this.#loadTransactions(),
      },
      claims: this.#claims,
      executor: this.#executor,
      executors,
      health,
      maxRunning,
      emit,
      onChange: (workflowId) => this.#followers.wake(workflowId),
      isAwaited: (workflowId) => this.#followers.has(workflowId),
    });
    const watched: ResultHost = {
      clock,
      store: this.#store,
      runOf: (id) => this.#runs.get(id),
      publications: new Publications(database),
      find: (id) => this.#findOpen(id),
      changeOf: (id) => this.#changeOf(id),
    };
    this.#source = {
      resultOf: (id) => resultOf(watched, id),
      signal: (id, signal, payload, options) => this.signal(id, signal, payload, options),
      cancel: (id) => this.cancel(id),
      pause: (id) => this.pause(id),
      statusOf: async (id) => (await this.#find(id)).status,
      readOf: (id, key, options) => readPublished(watched, id, key, options),
      streamOf: (id, name, options) => new StreamReader(watched, id, name, options),
      eventsOf: (id) => this.#eventsOf(id),
    };
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
   * @throws the workflow's error, if it fails or has failed: as it was thrown, or as it is stored where it failed before
   * @throws {ValidationError} if the input is not what the workflow takes
   * @throws {WorkflowConflictError} if the id belongs to another workflow, or to another input
   * @throws {WorkflowBusyError} if another process runs it
   * @throws {WorkflowBlockedError} if it is, or has to be, blocked
   * @throws {EngineClosedError | LeaseLostError | StoreError} if the run stops without an outcome
   */
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  async run<I, O>(workflow: Workflow<I, O, any>, options: StartOptions<I> = {}): Promise<O> {
    if (typeof options?.id === "string") refuseOwnStep(this.#runs.get(options.id));
    const started = await this.#start(workflow, options);
    if (!(started instanceof Run)) return await this.#source.resultOf(started.workflowId) as O;
    const result = await started.result;
    return (result instanceof Parked ? await this.#source.resultOf(started.workflowId) : result) as O;
  }

  /**
   * Starts a workflow, or resumes it.
   *
   * @returns a handle, once the start is durable; for a workflow that has ended, too
   * @throws as {@linkcode Engine.run}, up to the start
   */
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  async start<I, O>(workflow: Workflow<I, O, any>, options: StartOptions<I> = {}): Promise<Handle<O>> {
    const started = await this.#start(workflow, options);
    return new Handle<O>(this.#source, started.workflowId);
  }

  /** The handle of a workflow, whether there is one of this id or not. */
  handle<O = unknown>(id: string): Handle<O> {
    checkName(id, "a workflow id");
    return new Handle<O>(this.#source, id);
  }

  /**
   * A workflow with its steps, undefined if there is none of this id. Of many or large steps these are the first, and
   * `moreSteps` says where {@linkcode Engine.steps} goes on.
   */
  async get(id: string): Promise<WorkflowDetail | undefined> {
    checkName(id, "a workflow id");
    return await this.#whileOpen(async () => {
      const record = await this.#store.find(id);
      if (record === undefined) return undefined;
      const { describe } = await import("./inspect.ts");
      return await describe(this.#store, record);
    });
  }

  /**
   * Some steps of a workflow, in the order of their completions; those that run come last.
   *
   * @param page where it begins, and how many there are at most
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {TypeError | RangeError} if the page is not as {@linkcode StepsPage} says
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const count = workflow("count", async (ctx) => {
   *   for (let i = 0; i < 5; i++) await ctx.step("one", () => i);
   * });
   * await using engine = await Engine.open(":memory:");
   * await engine.run(count, { id: "c" });
   * const outputs: unknown[] = [];
   * let after: string | undefined;
   * do {
   *   const { steps, next } = await engine.steps("c", { after, limit: 2 });
   *   outputs.push(steps.map(({ output }) => output));
   *   after = next;
   * } while (after !== undefined);
   * assertEquals(outputs, [[0, 1], [2, 3], [4]]);
   * ```
   */
  async steps(id: string, page: StepsPage = {}): Promise<StepsFound> {
    checkName(id, "a workflow id");
    return await this.#whileOpen(async () => {
      const record = await this.#find(id);
      const { listSteps } = await import("./step_pages.ts");
      return await listSteps(this.#store, record, page);
    });
  }

  /**
   * Why a workflow is where it is: what it waits for, since when and until when, who runs it, and what would move it on.
   *
   * @throws {WorkflowNotFoundError} if there is no such workflow
   *
   * @example
   * ```ts
   * import { Engine } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * await using engine = await Engine.open(":memory:");
   * await engine.enqueue("report", { id: "r", queue: "reports" });
   * await engine.pauseQueue("reports");
   * const { reason, movesOn } = await engine.why("r");
   * assertEquals(reason, 'It waits in queue "reports": the queue is paused');
   * assertEquals(movesOn, ["engine.resumeQueue() has its workflows begin again"]);
   * ```
   */
  async why(id: string): Promise<Explanation> {
    checkName(id, "a workflow id");
    return await this.#whileOpen(async () => {
      const record = await this.#find(id);
      const { explain } = await import("./why.ts");
      const { queues } = await this.#loadQueueing();
      const { clock } = this.#settings;
      return await explain({
        store: this.#store,
        queues,
        executors: this.#executors,
        clock,
        self: this.#executor.id,
        runsHere: (workflowId) => this.#runs.get(workflowId) !== undefined,
      }, record);
    });
  }

  /**
   * Workflows, the newest first.
   *
   * @throws {TypeError | RangeError} if the filter is not as {@linkcode ListFilter} says
   * @throws {WorkflowNotFoundError} if there is no workflow of the id that it names
   */
  async list(filter: ListFilter = {}): Promise<WorkflowSummary[]> {
    return await this.#whileOpen(async () => {
      const { listWorkflows } = await import("./inspect.ts");
      return await listWorkflows(this.#store, filter);
    });
  }

  /**
   * Goes on with a workflow that is among the engine's `workflows`. If it is blocked, this lifts the block: the
   * cause should have been mended.
   *
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {UnknownWorkflowError | UnknownVersionError} if its name and version are not among the engine's `workflows`;
   *   it is blocked then
   * @throws {WorkflowBusyError} if another process runs it
   */
  async resume<O = unknown>(id: string): Promise<Handle<O>> {
    checkName(id, "a workflow id");
    await this.#whileOpen(async () => (await loadRequests()).resumeWorkflow(this.#requestHost, id));
    return new Handle<O>(this.#source, id);
  }

  /**
   * Runs a workflow that has failed again, from the step whose failure it was; what was completed stays so.
   *
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {WorkflowStateError} if it has not failed, its steps have been undone, it is of a tick without an input, or another
   *   workflow that has not ended has its deduplication key by now
   * @throws {UnknownWorkflowError | UnknownVersionError} if its name and version are not among the engine's `workflows`
   */
  async retry<O = unknown>(id: string): Promise<Handle<O>> {
    checkName(id, "a workflow id");
    await this.#whileOpen(async () => (await loadRequests()).retryWorkflow(this.#requestHost, id));
    return new Handle<O>(this.#source, id);
  }

  /**
   * Makes a workflow that begins with the checkpoints of another one up to a step, and runs from there: after a mistake in
   * a later step was mended, say. It has the name, version, input, seed and creation time of the other, which may be of
   * any status, and does not change. Its deadline is counted anew.
   *
   * If the other was put into a queue, the new one is too, in its partition, and begins in its turn within the limits, by whoever
   * works; `queue`, `partition`, `priority` and `delay` say otherwise. It has no deduplication key.
   *
   * What the other had of children and signals before that step, the new one has too. What it had not consumed stays its
   * own, and children that it was waiting for are started anew.
   *
   * @returns the new workflow's handle, once it is stored; in no queue, it runs if it is among the engine's `workflows`
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {StepNotFoundError} if it has no such step
   * @throws {WorkflowConflictError} if the new id is taken
   * @throws {QueueFullError} if the queue has as many that wait as it may
   * @throws {TypeError | RangeError} if an option is not as {@linkcode ForkOptions} says
   * @throws {CorruptCheckpointError} if something that is to be copied is not as it was written
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * let price = 0;
   * const order = workflow("order", async (ctx) => {
   *   const paid = await ctx.step("charge", () => price);
   *   return await ctx.step("invoice", () => `paid ${paid}, owed ${price}`);
   * });
   * await using engine = await Engine.open(":memory:", { workflows: [order] });
   * await engine.run(order, { id: "order-17" });
   *
   * price = 10;
   * const fork = await engine.fork<string>("order-17", { fromStep: "invoice", newId: "order-17b" });
   * assertEquals(await fork.result(), "paid 0, owed 10");
   * ```
   */
  async fork<O = unknown>(id: string, options: ForkOptions): Promise<Handle<O>> {
    checkName(id, "a workflow id");
    const { clock, random } = this.#settings;
    return await this.#whileOpen(async () => {
      const { checkFork, forkWorkflow } = await import("./fork.ts");
      const fork = checkFork(id, options, random);
      const { queue } = fork;
      if (typeof queue === "object" && queue !== null && typeof options.queue === "object") {
        await (await this.#loadQueueing()).define(queue);
      }
      const { input, isQueued } = await forkWorkflow(this.#store, await this.#find(id), {
        ...fork,
        run: randomId(random),
        now: clock.now(),
      });
      if (isQueued) {
        this.#runs.told(fork.newId);
        return new Handle<O>(this.#source, fork.newId);
      }
      const code = this.#versions.codeFor(input);
      if (isCode(code)) await this.#runs.wake(fork.newId, code);
      return new Handle<O>(this.#source, fork.newId);
    });
  }

  /**
   * Sends a signal to a workflow. It is kept from the moment this resolves, whether the workflow waits for it, runs,
   * or does not exist yet.
   *
   * @param signal its name, or its definition by `signal()`
   * @param payload what is sent along
   * @param options.idempotencyKey another signal of this name with the same key is the same one: sent once
   * @throws {WorkflowStateError} if the workflow has ended
   * @throws {LimitExceededError} if 100,000 messages are kept for it already
   * @throws {SerializationError} if the payload cannot be stored
   */
  async signal<T>(
    id: string,
    signal: Signal<T> | string,
    payload?: T,
    options: SignalOptions = {},
  ): Promise<void> {
    checkName(id, "a workflow id");
    const name = signalName(signal);
    checkOptions(options, SIGNAL_OPTIONS, "send signal", name);
    const { idempotencyKey: key } = options;
    if (key !== undefined) checkName(key, "an idempotency key");
    await this.#whileOpen(async () => {
      const { clock, maxValueBytes } = this.#settings;
      const payloadJson = await encodeValue(payload, `the payload of signal "${name}"`, maxValueBytes);
      const topic = signalTopic(name);
      const message = { workflowId: id, topic, payloadJson, sentAt: clock.now() };
      const { kept } = await this.#mailbox.send(message, { key, max: MAX_KEPT });
      if (kept) return this.#runs.told(id);
      if (key !== undefined && await this.#mailbox.has(id, topic, key)) return;
      const status = (await this.#store.find(id))?.status;
      if (status !== undefined && hasEnded(status)) {
        throw new WorkflowStateError(id, `send signal "${name}" to`, "one that has not ended", status);
      }
      throw new LimitExceededError(
        "messages kept for a workflow",
        MAX_KEPT,
        `send signal "${name}" to "${id}"`,
      );
    });
  }

  /**
   * Runs a transaction on the store's own file, of no workflow: its SQL, and the signals and workflows that it sends and
   * starts, are committed together or not at all (an outbox). Once they are, this engine tells and runs those workflows.
   *
   * @param fn must await nothing but the transaction: nothing else is committed while it is open
   * @param options.timeout how long it may be open, instead of `transactionTimeout`
   * @returns what the function returns
   * @throws what the function throws; nothing of it is there then
   * @throws {TransactionTimeoutError} if it took too long
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const confirm = workflow("confirm", (_ctx, order: number) => `confirmed ${order}`);
   *
   * await using engine = await Engine.open(":memory:", { workflows: [confirm] });
   * const id = await engine.transaction(async (tx) => {
   *   await tx.run("CREATE TABLE orders (number INTEGER PRIMARY KEY, sku TEXT NOT NULL)");
   *   await tx.run("INSERT INTO orders VALUES (?, ?)", 17, "A1");
   *   return await tx.start(confirm, { id: "confirm-17", input: 17 });
   * });
   * assertEquals(await engine.handle(id).result(), "confirmed 17");
   * ```
   */
  async transaction<T>(fn: TransactionFunction<T>, options: { timeout?: Duration } = {}): Promise<T> {
    if (this.#closing !== undefined) throw this.#closedError();
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot run a transaction: wanted a function, found ${typeof fn}`);
    }
    checkOptions(options, TRANSACTION_OPTIONS, "run a transaction");
    const { timeout } = options;
    const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, "timeout of a transaction");
    this.#transactions?.refuseNested();
    return await (await this.#loadTransactions()).perform(fn, timeoutMs);
  }

  async #loadTransactions(): Promise<Transactions> {
    const { Transactions } = await import("./transactions.ts");
    return this.#transactions ??= new Transactions({
      ...this.#settings,
      store: this.#store,
      mailbox: this.#mailbox,
      told: (workflowId) => this.#runs.told(workflowId),
      takeUp: (workflow, workflowId) => void this.#runs.wake(workflowId, workflow),
    });
  }

  /**
   * Cancels a workflow: it is told by a `CancelledError` at all that it waits for, its running steps by their signal;
   * when its function has ended, it is `cancelled`. Its children are cancelled too, unless they are detached. One that
   * is paused goes on for that. One that has not begun, or is blocked for another reason, is cancelled at once: nothing
   * of it runs, and its steps are not undone.
   *
   * @returns settled once the request is durable
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {WorkflowStateError} if it has ended otherwise
   */
  async cancel(id: string): Promise<void> {
    checkName(id, "a workflow id");
    await this.#whileOpen(async () => (await loadRequests()).cancelWorkflow(this.#requestHost, id));
  }

  /**
   * Pauses a workflow at its next checkpoint: it is `blocked` then, until `engine.resume()`. Times go on: what comes due
   * meanwhile is seen then.
   *
   * @returns settled once the request is durable
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {WorkflowStateError} if it has ended, or is blocked for another reason
   */
  async pause(id: string): Promise<void> {
    checkName(id, "a workflow id");
    await this.#whileOpen(async () => (await loadRequests()).pauseWorkflow(this.#requestHost, id));
  }

  get #requestHost(): RequestHost {
    return {
      store: this.#store,
      clock: this.#settings.clock,
      find: (id) => this.#find(id),
      versions: this.#versions,
      block: (record, error) => this.#claims.block(record, error),
      told: (id) => this.#runs.told(id),
      wake: (id, workflow) => this.#runs.wake(id, workflow),
      takeUp: (id, workflow) => this.#runs.takeUp(workflow, id, true),
    };
  }

  /**
   * Takes up workflows of the engine's `workflows` that nobody runs, until the engine is closed: those that have not begun,
   * or whose turn it is in their queue, or were stopped at a checkpoint, those that wait and are due, and those whose
   * process is gone.
   *
   * @param options.concurrency how many at a time; one that is let go while it waits does not count. 100 by default
   * @returns settled once the engine is closed; what is called while it works settles likewise, whatever its options
   */
  async work(options: WorkOptions = {}): Promise<void> {
    checkOptions(options, WORK_OPTIONS, "work");
    const { concurrency = 100, queues, giveUpAfter } = options;
    if (!(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
      throw new RangeError(`Cannot work: wanted a concurrency of 1 or more, found ${found(concurrency)}`);
    }
    if (this.#closing !== undefined) throw this.#closedError();
    if (queues !== undefined && !Array.isArray(queues)) {
      throw new TypeError(`Cannot work: wanted an array of queues, found ${found(queues)}`);
    }
    const giveUpMs = giveUpAfter === undefined ? undefined : durationMs(giveUpAfter, "option giveUpAfter");
    if (this.#working === undefined) {
      const working = this.#working = Promise.withResolvers<void>();
      const stop = giveUpMs === undefined
        ? () => {}
        : this.#health.giveUpAfter(giveUpMs, (error) => working.reject(error));
      this.#work(concurrency, queues).catch((error) => working.reject(error));
      working.promise.catch(() => {
        // So that it can be called again.
        this.#working = undefined;
        this.#runs.stopWork();
        this.#scheduling?.rest();
      }).finally(stop);
    }
    await this.#working.promise;
  }

  async #work(concurrency: number, given: WorkOptions["queues"]): Promise<void> {
    const queueing = await this.#loadQueueing();
    const { queueName } = await import("./queue.ts");
    const queueNames = given && new Set(given.map(queueName));
    const definitions = [...this.#settings.queues, ...given ?? []].filter((queue) =>
      typeof queue === "object"
    );
    const working = this.#working;
    const isOn = () => this.#closing === undefined && this.#working === working;
    // A store that cannot be written to now is waited for, as later.
    await this.#begin("begin to work", isOn, async () => {
      await Promise.all(definitions.map((queue) => queueing.define(queue)));
      if (!isOn()) return;
      await this.#runs.work({
        versions: this.#versions,
        queues: queueing.queues,
        queueNames,
        concurrency,
        isOn,
      });
    });
    // Who works on some queues only does nothing else.
    if (this.#settings.schedules.length === 0 || given !== undefined || !isOn()) return;
    const scheduling = await this.#loadScheduling();
    await this.#begin("store the schedules", isOn, async () => {
      // Not where the engine was closed while that was loaded.
      if (isOn()) await scheduling.work();
    });
  }

  /** Does something once the store lets it be done. */
  async #begin(doing: string, isOn: () => boolean, act: () => Promise<void>): Promise<void> {
    while (isOn() && !await this.#health.attempt(doing, act)) {
      await new Promise<void>((wake) => this.#settings.clock.setTimer(STORE_PAUSE_MS, wake));
    }
  }

  /**
   * Puts a workflow into a queue, to be run in its turn by whoever works on that: this process, if it does, or another one.
   * It need not be among the engine's `workflows`: its name will do.
   *
   * @param workflow its definition, or its name: the schema of its input looks at that when it begins, then
   * @returns the workflow's handle, once it is stored; that of another one where an `id` or key says so
   * @throws {ValidationError} if the input is not what the workflow takes
   * @throws {WorkflowConflictError} if the id belongs to another workflow, or to another input
   * @throws {QueueFullError} if as many wait in the queue as may
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const greet = workflow("greet", (_ctx, name: string) => `Hello, ${name}`);
   *
   * await using engine = await Engine.open(":memory:", { workflows: [greet] });
   * const handle = await engine.enqueue("greet", { input: "Ada", delay: "10ms" });
   * assertEquals(await handle.status(), "waiting");
   * engine.work();
   * assertEquals(await handle.result(), "Hello, Ada");
   * ```
   */
  enqueue<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    options: EnqueueOptions<NoInfer<I>> & { input: NoInfer<I> },
  ): Promise<Handle<O>>;
  /** The same for a workflow that takes no input. */
  enqueue<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    ...options: StartArguments<NoInfer<I>, EnqueueOptions<NoInfer<I>>>
  ): Promise<Handle<O>>;
  /** The same for one that is given by its name: what it takes is not known here. */
  enqueue<I, O>(workflow: string, options?: EnqueueOptions<I>): Promise<Handle<O>>;
  async enqueue<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any> | string,
    options: EnqueueOptions<I> = {},
  ): Promise<Handle<O>> {
    if (this.#closing !== undefined) throw this.#closedError();
    // Whoever calls may change them while what it takes is loaded.
    const given = optionsAtCall(options);
    return await this.#whileOpen(async () => {
      const queueing = await this.#loadQueueing();
      return new Handle<O>(this.#source, await queueing.enqueue(workflow, given));
    });
  }

  /** The processes that run workflows of the store, or are ready to; and those that are gone and not struck off yet. */
  async executors(): Promise<ExecutorSummary[]> {
    return await this.#whileOpen(async () => {
      const { summarizeExecutor } = await import("./executors.ts");
      return (await this.#executors.list()).map((record) => summarizeExecutor(record, this.#executor.id));
    });
  }

  /** The queues of the store, by their names. */
  async queues(): Promise<QueueSummary[]> {
    return await this.#whileOpen(async () => (await this.#loadQueueing()).list());
  }

  /**
   * Has none of a queue's workflows begin any more, in any process, until {@linkcode Engine.resumeQueue}; those that have
   * begun go on.
   *
   * @throws {QueueNotFoundError} if there is no such queue
   */
  async pauseQueue(queue: Queue | string): Promise<void> {
    await this.#whileOpen(async () => (await this.#loadQueueing()).pause(queue, true));
  }

  /** Has a queue's workflows begin again. @throws {QueueNotFoundError} if there is no such queue */
  async resumeQueue(queue: Queue | string): Promise<void> {
    await this.#whileOpen(async () => (await this.#loadQueueing()).pause(queue, false));
  }

  /** The schedules of the store, by their names. */
  async schedules(): Promise<ScheduleSummary[]> {
    return await this.#whileOpen(async () => (await this.#loadScheduling()).list());
  }

  /**
   * Has a schedule tick no more, in any process, until {@linkcode Engine.resumeSchedule}.
   *
   * @throws {ScheduleNotFoundError} if there is no such schedule
   */
  async pauseSchedule(name: string): Promise<void> {
    await this.#whileOpen(async () => (await this.#loadScheduling()).pause(name, true));
  }

  /**
   * Has a schedule tick again. What would have been ticks while it was paused are none.
   *
   * @throws {ScheduleNotFoundError} if there is no such schedule
   */
  async resumeSchedule(name: string): Promise<void> {
    await this.#whileOpen(async () => (await this.#loadScheduling()).pause(name, false));
  }

  /**
   * Starts a workflow of a schedule now, beside its ticks, whether it is paused or not; whoever works runs it.
   *
   * @returns the workflow's handle, once it is stored
   * @throws {ScheduleNotFoundError} if there is no such schedule
   * @throws {ScheduleInputError} if its input is made by code that is not among the engine's `schedules`
   */
  async triggerSchedule<O = unknown>(name: string): Promise<Handle<O>> {
    if (this.#closing !== undefined) throw this.#closedError();
    return await this.#whileOpen(async () =>
      new Handle<O>(this.#source, await (await this.#loadScheduling()).trigger(name))
    );
  }

  async #loadScheduling(): Promise<Scheduling> {
    const queueing = await this.#loadQueueing();
    const { Scheduling } = await import("./scheduling.ts");
    return this.#scheduling ??= new Scheduling({
      ...this.#settings,
      definitions: this.#settings.schedules,
      executors: this.#executors,
      health: this.#health,
      self: this.#executor.id,
      database: this.#database,
      store: this.#store,
      queueing,
      told: (workflowId) => this.#runs.told(workflowId),
    });
  }

  /** Most programs have no queues, so what they take is loaded with the first. */
  async #loadQueueing(): Promise<Queueing> {
    const { Queueing } = await import("./queueing.ts");
    return this.#queueing ??= new Queueing({
      ...this.#settings,
      database: this.#database,
      store: this.#store,
      told: (workflowId) => this.#runs.told(workflowId),
      look: () => this.#runs.look(),
    });
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
    this.#scheduling?.stop();
    await this.#runs.close(this.#settings.closeGraceMs);
    this.#health.close();
    this.#followers.wakeAll();
    this.#events.close();
    try {
      await this.#executor.retire();
    } catch (error) {
      // The lock goes with the connection, and tells the others what could not be written down.
      if (!(error instanceof StoreError)) throw error;
    } finally {
      this.#executors.close();
      this.#isClosed = true;
      this.#working?.resolve();
      await this.#store.close();
    }
  }

  async #start<I>(workflow: Workflow, options: StartOptions<I>): Promise<Run | WorkflowRecord> {
    return await this.#runs.start(await startRequest(workflow, options, this.#settings));
  }

  /** A workflow was blocked without a run. */
  #blocked(record: WorkflowRecord, error: WorkflowBlockedError): void {
    const { workflowId, name: workflow } = record;
    const at = new Date(this.#settings.clock.now());
    this.#events.emit({ type: "blocked", at, workflowId, workflow, runId: runName(record.run ?? 0), error });
    this.#followers.wake(workflowId);
  }

  #changeOf(id: string): Following {
    if (this.#closing !== undefined) throw this.#closedError();
    const following = this.#followers.follow(id);
    this.#runs.awaited(id);
    return following;
  }

  #eventsOf(id: string): AsyncIterableIterator<WorkflowEvent> {
    const events = this.#events.ofWorkflow(id);
    // Of a workflow that has ended there is nothing more to come.
    this.#store.find(id).then((record) => {
      if (record !== undefined && hasEnded(record.status) && this.#runs.get(id) === undefined) events.end();
    }, (error) => events.fail(error));
    return events;
  }

  async #find(id: string): Promise<WorkflowRecord> {
    this.#checkNotClosed();
    const record = await this.#store.find(id);
    if (record === undefined) throw new WorkflowNotFoundError(id, this.#store.location);
    return record;
  }

  /** {@linkcode Engine.#find}, for those who wait: they are to hear that the engine was closed, not that its store was. */
  async #findOpen(id: string): Promise<WorkflowRecord> {
    if (this.#closing !== undefined) throw this.#closedError();
    return await this.#find(id);
  }

  /** While it is being closed, its workflows may still look at others, and tell them something. */
  #checkNotClosed(): void {
    if (this.#isClosed) throw this.#closedError();
  }

  /** Does something with the store. Where the engine is closed meanwhile, it is that which is told. */
  async #whileOpen<T>(act: () => Promise<T>): Promise<T> {
    this.#checkNotClosed();
    try {
      return await act();
    } catch (error) {
      if (this.#isClosed && error instanceof StoreError) throw this.#closedError();
      throw error;
    }
  }

  #closedError(): EngineClosedError {
    return new EngineClosedError(`Cannot use the engine on "${this.#store.location}": it is closed`);
  }
}

/** Options, with the input that they have, as they are now. Wrong ones are left to who knows what is wrong. */
function optionsAtCall<Options extends { input?: unknown }>(options: Options): Options {
  if (typeof options !== "object" || options === null) return options;
  // What is no options at all is refused by who reads them.
  if (typeof options !== "object" || options === null || !("input" in options)) return options;
  return { ...options, input: snapshot(options.input) };
}

/** Most programs never cancel or retry a workflow, so what it takes is loaded when one does. */
function loadRequests(): Promise<typeof import("./requests.ts")> {
  return import("./requests.ts");
}
