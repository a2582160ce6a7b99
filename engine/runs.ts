import type { ClaimRequest, Claims } from "./claim.ts";
import { holdProcess } from "./clock.ts";
import {
  CorruptCheckpointError,
  EngineClosedError,
  LimitExceededError,
  StepwellError,
  StoreError,
  WorkflowBlockedError,
  WorkflowBusyError,
} from "./errors.ts";
import { Elsewhere } from "./elsewhere.ts";
import type { Executor } from "./executor.ts";
import { Run, type RunServices } from "./run.ts";
import { readInput, type RunInput } from "./run_input.ts";
import { RunContext } from "./run_context.ts";
import { decodeValue } from "./serialize.ts";
import { checkInput, checkWorkflow } from "./started_with.ts";
import { hasEnded, type ReadyWorkflow, type WorkflowRecord } from "./store/records.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { Queues } from "./store/queues.ts";
import type { Versions } from "./versions.ts";
import { Wakeups } from "./wakeups.ts";
import type { StoreEvent } from "./events.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { Sweep } from "./sweep.ts";
import type { Ownership } from "./store/ownership.ts";
import type { Attempted, Worker } from "./worker.ts";
import type { Workflow } from "./workflow.ts";

/** After what time of running what other processes send is looked for, in milliseconds. */
const LISTEN_AFTER_MS = 200;
/** How long after an error of the store a workflow is taken up again that was to be, in milliseconds. */
const STORE_PAUSE_MS = 1_000;
/** How many workflows are looked at that this process owns and does not run, beside those that it runs. */
const MAX_STRAYS = 1_000;
/** How many runs that only wait for a message are kept in memory a while, in case it comes soon. */
const MAX_LINGERING = 1_000;

/** What is to be run. */
export interface RunRequest extends ClaimRequest {
  /** Whether it is taken up later where its queue has no place for it now: nobody else may see to it. */
  readonly insists?: boolean;
}

/**
 * The workflows that this process runs.
 *
 * Owns: which workflows run here, which of them it has let go while they wait, and claims that are under way. Does not
 * own: who may run a workflow (claim.ts), when one is to be woken (wakeups.ts), what happens in a run (run.ts).
 *
 * 1. A workflow has at most one run here; all who start it share that one.
 * 2. A workflow that was started here and is let go while it waits is taken up again, as long as this is open: when it
 *    is due, or was sent what it waits for. Where there is no room for it then, it is when a run has ended. One that
 *    another process was first to take up is taken over from that if it is lost (elsewhere.ts).
 */
export class Runs {
  readonly #runs = new Map<string, Run>();
  /** Claims that are under way, by workflow id. */
  readonly #starting = new Map<string, Promise<Run | WorkflowRecord>>();
  /** The workflows that were started here and wait, with the code of their version. */
  readonly #waiting = new Map<string, Workflow>();
  /** Those whose run has ended without being able to release them, with their code. */
  readonly #left = new Map<string, Workflow>();
  /** Those that are to be taken up, and could not yet, with their code. */
  readonly #backlog = new Map<string, Workflow>();
  #cancelRetry: (() => void) | undefined;
  readonly #services: RunServices;
  readonly #wakeups: Wakeups;
  readonly #elsewhere: Elsewhere;
  #cancelListening: (() => void) | undefined;
  #worker: Worker | undefined;
  #sweep: Sweep | undefined;
  /** Lets the process end, which is held alive while workflows wait. */
  #release: (() => void) | undefined;
  #lingering = 0;
  #closed = false;

  constructor(
    private readonly options: {
      services: Omit<RunServices, "host">;
      claims: Claims;
      executor: Executor;
      executors: ExecutorRegistry;
      health: StorageHealth;
      maxRunning: number;
      emit: (event: StoreEvent) => void;
      /** Called when a run of a workflow has begun or ended here, or there is news of it. */
      onChange: (workflowId: string) => void;
      /** Whether somebody waits for a workflow here. */
      isAwaited: (workflowId: string) => boolean;
    },
  ) {
    const { services } = options;
    this.#services = {
      ...services,
      host: {
        told: (workflowId) => this.told(workflowId),
        published: (workflowId) => options.onChange(workflowId),
        runChild: (workflow, workflowId) => void this.wake(workflowId, workflow),
        listen: () => this.#closed || this.#wakeups.start(),
        linger: () => this.#linger(),
        executor: options.executor.id,
      },
    };
    this.#elsewhere = new Elsewhere({
      store: services.store,
      health: options.health,
      executors: options.executors,
      self: options.executor.id,
      clock: services.clock,
      waiting: this.#waiting,
      isAwaited: (workflowId, parentId) =>
        options.isAwaited(workflowId) ||
        parentId !== undefined && (this.#runs.has(parentId) || this.#waiting.has(parentId)),
      forget: (workflowId) => {
        this.#forget(workflowId);
        this.#listenNoMore();
      },
      waitFor: (workflow, workflowId, dueAt) => this.#waitFor(workflow, workflowId, dueAt),
      takeUp: (workflowId, workflow) => void this.wake(workflowId, workflow),
    });
    this.#wakeups = new Wakeups({
      store: services.store,
      mailbox: services.mailbox,
      health: options.health,
      clock: services.clock,
      wake: (workflowId) => this.wake(workflowId),
      began: () => {
        for (const run of this.#runs.values()) run.look();
        for (const workflowId of this.#waiting.keys()) void this.wake(workflowId);
      },
      told: (workflowId) => this.told(workflowId),
    });
  }

  /** How many workflows run here. */
  get size(): number {
    return this.#runs.size;
  }

  /** The run of a workflow, if it has one here. */
  get(workflowId: string): Run | undefined {
    return this.#runs.get(workflowId);
  }

  /**
   * Has the runs find out which of them have lost their lease, while this process did not run or by another clock; and finds
   * what this process owns and has no run of.
   */
  checkLeases(): void {
    for (const run of this.#runs.values()) void run.checkLease();
    void this.#dropStrays();
  }

  /** Finds workflows that are stored as run by this process and are not: no other would take them while it lives. */
  async #dropStrays(): Promise<void> {
    const { executor, health } = this.options;
    const { store } = this.#services;
    await health.attempt("look for workflows without a run", async () => {
      const known = this.#runs.size + this.#starting.size + executor.dropped;
      if (this.#closed || await store.ownedCount(executor.id) <= known) return;
      for (const owner of await store.ownedRuns(executor.id, known + MAX_STRAYS)) {
        const { workflowId } = owner;
        const isKnown = this.#runs.has(workflowId) || this.#starting.has(workflowId);
        if (!isKnown && !this.#closed && !executor.hasDropped(owner)) executor.drop(owner);
      }
    });
  }

  /** A workflow that this process had dropped is released: it goes on here, as it had begun here. */
  released({ workflowId }: Ownership): void {
    const workflow = this.#left.get(workflowId);
    this.#left.delete(workflowId);
    if (workflow !== undefined && !this.#worker?.finds(workflow)) void this.wake(workflowId, workflow);
    this.#roomMade();
  }

  /** Something that others may wait for has been given back, or freed: whatever can begin now does. */
  #roomMade(): void {
    this.#takeUpBacklog();
    this.#worker?.look();
  }

  /**
   * Joins the run of a workflow, or begins one.
   *
   * @returns it, or the workflow if that has ended, or waits and is taken up again when there is a reason to
   */
  async start(request: RunRequest): Promise<Run | WorkflowRecord> {
    const { workflowId } = request;
    while (true) {
      this.#checkOpen();
      const running = this.#runs.get(workflowId);
      if (running !== undefined) return await this.#join(running, request);
      const starting = this.#starting.get(workflowId);
      if (starting === undefined) break;
      await starting.catch(() => {});
    }
    if (this.#isFull) {
      const { maxRunning } = this.options;
      throw new LimitExceededError("maxRunning", maxRunning, `start workflow "${workflowId}"`);
    }
    const starting = this.#claimAndRun(request);
    this.#starting.set(workflowId, starting);
    let started: Run | WorkflowRecord | undefined;
    try {
      return started = await starting;
    } finally {
      this.#starting.delete(workflowId);
      // What has kept others from a place has not taken it.
      if (!this.#runs.has(workflowId)) this.#worker?.look();
      // Not where it is to be tried again itself: the others may be of its kind, and each would have the next try.
      if (started !== undefined && !(started instanceof Run) && !this.#backlog.has(workflowId)) {
        this.#takeUpBacklog();
      }
    }
  }

  async #join(run: Run, { workflow, inputJson }: ClaimRequest): Promise<Run> {
    checkWorkflow(run.input, workflow.name);
    await checkInput(run.input, inputJson);
    return run;
  }

  async #claimAndRun(request: RunRequest): Promise<Run | WorkflowRecord> {
    const { claims, executor, onChange } = this.options;
    const { workflowId, insists } = request;
    const result = await claims.claim({ ...request, known: this.#waiting.has(workflowId) }).catch((error) => {
      // It may have been stored nevertheless.
      if (error instanceof StoreError) void this.#dropStraysLater();
      throw error;
    });
    if ("ended" in result) {
      this.#waitNoMore(workflowId);
      this.#listenNoMore();
      return result.ended;
    }
    if ("queued" in result) {
      if (insists || this.#waiting.has(workflowId)) this.#takeUpLater(workflowId, request.workflow);
      return result.queued;
    }
    const { workflow } = result;
    if ("waiting" in result) {
      this.#waitFor(workflow, workflowId, result.waiting.dueAt);
      return result.waiting;
    }
    const { owner } = result.claimed;
    let input: RunInput;
    try {
      input = await readInput(this.#services, workflow, result.claimed);
    } catch (error) {
      this.#drop(owner, workflow);
      throw error;
    }
    const run = this.#newRun(workflow, input);
    this.#runs.set(workflowId, run);
    this.#waitNoMore(workflowId);
    run.ended.then((parkedUntil) => this.#ended(workflow, run, parkedUntil));
    this.#services.turns.next(() => {
      void ("corrupt" in input ? run.stopFor(input.corrupt) : run.begin());
      // Only now: what these set off is not needed for the first step, and takes time the first time.
      executor.busy = this.#runs.size > 0;
      this.#listenSoon();
    });
    onChange(workflowId);
    return run;
  }

  #newRun(workflow: Workflow, input: RunInput): Run {
    const { start } = input;
    const run: Run = new Run(this.#services, start, (execution) => {
      if ("refusal" in input) throw input.refusal;
      // Each call has an input of its own, whatever one before it has done to it.
      const isFirst = !execution.isAgain && "value" in input;
      const value = isFirst ? input.value : decodeValue(start.input.inputJson);
      return workflow.run(new RunContext(run, execution), value);
    });
    return run;
  }

  /** @param parkedUntil when the workflow that was let go is due; undefined if it was not let go to wait */
  #ended(workflow: Workflow, run: Run, parkedUntil: number | null | undefined): void {
    const { executor, onChange } = this.options;
    this.#runs.delete(run.workflowId);
    if (run.mustRelease) this.#drop(run.owner, workflow);
    executor.busy = this.#runs.size > 0;
    if (parkedUntil !== undefined) this.#waitFor(workflow, run.workflowId, parkedUntil);
    this.#roomMade();
    this.#listenNoMore();
    onChange(run.workflowId);
  }

  /** Has a workflow be released whose run could not. */
  #drop(owner: Ownership, workflow: Workflow): void {
    this.#left.set(owner.workflowId, workflow);
    this.options.executor.drop(owner);
  }

  /** Once the claim that has failed is not under way any more. */
  async #dropStraysLater(): Promise<void> {
    await Promise.allSettled(this.#starting.values());
    if (!this.#closed) await this.#dropStrays();
  }

  // --- Workflows that wait ---

  /** Looks for what other processes send, once something has run for a while: most runs are over by then. */
  #listenSoon(): void {
    if (this.#runs.size === 0 || this.#closed) return;
    this.#cancelListening ??= this.#services.clock.setTimer(LISTEN_AFTER_MS, () => {
      this.#cancelListening = undefined;
      if (this.#runs.size > 0) this.#wakeups.start();
    }, { background: true });
  }

  #waitFor(workflow: Workflow, workflowId: string, dueAt: number | null): void {
    if (this.#closed) return;
    // The worker finds it in the store: there may be more of them than memory has room for.
    if (this.#worker?.finds(workflow) && !this.#waiting.has(workflowId)) {
      if (dueAt !== null) this.#worker.expect(dueAt);
      return;
    }
    this.#waiting.set(workflowId, workflow);
    this.#release ??= holdProcess(this.#services.clock);
    this.#wakeups.start();
    this.#elsewhere.start();
    this.#wakeups.expect(workflowId, dueAt);
  }

  #waitNoMore(workflowId: string): void {
    if (this.#waiting.delete(workflowId)) this.#wakeups.forget(workflowId);
  }

  /** Tells a workflow that it was sent something, if it runs or waits here. */
  told(workflowId: string): void {
    const run = this.#runs.get(workflowId);
    if (run === undefined) {
      this.#takeUpTold(workflowId);
    } else if (run.isResting && this.#worker?.finds(run.input)) {
      // It has a place for it, or will have.
      run.checkRest();
      this.#worker.look();
    } else if (!run.look()) {
      // It is being let go just now, and may not have seen it.
      run.ended.then(() => this.#takeUpTold(workflowId));
    }
    this.options.onChange(workflowId);
  }

  #takeUpTold(workflowId: string): void {
    if (this.#waiting.has(workflowId)) void this.wake(workflowId);
    else this.#worker?.look();
  }

  /**
   * Takes up workflows of these that nobody runs, until this is closed.
   *
   * @param options.versions their code
   * @param options.queues the queues of the store
   * @param options.queueNames those of them that are seen to, and nothing else; undefined for all that there is
   * @param options.concurrency how many at a time
   * @param options.isOn whether it is still wanted
   */
  async work(options: {
    versions: Versions;
    queues: Queues;
    queueNames: ReadonlySet<string> | undefined;
    concurrency: number;
    isOn: () => boolean;
  }): Promise<void> {
    const { services, claims, executors, executor, health, maxRunning, emit } = this.options;
    const { versions, queueNames, isOn, ...rest } = options;
    const { Worker } = await import("./worker.ts");
    const { Sweep } = await import("./sweep.ts");
    if (this.#closed) return;
    // So that it is known to be there, before it has anything to run.
    await executor.work(queueNames && [...queueNames]);
    if (this.#closed || !isOn()) return;
    this.#worker = new Worker({
      ...rest,
      queueNames,
      store: services.store,
      executors,
      health,
      clock: services.clock,
      self: executor.id,
      codes: versions.codes,
      vacancies: () => maxRunning - this.#runs.size - this.#starting.size,
      run: (ready, claimed) => this.#work(versions.named(ready.name)!, ready, claimed),
    });
    this.#sweep = new Sweep({
      store: services.store,
      executors,
      health,
      clock: services.clock,
      worker: this.#worker,
      codes: versions.codes,
      emit,
      inspect: (workflowId) => claims.inspect(workflowId),
      dropStrays: () => this.#dropStrays(),
    });
  }

  /** Claims no more. */
  stopWork(): void {
    this.#sweep?.stop();
    this.#worker?.stop();
    this.#worker = undefined;
  }

  /** Runs a workflow for the worker. */
  async #work(
    workflow: Workflow,
    { workflowId, workflow: key }: ReadyWorkflow,
    claimed: () => void,
  ): Promise<Attempted> {
    const doing = `claim workflow "${workflowId}"`;
    try {
      const resting = this.#runs.get(workflowId);
      // Without one, nothing is awaited: what begins counts at once.
      if (resting !== undefined) await resting.goOn();
      const started = await this.start({
        workflowId,
        workflow,
        key,
        inputJson: undefined,
        create: false,
        fresh: false,
      });
      claimed();
      this.options.health.worked(doing);
      if (started instanceof Run) {
        // One that rests needs no slot, and is found again when there is something to do for it.
        await Promise.race([started.ended, started.nextRest]);
        return "ran";
      }
      return hasEnded(started.status) ? "ran" : started.queue === null ? "failed" : "noSlot";
    } catch (error) {
      // The loops of the engine tell of a store that fails.
      if (error instanceof StoreError) return "storeFailed";
      // What blocks a workflow was told by an event. What could not even do that is told here.
      if (error instanceof CorruptCheckpointError || !(error instanceof StepwellError)) {
        const reason = error instanceof Error ? error.message : String(error);
        this.options.health.failed(doing, new StoreError(reason, { cause: error }), { ofOne: true });
      }
      return "failed";
    }
  }

  /**
   * Takes a workflow up that is due, was sent something, or is to be begun; later, if that cannot be done now. Whoever
   * waits for it is told by the store of what becomes of it.
   *
   * @param workflow its code, for one that does not wait here
   */
  async wake(workflowId: string, workflow = this.#waiting.get(workflowId)): Promise<void> {
    if (workflow === undefined || this.#closed) return;
    try {
      const resting = this.#runs.get(workflowId);
      if (resting !== undefined) await resting.goOn();
      await this.takeUp(workflow, workflowId, true);
    } catch (error) {
      if (error instanceof WorkflowBusyError || error instanceof WorkflowBlockedError) {
        this.#forget(workflowId);
        const isElsewhere = error instanceof WorkflowBusyError && !this.#worker?.finds(workflow);
        if (isElsewhere) this.#elsewhere.add(workflowId, workflow);
      } else if (error instanceof LimitExceededError || error instanceof StoreError) {
        this.#takeUpLater(workflowId, workflow);
        // Room may have been made between the refusal and now: nothing else would tell of that.
        if (error instanceof LimitExceededError && error.limit === "maxRunning") this.#takeUpBacklog();
      } else if (!(error instanceof EngineClosedError)) {
        throw error;
      }
    }
    this.#listenNoMore();
  }

  #takeUpLater(workflowId: string, workflow: Workflow): void {
    if (this.#closed) return;
    this.#backlog.set(workflowId, workflow);
    this.#release ??= holdProcess(this.#services.clock);
    this.#retryLater();
  }

  /** Has the backlog be taken up soon, as far as there is room: sooner, if a run ends. */
  #retryLater(): void {
    if (this.#closed) return;
    this.#cancelRetry ??= this.#services.clock.setTimer(STORE_PAUSE_MS, () => {
      this.#cancelRetry = undefined;
      this.#takeUpBacklog();
      if (this.#backlog.size > 0) this.#retryLater();
    });
  }

  #takeUpBacklog(): void {
    for (const [workflowId, workflow] of this.#backlog) {
      if (this.#isFull) return;
      this.#backlog.delete(workflowId);
      void this.wake(workflowId, workflow);
    }
  }

  get #isFull(): boolean {
    return this.#runs.size + this.#starting.size >= this.options.maxRunning;
  }

  /** Where nothing runs or waits, there is nothing to listen for. */
  #listenNoMore(): void {
    if (this.#waiting.size + this.#backlog.size === 0) {
      this.#release?.();
      this.#release = undefined;
    }
    if (this.#waiting.size + this.#runs.size === 0) this.#wakeups.stop();
    if (this.#waiting.size === 0) this.#elsewhere.rest();
  }

  /** Lets go of a workflow that waits: others look after it. */
  #forget(workflowId: string): void {
    this.#waitNoMore(workflowId);
    this.options.onChange(workflowId);
  }

  /**
   * Goes on with a workflow that is stored, whatever it was started with.
   *
   * @param workflow of any version
   * @param insists see {@linkcode RunRequest}
   */
  async takeUp(workflow: Workflow, workflowId: string, insists = false): Promise<Run | WorkflowRecord> {
    return await this.start({
      workflowId,
      workflow,
      inputJson: undefined,
      create: false,
      fresh: false,
      insists,
    });
  }

  /** Somebody begins to wait for a workflow: where another process runs it, that may be lost. */
  awaited(workflowId: string): void {
    this.#elsewhere.awaited(workflowId);
  }

  /** Has the worker look for more to do, if there is one. */
  look(): void {
    this.#worker?.look();
  }

  #linger(): (() => void) | undefined {
    const isCrowded = 2 * this.#runs.size > this.options.maxRunning;
    if (this.#lingering >= MAX_LINGERING || this.#backlog.size > 0 || isCrowded) return undefined;
    this.#lingering++;
    return () => void this.#lingering--;
  }

  // --- The end ---

  /** Has all runs stop at a checkpoint, and lets go of all that wait. */
  async close(graceMs: number): Promise<void> {
    this.#closed = true;
    this.#sweep?.stop();
    this.#worker?.stop();
    this.#elsewhere.close();
    this.#cancelListening?.();
    this.#cancelRetry?.();
    this.#backlog.clear();
    this.#left.clear();
    this.#wakeups.stop();
    await Promise.allSettled(this.#starting.values());
    await Promise.all([...this.#runs.values()].map((run) => run.stop(graceMs)));
    this.#waiting.clear();
    this.#listenNoMore();
  }

  #checkOpen(): void {
    if (!this.#closed) return;
    throw new EngineClosedError(
      `Cannot use the engine on "${this.#services.store.location}": it is closed`,
    );
  }
}
