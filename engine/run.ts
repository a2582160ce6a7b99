import { isWait } from "./arrivals.ts";
import { CLEANED_UP } from "./cleanup.ts";
import type { ChildHost } from "./child.ts";
import { Children, type ChildrenHost } from "./children.ts";
import type { Clock } from "./clock.ts";
import {
  EngineClosedError,
  LeaseLostError,
  StepAbandonedError,
  StoreError,
  WorkflowBlockedError,
  WorkflowPausedError,
} from "./errors.ts";
import type { EventDetail, Events } from "./events.ts";
import { type Ask, Execution, type ExecutionHost } from "./execution.ts";
import { History } from "./history.ts";
import { runName } from "./ids.ts";
import { abandonedStep, type Ended, withStorableOutput, workflowOutcome } from "./outcome.ts";
import { randomId, type RandomSource } from "./random.ts";
import { Patches, type PatchesHost } from "./patches.ts";
import { RunResult } from "./run_result.ts";
import { RunningRows } from "./running_rows.ts";
import { Scope } from "./scope.ts";
import { Encoded } from "./serialize.ts";
import { runningRow, type StepHost, type StepOutcome } from "./step.ts";
import type { Mailbox } from "./store/mailbox.ts";
import type { Ownership, Seen } from "./store/ownership.ts";
import type { PageLimits } from "./store/pages.ts";
import type { ListedWorkflow } from "./store/records.ts";
import {
  type Checkpoint,
  type CheckpointKind,
  isPublication,
  type Publication,
  type WorkflowInput,
} from "./store/rows.ts";
import type { Statement } from "./store/database.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import { errorOf, errorText } from "./stored_error.ts";
import type { TransactionHost } from "./transaction.ts";
import type { Transactions } from "./transactions.ts";
import type { Turns } from "./turns.ts";
import { Waits, type WaitsHost } from "./waits.ts";
import type { StepFunction, StepInfo, Workflow } from "./workflow.ts";

/** What a run needs of the engine that it belongs to. */
export interface RunServices {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly turns: Turns;
  readonly events: Events;
  readonly maxValueBytes: number;
  /** How many steps a workflow may have in all. */
  readonly maxSteps: number;
  readonly mailbox: Mailbox;
  /** The transactions of the engine, which are loaded when the first is asked for. */
  transactions(): Promise<Transactions>;
  /** Whether a workflow is let go whenever it waits, however short that may be. */
  readonly alwaysReplay: boolean;
  /** Whether a run ends where its history does: nothing is done for the first time, and nothing is written. */
  readonly replayOnly?: boolean;
  /** How much of a history is in memory at a time, if not as much as usual. */
  readonly historyPage?: PageLimits;
  readonly host: RunHost;
}

/** What a run needs of the other workflows of its process. */
export interface RunHost extends ChildrenHost {
  /** Tells those who read what a workflow shows to the outside that there is more of it. */
  published(workflowId: string): void;
  /** Has messages of other processes be looked for. */
  listen(): void;
  /** This process, as others know it. */
  readonly executor: number;
  /** Asks for a place among the runs that are kept in memory while they wait. @returns a function that gives it back */
  linger(): (() => void) | undefined;
}

/** What a run begins with. */
export interface RunStart {
  readonly owner: Ownership;
  readonly input: WorkflowInput;
  /** The workflow as it was found; undefined for one that has just been made. */
  readonly record: ListedWorkflow | undefined;
  /** Whether the workflow was taken over from a run whose process was lost. */
  readonly recovered: boolean;
}

/**
 * One process's attempt at a workflow, from the claim to an outcome or a stop.
 *
 * Owns: what is done for the workflow, and what is written of it. Does not own: in which order the workflow sees what has
 * come of it (execution.ts), how a step is run (step.ts), what it waits for (waits.ts), which run may write (the fence in
 * every statement).
 *
 * 1. A completion is committed before the workflow sees it; completions are numbered in the order of their commits.
 * 2. What is asked for is begun once in a run, also where the workflow's function is called again meanwhile.
 * 3. Once the run is over, nothing is stored and the workflow sees nothing more: what it waits for stays open,
 *    except that it is told of a lost lease.
 */
export class Run implements ExecutionHost, StepHost, WaitsHost, ChildHost, TransactionHost, PatchesHost {
  readonly workflowId: string;
  readonly run: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly turns: Turns;
  readonly store: Store;
  readonly maxValueBytes: number;
  readonly maxSteps: number;
  /** The rows that say what the run has begun. */
  readonly rows: RunningRows;
  /** The workflow's children. */
  readonly children: Children;
  readonly #result: RunResult;
  /** Whether a write has found the run to own the workflow since the lease was checked last. */
  #heard = true;
  #over = false;
  #stopping = false;
  #execution: Execution;
  #completions = 0;
  #rested: PromiseWithResolvers<void> | undefined;
  #waits: Waits | undefined;
  #patches: Patches | undefined;
  /** Whether it may still be cancelled, or run out of time. */
  #isInterruptible = true;
  #isCompensated = false;
  #bodyEnded = false;
  #calling: string | undefined;
  #inFlight = 0;
  #idled: (() => void) | undefined;
  /** What is being done, by key, where the workflow's function is called again meanwhile. */
  readonly #begun: Map<string, Scope> | undefined;

  constructor(
    private readonly services: RunServices,
    private readonly start: RunStart,
    private readonly body: (execution: Execution) => unknown,
  ) {
    this.workflowId = start.owner.workflowId;
    this.run = start.owner.run;
    this.clock = services.clock;
    this.random = services.random;
    this.turns = services.turns;
    this.store = services.store;
    this.maxValueBytes = services.maxValueBytes;
    this.maxSteps = services.maxSteps;
    this.#result = new RunResult((detail) => {
      if (this.observed) this.tell(detail());
    });
    if (services.alwaysReplay) this.#begun = new Map();
    this.rows = new RunningRows(services.store, start.owner, {
      lost: () => this.#refused("record the running steps", "running"),
      failed: this.#failed,
    });
    this.children = new Children(services.store, start.owner, services.host);
    this.#execution = new Execution(this, this.#history(start.record));
  }

  #history(record: (Seen & { workflowId: string }) | undefined): History {
    return new History(this.services.store, this.workflowId, record, this.services.historyPage);
  }

  /** The right by which this run writes. */
  get owner(): Ownership {
    return this.start.owner;
  }

  /** What the workflow was started with. */
  get input(): WorkflowInput {
    return this.start.input;
  }

  /** See {@linkcode RunResult.value}. */
  get result(): Promise<unknown> {
    return this.#result.value;
  }

  /** See {@linkcode RunResult.ended}. */
  get ended(): Promise<number | null | undefined> {
    return this.#result.ended;
  }

  /** See {@linkcode RunResult.mustRelease}. */
  get mustRelease(): boolean {
    return this.#result.mustRelease;
  }

  get over(): boolean {
    return this.#over;
  }

  get stopping(): boolean {
    return this.#stopping || this.#bodyEnded || this.#over;
  }

  get observed(): boolean {
    return this.services.events.observed;
  }

  /** The step whose function is being called just now. */
  get calling(): string | undefined {
    return this.#calling;
  }

  call(key: string, fn: StepFunction<unknown>, info: StepInfo): unknown {
    this.#calling = key;
    try {
      return fn(info);
    } finally {
      this.#calling = undefined;
    }
  }

  tell(detail: EventDetail): void {
    this.services.events.emit({
      at: new Date(this.clock.now()),
      workflowId: this.workflowId,
      workflow: this.start.input.name,
      runId: runName(this.run),
      ...detail,
    });
  }

  /** What the run waits for: most have nothing. */
  get waits(): Waits {
    return this.#waits ??= new Waits(this.services, {
      owner: this.start.owner,
      input: this.start.input,
      rows: this.rows,
      host: this,
    });
  }

  /** Which changes of its code the workflow has taken up: most ask for none. */
  get patches(): Patches {
    return this.#patches ??= new Patches(this.store, this, !this.services.replayOnly);
  }

  /** Whether something is being done or written for the workflow. */
  get isBusy(): boolean {
    return this.#inFlight > 0;
  }

  /** Looks what the workflow was sent. @returns whether it will see it: not if the run is over or is being let go */
  look(): boolean {
    return !this.#over && this.waits.look();
  }

  /** Begins with what is stored. */
  async begin(): Promise<void> {
    if (this.#over) return;
    if (this.observed) this.tell({ type: "started", recovered: this.start.recovered });
    try {
      if (this.start.record !== undefined) {
        for (const row of await this.store.running(this.start.record)) this.rows.stored(row);
        await this.patches.load(this.start.record);
      }
    } catch (error) {
      return await this.stopFor(error);
    }
    await this.#execute(this.#execution);
  }

  /** Calls the workflow's function. */
  async #execute(execution: Execution): Promise<void> {
    try {
      if (execution.mustLoad) await execution.load();
    } catch (error) {
      return await this.stopFor(error);
    }
    if (execution.dropped || this.stopping) return;
    execution.begin();
    if (execution.dropped) return;
    let ended: Ended;
    try {
      const what = `the output of workflow "${this.workflowId}"`;
      ended = { outputJson: (await Encoded.of(this.body(execution), what, this.maxValueBytes)).text };
    } catch (error) {
      ended = { error };
    }
    try {
      if (execution.canCompensate) {
        ended = await withStorableOutput(ended);
        await this.#compensate(execution, ended);
      }
    } catch (error) {
      return await this.stopFor(error);
    }
    await this.#finish(execution, ended);
  }

  /** Undoes what can be undone, if the workflow has failed or was interrupted. */
  async #compensate(execution: Execution, ended: Ended): Promise<void> {
    if (execution.interruption === undefined && "outputJson" in ended || execution.dropped) return;
    const failure = execution.interruption?.error ?? (ended as { error: unknown }).error;
    this.#isInterruptible = false;
    await execution.compensate(this, failure);
    this.#isCompensated = true;
  }

  /** Calls the workflow's function again, as if this process had only now come by the workflow. */
  #startOver(): void {
    const { dropped, reached } = this.#execution;
    if (dropped || this.#bodyEnded) return;
    this.#execution.drop(undefined);
    this.turns.next(() => {
      if (this.stopping) return;
      const record = { ...this.start.owner, status: "running" } as const;
      this.#execution = new Execution(this, this.#history(record), reached);
      void this.#execute(this.#execution);
    });
  }

  // --- What the execution tells ---

  wentLive(last: number): void {
    if (this.services.replayOnly) return this.#endReplay();
    this.#completions = Math.max(this.#completions, last);
    const isResumed = this.start.record !== undefined;
    if (isResumed || this.start.input.deadlineAt !== undefined) this.waits.goLive(isResumed);
    else this.#waits?.goLive(false);
    if (this.#execution.interruption !== undefined) this.interrupted();
  }

  interrupted(): void {
    this.children.cancel(this.clock.now()).catch(this.#failed);
  }

  given(): void {
    this.#waits?.rest();
  }

  replayed({ key, attempt, durationMs, status, run }: Checkpoint): void {
    // What is of this run was told when it was committed.
    if (!this.observed || run === this.run) return;
    this.tell({
      type: "replayed",
      key,
      status: status === "failed" ? "failed" : "completed",
      attempt,
      durationMs: durationMs ?? 0,
    });
  }

  corrupt(key: string, found: string, cause: unknown): WorkflowBlockedError {
    return this.store.corrupt(this.workflowId, key, found, cause);
  }

  // --- What the workflow does for the first time ---

  perform(ask: Ask): void {
    if (this.stopping || this.#waits?.defer(() => this.perform(ask))) return;
    if (this.#awaitsPatch(ask) || this.#isBegun(ask)) return;
    this.#inFlight++;
    let outcome: ReturnType<Ask["perform"]>;
    try {
      outcome = ask.perform(this.rows.get(ask.key));
    } catch (error) {
      return this.#failed(error);
    }
    if (outcome instanceof Promise) outcome.then((outcome) => this.#performed(ask, outcome), this.#failed);
    else this.#performed(ask, outcome);
  }

  /** Puts off what is asked for until the markers of changes are in the store that have to be there first. */
  #awaitsPatch(ask: Ask): boolean {
    const proceed = () => {
      this.idle(1);
      this.perform(ask);
    };
    if (!this.#patches?.defer(proceed)) return false;
    this.idle(-1);
    return true;
  }

  /** Whether it was begun for an earlier call of the workflow's function: then who asks now is its part of the workflow. */
  #isBegun({ key, scope }: Ask): boolean {
    const begun = this.#begun?.get(key);
    if (begun === undefined) {
      this.#begun?.set(key, scope);
      return false;
    }
    if (scope.aborted) begun.abort(scope.reason);
    else new Scope(scope).onabort = () => begun.abort(scope.reason);
    return true;
  }

  #performed(ask: Ask, outcome: StepOutcome | undefined): void {
    if (outcome !== undefined) this.#complete(ask.kind, ask.key, outcome);
    else this.idle(1);
  }

  /** Waits for a time or a message: that is what it has been asked for. */
  wait(row: Checkpoint, scope: Scope): void {
    this.waits.add(row, scope, (reason) => this.#giveUp(row, reason));
  }

  /** The part of the workflow that has waited is given up. */
  #giveUp({ kind, key, attempt, startedAt }: Checkpoint, reason: unknown): void {
    if (this.#over || this.#bodyEnded) return;
    this.#inFlight++;
    const durationMs = Math.max(0, this.clock.now() - startedAt);
    const errorJson = reason === CLEANED_UP ? null : errorText(reason);
    this.#complete(kind, key, { attempt, startedAt, durationMs, outputJson: null, errorJson });
  }

  /** Commits the outcome of what was asked for. */
  #complete(kind: CheckpointKind, key: string, outcome: StepOutcome): void {
    // What comes when the workflow is about to end comes too late: it is among what that abandons.
    if (this.#over || this.#bodyEnded) return outcome.transaction?.rollback();
    const topic = this.rows.get(key)?.topic;
    const checkpoint: Checkpoint = {
      key,
      kind,
      status: outcome.errorJson === null ? "completed" : "failed",
      completion: ++this.#completions,
      attempt: outcome.attempt,
      startedAt: outcome.startedAt,
      durationMs: outcome.durationMs,
      nextAttemptAt: null,
      run: this.run,
      outputJson: outcome.outputJson,
      errorJson: outcome.errorJson,
      ...topic !== undefined && { topic },
    };
    const replacesRunning = this.rows.end(key);
    const { transaction, publication } = outcome;
    if (transaction === undefined) return this.#submit(checkpoint, replacesRunning, publication);
    transaction.commit(this.store.checkpointStatement(this.start.owner, checkpoint, replacesRunning), {
      committed: () => this.#committed(checkpoint, true),
      failed: (errorJson) =>
        this.#submit(
          { ...checkpoint, status: "failed", outputJson: null, errorJson },
          replacesRunning,
          undefined,
        ),
    });
  }

  #submit(checkpoint: Checkpoint, replacesRunning: boolean, publication: Publication | undefined): void {
    const { store } = this;
    store.submit({
      batch: store.completing(this.start.owner, checkpoint, replacesRunning, publication),
      stream: this.run,
      committed: (results) => this.#committed(checkpoint, results[0] === 1),
      failed: this.#failed,
    });
  }

  /** Has the workflow see an outcome that is in the store. */
  #committed(checkpoint: Checkpoint, owned: boolean): void {
    if (!owned) return this.#refused(`record step "${checkpoint.key}"`, checkpoint.key);
    this.#heard = true;
    if (isPublication(checkpoint.kind)) this.services.host.published(this.workflowId);
    if (this.#over) return;
    this.#give(checkpoint);
    this.idle(1);
  }

  #give(checkpoint: Checkpoint): void {
    const isInterruption = checkpoint.kind === "cancel";
    if (this.observed && !isInterruption) this.#tellOutcome(checkpoint);
    if (this.#begun !== undefined) {
      this.#begun.delete(checkpoint.key);
      this.#startOver();
      if (isInterruption) this.interrupted();
    } else if (isInterruption) this.#execution.interrupt(checkpoint);
    else this.#execution.give(checkpoint);
  }

  /** Makes what has come a part of the history, and has the workflow see it; see {@linkcode WaitsHost.arrive}. */
  arrive(arrivals: readonly ArrivedRow[], rejoins: boolean): Promise<boolean> {
    const numbered = arrivals.map((arrival) => {
      this.rows.end(arrival.checkpoint.key);
      return { ...arrival, checkpoint: { ...arrival.checkpoint, completion: ++this.#completions } };
    });
    this.#inFlight++;
    if (numbered.some(({ checkpoint }) => checkpoint.kind === "cancel")) this.#isInterruptible = false;
    const arriving = this.store.arrivalStatements(this.start.owner, numbered);
    const batch = rejoins ? [this.#rejoinStatement(), ...arriving] : arriving;
    return new Promise((resolve, failed) => {
      const committed = (results: readonly number[]) => {
        const owned = results[0] === 1;
        if (rejoins) this.#rejoined(owned);
        if (owned || !rejoins) this.#arrived(numbered, owned);
        resolve(owned);
      };
      // Not as a promise: what is committed together is seen in the order in which it is called back.
      this.store.submit({ batch, stream: this.run, committed, failed });
    });
  }

  #rejoinStatement(): Statement {
    const isQueued = (this.start.record?.queue ?? null) !== null;
    return this.store.rejoinStatement(this.start.owner, {
      executor: this.services.host.executor,
      isQueued,
      now: this.clock.now(),
    });
  }

  #rejoined(owned: boolean): void {
    if (!owned) this.idle(1);
    else if (!this.#over) this.waits.rejoined();
  }

  #arrived(numbered: readonly ArrivedRow[], owned: boolean): void {
    if (!owned) return this.#refused("record what has come", numbered[0]!.checkpoint.key);
    this.#heard = true;
    this.idle(1);
    if (this.#over) return;
    for (const { checkpoint } of numbered) this.#give(checkpoint);
  }

  #failed = (error: unknown): void => void this.stopFor(error);

  #tellOutcome({ key, attempt, durationMs, status, errorJson }: Checkpoint): void {
    const detail = { key, attempt, durationMs: durationMs ?? 0 };
    if (status === "completed") return this.tell({ type: "stepCompleted", ...detail });
    this.tell({ type: "stepFailed", ...detail, error: readError(errorJson) });
  }

  async saveRunning(row: Checkpoint): Promise<void> {
    if (!this.#over && !this.#bodyEnded) {
      const replacesRunning = this.rows.get(row.key) !== undefined;
      this.rows.stored(row);
      try {
        const owned = await this.store.checkpoint(this.start.owner, row, replacesRunning);
        if (!owned) this.#refused(`record step "${row.key}"`, row.key);
      } catch (error) {
        await this.stopFor(error);
      }
    }
    if (this.#over || this.#bodyEnded) await new Promise<never>(() => {});
  }

  saveRunningSoon(kind: CheckpointKind, key: string, attempt: number, startedAt: number): void {
    this.rows.begin(key, () => ({ ...runningRow(this, key, attempt, startedAt), kind }));
  }

  idle(change: 1 | -1): void {
    this.#inFlight -= change;
    if (this.#inFlight === 0) this.#idled?.();
  }

  async pause(key: string, until: number, scope: Scope): Promise<void> {
    this.idle(1);
    await this.waits.pause(key, until, scope);
    if (this.stopping) await new Promise<never>(() => {});
    this.idle(-1);
  }

  /** Whether the workflow does what it has not done before, and may go on with it. */
  get live(): boolean {
    return this.#execution.live && !this.stopping;
  }

  /** Whether it does nothing but wait. */
  get resting(): boolean {
    return !this.stopping && this.#execution.resting && !this.#bodyEnded && this.#inFlight === 0;
  }

  /** Whether the workflow has seen a completion in this turn. */
  get moved(): boolean {
    return this.#execution.moved;
  }

  /** Whether it may still be cancelled, or run out of time. */
  get interruptible(): boolean {
    return this.#isInterruptible && !this.#bodyEnded && this.#execution.interruption === undefined;
  }

  /** How many completions there have been. */
  get completions(): number {
    return this.#completions;
  }

  transactions(): Promise<Transactions> {
    return this.services.transactions();
  }

  seed(): number {
    return randomId(this.random);
  }

  runChild(workflow: Workflow, workflowId: string): void {
    this.services.host.runChild(workflow, workflowId);
  }

  listen(): void {
    this.services.host.listen();
  }

  linger(): (() => void) | undefined {
    return this.services.host.linger();
  }

  /**
   * The workflow's function has ended, and its context is used nevertheless: by code that it started and did not await.
   *
   * @returns the error with which that is refused
   */
  misused(method: string): Error {
    const error = new TypeError(
      `Cannot call ctx.${method}(): workflow "${this.workflowId}" has ended; ` +
        `its function must await all that uses ctx before it returns`,
    );
    if (this.observed) this.tell({ type: "contextMisused", method, error });
    return error;
  }

  // --- How it ends ---

  /** The function has returned or thrown. */
  async #finish(execution: Execution, ended: Ended): Promise<void> {
    if (execution.dropped || this.stopping) return;
    this.#bodyEnded = true;
    execution.end();
    // From here on what is running stays as it is, until all of it is written down with the outcome.
    this.rows.close();
    try {
      const last = await execution.passRest();
      if (this.services.replayOnly) return this.#endReplay();
      this.#completions = Math.max(this.#completions, last ?? 0);
      const at = this.clock.now();
      const steps = this.rows.left().filter((row) => !isWait(row));
      const { stored, error } = await workflowOutcome(ended, {
        at,
        interruption: execution.interruption,
        isCompensated: this.#isCompensated,
        failures: (error) => execution.failureOf(error),
        lastFailure: execution.lastFailure,
        abandonedFrom: steps.length > 0 ? this.#completions + 1 : undefined,
      });
      // A child may be on its way into the store just now.
      if (this.children.any) await this.store.settled(this.start.owner);
      const children = await this.children.open();
      if (this.#over) return;
      const abandoned = steps.map((row) => abandonedStep(row, ++this.#completions, this.run, at));
      const waited = this.rows.left().some(isWait);
      this.#end(this.#inFlight > 0 ? new StepAbandonedError() : undefined);
      const { parentId } = this.start.input;
      const ending = { abandoned, waited, children, ...parentId !== undefined && { parentId } };
      if (!await this.store.finish(this.start.owner, stored, ending)) {
        return this.#result.suspended(this.#leaseLost("record the outcome"));
      }
      if (this.observed) {
        for (const { key, attempt } of abandoned) this.tell({ type: "stepAbandoned", key, attempt });
      }
      if (stored.status === "completed") this.#result.completed(stored.outputJson);
      else this.#result.failed(stored.status === "cancelled" ? "cancelled" : "failed", error);
      if (parentId !== undefined) this.services.host.told(parentId);
      await this.children.tell(children);
    } catch (error) {
      await this.stopFor(error);
    }
  }

  /** Ends the run for an error that is not the workflow's: it is blocked, or left as its last checkpoint has it. */
  async stopFor(error: unknown): Promise<void> {
    if (this.#over) return this.#result.left(error);
    const waits = this.#waits?.unwritten;
    this.#end(error);
    if (error instanceof WorkflowBlockedError && !this.services.replayOnly) {
      const { clock, store } = this;
      const outcome = {
        status: "blocked",
        outputJson: null,
        errorJson: errorText(error),
        at: clock.now(),
      } as const;
      try {
        if (await store.block(this.start.owner, outcome, waits)) return this.#result.blocked(error);
        error = this.#leaseLost("block the replay");
      } catch (storeError) {
        error = storeError;
      }
    }
    this.#result.left(error);
  }

  /** Ends a run that only replays: it has got to where its workflow would go on. */
  #endReplay(): void {
    this.#end(new EngineClosedError(`Cannot go on with workflow "${this.workflowId}": it was only replayed`));
    this.#result.replayed();
  }

  /** Finds out whether the lease has passed to another run, unless a write has told since the last time. */
  async checkLease(): Promise<void> {
    const heard = this.#heard;
    this.#heard = false;
    if (heard || this.isResting) return;
    try {
      if (!await this.store.owns(this.start.owner)) this.loseLease("go on with the run");
    } catch (error) {
      // The next beat looks again.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Ends the run: its workflow is let go to wait. */
  parked(dueAt: number | null): void {
    this.#end(undefined);
    this.#result.parked(dueAt);
  }

  /**
   * A write of the run has changed nothing: the workflow has passed to another run, or a row that was to be replaced is not
   * there, which no one else of ours takes away.
   */
  #refused(doing: string, key: string): void {
    if (this.#over) return;
    this.store.owns(this.start.owner).then((owned) => {
      if (!owned) return this.loseLease(doing);
      return this.stopFor(this.store.corrupt(this.workflowId, key, "no row that says that it runs"));
    }, this.#failed);
  }

  /** The same, and what has become of the workflow is to be found out. */
  lostRest(dueAt: number | null): void {
    if (this.#over) return;
    this.parked(dueAt);
    void this.ended.then(() => this.services.host.told(this.workflowId));
  }

  /** The workflow waits as far as the store knows, and the run is still here. */
  rested(): void {
    this.#rested?.resolve();
    this.#rested = undefined;
  }

  /** Whether it does: nothing of it is under way then. */
  get isResting(): boolean {
    return !this.#over && (this.#waits?.isResting ?? false);
  }

  /** Settled once it does, or at once if it does by now. */
  get nextRest(): Promise<void> {
    if (this.isResting) return Promise.resolve();
    return (this.#rested ??= Promise.withResolvers<void>()).promise;
  }

  /** Finds out, in a rest, whether the workflow waits still. */
  checkRest(): void {
    if (this.isResting) this.waits.checkRest();
  }

  /** Goes on after a rest if there is a reason to, and is over if not. */
  async goOn(): Promise<void> {
    if (!this.isResting) return;
    await this.waits.goOn();
    if (this.#over) await this.ended;
  }

  loseLease(doing: string): void {
    if (this.#over) return;
    const error = this.#leaseLost(doing);
    this.#end(error, error);
    this.#result.suspended(error);
  }

  #leaseLost(doing: string): LeaseLostError {
    return new LeaseLostError(this.workflowId, runName(this.run), doing);
  }

  /**
   * @param reason what the parts of the workflow are aborted for
   * @param refusal what is thrown at what it waits for, if anything
   */
  #end(reason: unknown, refusal?: Error): void {
    this.#over = true;
    this.#waits?.end();
    this.#execution.drop(reason, refusal);
    if (reason !== undefined) {
      for (const scope of this.#begun?.values() ?? []) scope.abort(reason);
    }
    this.rows.close();
    this.#idled?.();
  }

  /**
   * Stops at a checkpoint: no step is begun any more, those that run may end and are committed, for as long as
   * `graceMs`; then the workflow is released.
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#over) return;
    await this.#stopSteps(graceMs);
    if (this.#over) return;
    const error = new EngineClosedError(
      `Cannot go on with workflow "${this.workflowId}": its engine was closed; it can be resumed`,
    );
    const waits = this.#waits?.unwritten;
    this.#end(error);
    try {
      await this.store.release(this.start.owner, this.clock.now(), waits);
      this.#result.suspended(error);
    } catch (storeError) {
      this.#result.left(storeError);
    }
  }

  /** Stops at a checkpoint, however long that takes, and blocks the workflow until it is resumed. */
  async hold(): Promise<void> {
    await this.#stopSteps(undefined);
    // It may have ended meanwhile, and be about to say so.
    if (this.over) return;
    // Or the request was withdrawn, and what was not begun meanwhile is still to be begun.
    const waits = this.#waits!;
    if (!await waits.isPaused()) return this.over ? undefined : await waits.yield();
    await this.stopFor(new WorkflowPausedError(this.workflowId));
  }

  /** @param graceMs how long those that run may take; undefined for any time */
  async #stopSteps(graceMs: number | undefined): Promise<void> {
    this.#stopping = true;
    if (this.#inFlight === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = graceMs === undefined ? undefined : this.clock.setTimer(graceMs, resolve);
    this.#idled = resolve;
    await promise;
    cancelTimer?.();
  }
}

/** The error of a text; where that says none, why not: the workflow that sees it is blocked for that. */
function readError(errorJson: string | null): unknown {
  try {
    return errorOf(errorJson ?? "");
  } catch (error) {
    return error;
  }
}
