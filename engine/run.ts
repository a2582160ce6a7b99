import type { ChildHost } from "./child.ts";
import type { Clock } from "./clock.ts";
import { type CompensationHost, Compensations } from "./compensations.ts";
import { isWait } from "./arrivals.ts";
import {
  CancelledError,
  EngineClosedError,
  LeaseLostError,
  StepAbandonedError,
  StoreError,
  WorkflowBlockedError,
  WorkflowPausedError,
} from "./errors.ts";
import type { EventDetail, Events } from "./events.ts";
import { History } from "./history.ts";
import { Patches, type PatchesHost } from "./patches.ts";
import { abandonedStep, type Ended, type StepFailure, workflowOutcome } from "./outcome.ts";
import { randomId, type RandomSource, SeededRandom } from "./random.ts";
import { RunningRows } from "./running_rows.ts";
import { Scope } from "./scope.ts";
import { decodeValue } from "./serialize.ts";
import { performStep, runningRow, type StepHost, type StepOutcome, type StepTask } from "./step.ts";
import { StepKeys } from "./step_keys.ts";
import type { Checkpoint, CheckpointKind, WorkflowInput, WorkflowOutcome } from "./store/rows.ts";
import type { Mailbox } from "./store/mailbox.ts";
import type { Ownership } from "./store/ownership.ts";
import type { WorkflowRecord } from "./store/records.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import { decodeError, encodeError, type StoredError } from "./stored_error.ts";
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
  /** Whether a workflow is let go whenever it waits, however short that may be. */
  readonly alwaysReplay: boolean;
  /** Whether a run ends where its history does: nothing is done for the first time, and nothing is written. */
  readonly replayOnly?: boolean;
  readonly host: RunHost;
}

/** What a run needs of the other workflows of its process. */
export interface RunHost {
  /** Tells a workflow that it was sent something, if it is here. */
  told(workflowId: string): void;
  /** Runs a workflow that is stored, if it can be run here. */
  runChild(workflow: Workflow, workflowId: string): void;
  /** Has messages of other processes be looked for. */
  listen(): void;
  /** Asks for a place among the runs that are kept in memory while they wait. @returns a function that gives it back */
  linger(): (() => void) | undefined;
}

/** The end of a run whose workflow is let go while it waits. */
export class Parked {
  /** @param dueAt when it is taken up again at the latest; null for only when a message comes */
  constructor(readonly dueAt: number | null) {}
}

/** What a run begins with. */
export interface RunStart {
  readonly owner: Ownership;
  readonly input: WorkflowInput;
  /** The workflow as it was found; undefined for one that has just been made. */
  readonly record: WorkflowRecord | undefined;
  /** Whether the workflow was taken over from a run whose process was lost. */
  readonly recovered: boolean;
}

/** Does what the workflow has asked for. @param row what is stored of it, where a run before this one had begun it */
export type Perform = (
  row: Checkpoint | undefined,
) => StepOutcome | undefined | Promise<StepOutcome | undefined>;

/** Something that the workflow has asked for and not been given yet. */
interface Ask {
  readonly kind: CheckpointKind;
  readonly key: string;
  /** @returns its outcome; undefined if that comes later, with what the run waits for */
  readonly perform: Perform;
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How long a replay waits for code to ask for what comes next in its history, once it has asked for something else. */
const REPLAY_PATIENCE_MS = 1_000;

/**
 * One process's attempt at a workflow, from the claim to an outcome or a stop.
 *
 * Owns: the order of the workflow's completions, and what it has asked for. Does not own: what it saw before (history.ts),
 * how a step is run (step.ts), which run may write (the fence in every statement).
 *
 * 1. The workflow sees its completions in the order of their numbers, one a turn of the event loop. So every run of
 *    it asks for the same keys in the same order, whatever the timing.
 * 2. A completion is committed before the workflow sees it.
 * 3. No step is begun while a stored completion is left that the workflow has not seen: code that has changed is
 *    found out before it does anything.
 * 4. Once the run is over, nothing is stored and the workflow sees nothing more: what it waits for stays open,
 *    except that it is told of a lost lease.
 */
export class Run implements StepHost, WaitsHost, ChildHost, CompensationHost, PatchesHost {
  readonly workflowId: string;
  readonly run: number;
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly maxValueBytes: number;
  /** The whole workflow; aborted when it is cancelled or out of time, and when the run is over. */
  readonly scope = new Scope();
  /** Names the steps. */
  readonly keys: StepKeys;
  readonly #seeded: SeededRandom;
  readonly #history: History;
  readonly #result = Promise.withResolvers<unknown>();
  #settled = false;
  /** Whether a write has found the run to own the workflow since the lease was checked last. */
  #heard = true;
  #mustRelease = false;
  #leaseLost: LeaseLostError | undefined;
  #phase: "replaying" | "live" | "over" = "replaying";
  #stopping = false;
  #now: number;
  #completions = 0;
  readonly #asked = new Map<string, Ask>();
  readonly #rows: RunningRows;
  #waits: Waits | undefined;
  #patches: Patches | undefined;
  /** Whether it may still be cancelled, or run out of time. */
  #isInterruptible = true;
  /** How the workflow was told that it is. */
  #interruption: Interruption | undefined;
  #compensations: Compensations | undefined;
  /** What steps are undone in. */
  #undoScope: Scope | undefined;
  #isCompensated = false;
  #bodyEnded = false;
  #hasChildren = false;
  readonly #ready: (() => void)[] = [];
  #scheduled = false;
  /** The turn in which the workflow last saw a completion. */
  #lastTurn = -1;
  #cancelPatience: (() => void) | undefined;
  #calling: string | undefined;
  #inFlight = 0;
  #idled: (() => void) | undefined;
  /** The errors that steps have failed with, by the completion that they were. */
  #failures: WeakMap<object, StepFailure> | undefined;
  /** The first of the failures that the workflow saw last, with no result after it. */
  #lastFailure: StepFailure | undefined;

  constructor(
    private readonly services: RunServices,
    private readonly start: RunStart,
    private readonly body: () => unknown,
  ) {
    this.workflowId = start.owner.workflowId;
    this.run = start.owner.run;
    this.clock = services.clock;
    this.random = services.random;
    this.maxValueBytes = services.maxValueBytes;
    this.#now = start.input.createdAt;
    this.#seeded = new SeededRandom(start.input.seed);
    this.keys = new StepKeys(this.workflowId, services.maxSteps);
    this.#history = new History(services.store, this.workflowId, start.record);
    this.#rows = new RunningRows(services.store, start.owner, {
      lost: () => this.loseLease("record the running steps"),
      failed: this.#failed,
    });
  }

  /** The right by which this run writes. */
  get owner(): Ownership {
    return this.start.owner;
  }

  /** What the workflow was started with. */
  get input(): WorkflowInput {
    return this.start.input;
  }

  /** The workflow's output; rejects with its error, or with why the run is over without one. */
  get result(): Promise<unknown> {
    return this.#result.promise;
  }

  /** Whether the run has ended without being able to release the workflow. */
  get mustRelease(): boolean {
    return this.#mustRelease;
  }

  /** Whether the workflow is seeing again what it has seen before. */
  get replaying(): boolean {
    return this.#phase === "replaying";
  }

  get over(): boolean {
    return this.#phase === "over";
  }

  get stopping(): boolean {
    return this.#stopping || this.#phase === "over";
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

  /** The time of the last completion that the workflow has seen. */
  now(): number {
    return this.#now;
  }

  /** What the workflow draws at random. */
  get seeded(): SeededRandom {
    return this.#seeded;
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

  /** Settled when the run is over: when its workflow, let go to wait, is due; undefined if it is not let go to wait. */
  get ended(): Promise<number | null | undefined> {
    return this.#result.promise.then(
      (result) => result instanceof Parked ? result.dueAt : undefined,
      () => undefined,
    );
  }

  /** What the run waits for: most have nothing. */
  get waits(): Waits {
    return this.#waits ??= new Waits(this.services, {
      owner: this.start.owner,
      input: this.start.input,
      rows: this.#rows,
      host: this,
    });
  }

  /** Which changes of its code the workflow has taken up: most ask for none. */
  get patches(): Patches {
    return this.#patches ??= new Patches(this.services.store, this, !this.services.replayOnly);
  }

  get isAtEnd(): boolean {
    if (this.#phase !== "live" && !this.#history.isExhausted) return false;
    return this.#rows.left().every(({ key }) => this.#asked.has(key));
  }

  get isAlone(): boolean {
    return this.#asked.size === 0 && this.#inFlight === 0 && this.#ready.length === 0;
  }

  /** Looks what the workflow was sent. @returns whether it will see it: not if the run is over or is being let go */
  look(): boolean {
    return this.#phase !== "over" && this.waits.look();
  }

  /** Calls the workflow's function. */
  async begin(): Promise<void> {
    if (this.over) return;
    if (this.observed) this.tell({ type: "started", recovered: this.start.recovered });
    try {
      if (this.start.record !== undefined) {
        for (const row of await this.services.store.running(this.start.record)) this.#rows.stored(row);
        await this.#history.load();
        await this.patches.load(this.start.record);
      }
    } catch (error) {
      return await this.stopFor(error);
    }
    if (this.over || this.#stopping) return;
    if (this.#history.peek() === undefined) this.#goLive();
    if (this.over) return;
    let ended: Ended;
    try {
      ended = { output: await this.body() };
    } catch (error) {
      ended = { error };
    }
    if (!this.#compensations?.isEmpty) await this.#compensate(ended);
    await this.#finish(ended);
  }

  /** Undoes what can be undone, if the workflow has failed or was interrupted. A part of the workflow like its function. */
  async #compensate(ended: Ended): Promise<void> {
    const failure = this.#interruption?.error ?? ("error" in ended ? ended.error : undefined);
    if (this.#compensations === undefined || this.#interruption === undefined && "output" in ended) return;
    this.#isInterruptible = false;
    this.scope.abort(failure);
    await this.#compensations.settle();
    this.#undoScope = new Scope();
    await this.#compensations.undo(this, this.#undoScope, failure);
    this.#isCompensated = true;
  }

  /** The steps that can be undone. */
  get compensations(): Compensations {
    return this.#compensations ??= new Compensations();
  }

  /**
   * Asks for a step: for what is stored of it, or else to run it.
   *
   * @param task with a key of {@linkcode Run.keys}
   */
  step(task: StepTask): Promise<unknown> {
    return this.ask("step", task.key, (interrupted) => performStep(this, task, interrupted));
  }

  /**
   * Asks for what is stored under a key, or else for it to be done.
   *
   * @param key one of {@linkcode Run.keys}
   */
  ask(kind: CheckpointKind, key: string, perform: Perform): Promise<unknown> {
    if (kind === "child") this.#hasChildren = true;
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const ask = { kind, key, perform, promise, resolve, reject };
    if (this.#phase === "over") {
      if (this.#leaseLost !== undefined) refuse(ask, this.#leaseLost);
      return promise;
    }
    this.#asked.set(key, ask);
    const aside = this.#history.ask(key);
    if (aside !== undefined) {
      this.#ready.unshift(() => this.#replay(ask, aside));
    } else if (this.#phase === "live") {
      this.#perform(ask);
      return promise;
    }
    this.#schedule();
    return promise;
  }

  // --- What the workflow sees, turn by turn ---

  #schedule(): void {
    if (this.#scheduled || this.#stopping) return;
    this.#scheduled = true;
    this.services.turns.next(this.#turn);
  }

  /** Has the workflow see a completion: at once, if it has seen none in this turn, or else in its turn. */
  #give(ask: Ask, checkpoint: Checkpoint): void {
    const { number } = this.services.turns;
    if (this.#ready.length > 0 || this.#scheduled || this.#stopping || this.#lastTurn === number) {
      this.#ready.push(() => this.#settle(ask, checkpoint, decode(checkpoint)));
      this.#schedule();
    } else {
      this.#lastTurn = number;
      this.#settle(ask, checkpoint, decode(checkpoint));
    }
    this.#waits?.rest();
  }

  #turn = (): void => {
    this.#scheduled = false;
    if (this.#phase === "over" || this.#stopping) return;
    this.#lastTurn = this.services.turns.number;
    const deliver = this.#ready.shift();
    if (deliver !== undefined) {
      deliver();
      if (this.#ready.length > 0 || this.replaying) this.#schedule();
      this.#waits?.rest();
    } else if (this.replaying) {
      this.#replayNext();
    }
  };

  /** Gives the workflow the next completion of its history, if it has asked for it. */
  #replayNext(): void {
    if (this.#history.mustLoad) {
      this.#history.load().then(() => this.#schedule(), (error) => this.stopFor(error));
      return;
    }
    const next = this.#history.peek();
    if (next === undefined) return this.#goLive();
    if (next.kind === "cancel" && next.status !== "retried") return this.#replayInterruption(next);
    const ask = this.#asked.get(next.key);
    if (next.status === "retried" || next.status === "kept" && ask === undefined) {
      this.#history.setAside();
    } else if (ask === undefined) {
      return this.#waitForAsk();
    } else {
      this.#cancelPatience?.();
      this.#cancelPatience = undefined;
      this.#history.advance();
      this.#replay(ask, next);
    }
    this.#schedule();
  }

  #replay(ask: Ask, checkpoint: Checkpoint): void {
    if (checkpoint.kind !== ask.kind) {
      const reason =
        `its history has a ${checkpoint.kind} under "${ask.key}", and its code asks for a ${ask.kind}`;
      return void this.stopFor(this.#history.divergence(reason));
    }
    let value: unknown;
    try {
      value = decode(checkpoint);
    } catch (cause) {
      const found = `a text that is no value (${(cause as Error).message})`;
      return void this.stopFor(this.services.store.corrupt(this.workflowId, ask.key, found, cause));
    }
    if (this.observed) {
      const { key, attempt, durationMs } = checkpoint;
      const status = checkpoint.status === "failed" ? "failed" : "completed";
      this.tell({ type: "replayed", key, status, attempt, durationMs: durationMs ?? 0 });
    }
    this.#settle(ask, checkpoint, value);
  }

  #replayInterruption(next: Checkpoint): void {
    this.#history.advance();
    this.#interrupt(next);
    this.#schedule();
  }

  /** The workflow is told that it is cancelled, or out of time. */
  #interrupt({ key, completion, errorJson, startedAt, durationMs }: Checkpoint): void {
    const error = decodeError(JSON.parse(errorJson!) as StoredError) as Error;
    const failure = { step: key, completion: completion! };
    this.#isInterruptible = false;
    this.#interruption = { error, isCancel: error instanceof CancelledError };
    (this.#failures ??= new WeakMap()).set(error, failure);
    this.#now = Math.max(this.#now, startedAt + (durationMs ?? 0));
    this.scope.abort(error);
    if (this.#phase === "live") this.#cancelChildren().catch(this.#failed);
  }

  /** The workflow sees a completion. */
  #settle(ask: Ask, checkpoint: Checkpoint, value: unknown): void {
    const { key, status, completion, startedAt, durationMs } = checkpoint;
    this.#asked.delete(key);
    this.#now = Math.max(this.#now, startedAt + (durationMs ?? 0));
    if (status !== "failed") {
      this.#lastFailure = undefined;
      return ask.resolve(value);
    }
    const failure = { step: key, completion: completion! };
    this.#lastFailure ??= failure;
    if (value instanceof Error) (this.#failures ??= new WeakMap()).set(value, failure);
    refuse(ask, value);
  }

  /**
   * The code has come to rest without asking for the next completion. It may be waiting for something that is not
   * of ours; but if it has asked for something else, it waits in vain, and after a while the replay goes on.
   */
  #waitForAsk(): void {
    if (this.#asked.size === 0 || this.#cancelPatience !== undefined) return;
    this.#cancelPatience = this.clock.setTimer(REPLAY_PATIENCE_MS, () => {
      this.#cancelPatience = undefined;
      if (this.#phase !== "replaying" || this.#stopping) return;
      this.#history.setAsideUnasked(this.#asked).then(
        () => this.#schedule(),
        (error) => this.stopFor(error),
      );
    });
  }

  /** The history is at its end: from here on the workflow does what it has not done before. */
  #goLive(): void {
    const unasked = this.#history.unasked();
    if (unasked !== undefined) return void this.stopFor(this.#unaskedError(unasked));
    if (this.services.replayOnly) return this.#endReplay();
    this.#phase = "live";
    this.#completions = this.#history.last;
    for (const ask of [...this.#asked.values()]) this.#perform(ask);
    if (this.start.record !== undefined || this.start.input.deadlineAt !== undefined) {
      this.waits.goLive(this.start.record !== undefined);
    } else this.#waits?.goLive(false);
  }

  #unaskedError({ key, completion }: Checkpoint): WorkflowBlockedError {
    return this.#history.divergence(
      `its history has "${key}" as completion ${completion}, and its code does not ask for it`,
    );
  }

  // --- What the workflow does for the first time ---

  #perform(ask: Ask): void {
    if (this.#stopping || this.#waits?.defer(() => this.#perform(ask)) || this.#awaitsPatch(ask)) return;
    this.#inFlight++;
    const outcome = ask.perform(this.#rows.get(ask.key));
    if (outcome instanceof Promise) outcome.then((outcome) => this.#performed(ask, outcome), this.#failed);
    else this.#performed(ask, outcome);
  }

  /** Puts off what is asked for until the markers of changes are in the store that have to be there first. */
  #awaitsPatch(ask: Ask): boolean {
    const proceed = () => {
      this.idle(1);
      if (!this.over) this.#perform(ask);
    };
    if (!this.#patches?.defer(proceed)) return false;
    this.idle(-1);
    return true;
  }

  #performed(ask: Ask, outcome: StepOutcome | undefined): void {
    if (outcome !== undefined) this.#complete(ask, outcome);
    else this.idle(1);
  }

  /** Waits for a time or a message: that is what it has been asked for. */
  wait(row: Checkpoint, scope: Scope): void {
    this.waits.add(row, scope, (reason) => this.#giveUp(row, reason));
  }

  /** The part of the workflow that has waited is given up. */
  #giveUp({ key, attempt, startedAt }: Checkpoint, reason: unknown): void {
    const ask = this.#asked.get(key);
    if (ask === undefined || this.#phase === "over") return;
    this.#inFlight++;
    const durationMs = Math.max(0, this.clock.now() - startedAt);
    const errorJson = JSON.stringify(encodeError(reason));
    this.#complete(ask, { attempt, startedAt, durationMs, outputJson: null, errorJson });
  }

  /** Commits the outcome of what was asked for. */
  #complete(ask: Ask, outcome: StepOutcome): void {
    if (this.#phase === "over") return;
    const { kind, key } = ask;
    const topic = this.#rows.get(key)?.topic;
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
    const { store } = this.services;
    store.submit({
      batch: [store.checkpointStatement(this.start.owner, checkpoint, this.#rows.end(key))],
      stream: this.run,
      committed: (results) => this.#committed(ask, checkpoint, results[0] === 1),
      failed: this.#failed,
    });
  }

  /** Has the workflow see an outcome that is in the store. */
  #committed(ask: Ask, checkpoint: Checkpoint, owned: boolean): void {
    if (!owned) return this.loseLease(`record step "${ask.key}"`);
    this.#heard = true;
    if (this.#phase === "over") return;
    if (this.observed) this.#tellOutcome(checkpoint);
    this.#give(ask, checkpoint);
    this.idle(1);
  }

  /** Makes what has come a part of the history, and has the workflow see it. */
  async arrive(arrivals: readonly ArrivedRow[]): Promise<void> {
    const numbered = arrivals.map((arrival) => {
      this.#rows.end(arrival.checkpoint.key);
      return { ...arrival, checkpoint: { ...arrival.checkpoint, completion: ++this.#completions } };
    });
    this.#inFlight++;
    if (numbered.some(({ checkpoint }) => checkpoint.kind === "cancel")) this.#isInterruptible = false;
    const owned = await this.services.store.arrive(this.start.owner, numbered);
    if (!owned) return this.loseLease("record what has come");
    this.#heard = true;
    this.idle(1);
    if (this.over) return;
    for (const { checkpoint } of numbered) {
      if (checkpoint.kind === "cancel") {
        this.#ready.push(() => this.#interrupt(checkpoint));
        this.#schedule();
        continue;
      }
      const ask = this.#asked.get(checkpoint.key)!;
      if (this.observed) this.#tellOutcome(checkpoint);
      this.#give(ask, checkpoint);
    }
  }

  /** Requests the children to be cancelled that are not detached. */
  async #cancelChildren(): Promise<void> {
    const children = await this.#openChildren();
    if (children.length === 0) return;
    await this.services.store.cancelChildren(this.start.owner, children, this.clock.now());
    for (const child of children) this.services.host.told(child);
  }

  async #openChildren(): Promise<string[]> {
    return this.#hasChildren ? await this.services.store.openChildren(this.workflowId) : [];
  }

  #failed = (error: unknown): void => void this.stopFor(error);

  #tellOutcome({ key, attempt, durationMs, status, errorJson }: Checkpoint): void {
    const detail = { key, attempt, durationMs: durationMs ?? 0 };
    if (status === "completed") return this.tell({ type: "stepCompleted", ...detail });
    this.tell({ type: "stepFailed", ...detail, error: decodeError(JSON.parse(errorJson!) as StoredError) });
  }

  async saveRunning(row: Checkpoint): Promise<void> {
    if (this.#phase !== "over") {
      const replacesRunning = this.#rows.get(row.key) !== undefined;
      this.#rows.stored(row);
      try {
        const owned = await this.services.store.checkpoint(this.start.owner, row, replacesRunning);
        if (!owned) this.loseLease(`record step "${row.key}"`);
      } catch (error) {
        await this.stopFor(error);
      }
    }
    if (this.over) await new Promise<never>(() => {});
  }

  saveRunningSoon(key: string, attempt: number, startedAt: number): void {
    this.#rows.begin(key, () => runningRow(this, key, attempt, startedAt));
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
    return this.#phase === "live" && !this.#stopping;
  }

  /** Whether it does nothing but wait. */
  get resting(): boolean {
    return this.live && !this.#bodyEnded && this.#inFlight === 0 && this.#ready.length === 0 &&
      !this.#scheduled;
  }

  /** Whether it may still be cancelled, or run out of time. */
  get interruptible(): boolean {
    return this.#isInterruptible && !this.#bodyEnded;
  }

  /** How many completions there have been. */
  get completions(): number {
    return this.#completions;
  }

  get store(): Store {
    return this.services.store;
  }

  /** The rows that say what the run has begun. */
  get rows(): RunningRows {
    return this.#rows;
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

  // --- How it ends ---

  /** The function has returned or thrown. */
  async #finish(ended: Ended): Promise<void> {
    if (this.#phase === "over" || this.#stopping) return;
    this.#bodyEnded = true;
    try {
      if (this.replaying) {
        const unasked = await this.#history.unaskedToTheEnd(this.#asked);
        if (unasked !== undefined) return await this.stopFor(this.#unaskedError(unasked));
        if (this.services.replayOnly) return this.#endReplay();
        this.#completions = this.#history.last;
      }
      const at = this.clock.now();
      const steps = this.#rows.left().filter((row) => !isWait(row));
      const { stored, error } = await workflowOutcome(this.workflowId, ended, {
        at,
        maxValueBytes: this.maxValueBytes,
        interruption: this.#interruption,
        isCompensated: this.#isCompensated,
        failures: (error) => this.#failures?.get(error),
        lastFailure: this.#lastFailure,
        abandonedFrom: steps.length > 0 ? this.#completions + 1 : undefined,
      });
      const children = await this.#openChildren();
      if (this.over) return;
      const abandoned = steps.map((row) => abandonedStep(row, ++this.#completions, this.run, at));
      const waited = this.#rows.left().length > steps.length;
      this.#end(this.#inFlight > 0 ? new StepAbandonedError("of a workflow that has ended") : undefined);
      const { parentId } = this.start.input;
      const ending = { abandoned, waited, children, ...parentId !== undefined && { parentId } };
      if (!await this.services.store.finish(this.start.owner, stored, ending)) {
        return this.#reject(new LeaseLostError(this.workflowId, runName(this.run), "record the outcome"));
      }
      this.#settled = true;
      this.#tellEnd(stored, error);
      if (parentId !== undefined) this.services.host.told(parentId);
      for (const child of children) this.services.host.told(child);
    } catch (error) {
      await this.stopFor(error);
    }
  }

  #tellEnd(stored: WorkflowOutcome, error: unknown): void {
    if (stored.status === "completed") {
      const output = decodeValue(stored.outputJson);
      if (this.observed) this.tell({ type: "completed", output });
      return this.#result.resolve(output);
    }
    if (this.observed) this.tell({ type: stored.status === "cancelled" ? "cancelled" : "failed", error });
    this.#result.reject(error);
  }

  /** Ends the run for an error that is not the workflow's: it is blocked, or left as its last checkpoint has it. */
  async stopFor(error: unknown): Promise<void> {
    if (this.#phase === "over") return this.#leave(error);
    this.#end(error);
    if (error instanceof WorkflowBlockedError && !this.services.replayOnly) {
      const errorJson = JSON.stringify(encodeError(error));
      const outcome: WorkflowOutcome = {
        status: "blocked",
        outputJson: null,
        errorJson,
        at: this.clock.now(),
      };
      try {
        if (await this.services.store.block(this.start.owner, outcome)) {
          this.#settled = true;
          if (this.observed) this.tell({ type: "blocked", error });
          return this.#result.reject(error);
        }
        error = new LeaseLostError(this.workflowId, runName(this.run), "block the replay");
      } catch (storeError) {
        error = storeError;
      }
    }
    this.#leave(error);
  }

  /** Ends a run that only replays: it has got to where its workflow would go on. */
  #endReplay(): void {
    this.#settled = true;
    this.#end(new EngineClosedError(`Cannot go on with workflow "${this.workflowId}": it was only replayed`));
    this.#result.resolve(undefined);
  }

  /** Ends the run without an outcome, and with the workflow still in its name. */
  #leave(error: unknown): void {
    if (!this.#settled) this.#mustRelease = true;
    this.#reject(error);
  }

  /** Finds out whether the lease has passed to another run, unless a write has told since the last time. */
  async checkLease(): Promise<void> {
    const heard = this.#heard;
    this.#heard = false;
    if (heard) return;
    try {
      if (!await this.services.store.owns(this.start.owner)) this.loseLease("go on with the run");
    } catch (error) {
      // The next beat looks again.
      if (!(error instanceof StoreError)) throw error;
    }
  }

  /** Ends the run: its workflow is let go to wait. */
  parked(dueAt: number | null): void {
    this.#settled = true;
    this.#end(undefined);
    if (this.observed) {
      this.tell({ type: "waiting", ...dueAt !== null && { until: new Date(dueAt) } });
    }
    this.#result.resolve(new Parked(dueAt));
  }

  loseLease(doing: string): void {
    if (this.#phase === "over") return;
    const error = new LeaseLostError(this.workflowId, runName(this.run), doing);
    const asked = [...this.#asked.values()];
    this.#leaseLost = error;
    this.#end(error);
    for (const ask of asked) refuse(ask, error);
    this.#reject(error);
  }

  #reject(error: unknown): void {
    if (this.#settled) return;
    this.#settled = true;
    if (this.observed) this.tell({ type: "suspended", error });
    this.#result.reject(error);
  }

  #end(reason: unknown): void {
    this.#phase = "over";
    this.#cancelPatience?.();
    this.#waits?.end();
    if (reason !== undefined) {
      this.scope.abort(reason);
      this.#undoScope?.abort(reason);
    }
    this.#ready.length = 0;
    this.#asked.clear();
    this.#rows.clear();
    this.#idled?.();
  }

  /**
   * Stops at a checkpoint: no step is begun any more, those that run may end and are committed, for as long as
   * `graceMs`; then the workflow is released.
   */
  async stop(graceMs: number): Promise<void> {
    if (this.#phase === "over") return;
    await this.#stopSteps(graceMs);
    if (this.over) return;
    const error = new EngineClosedError(
      `Cannot go on with workflow "${this.workflowId}": its engine was closed; it can be resumed`,
    );
    this.#end(error);
    try {
      await this.services.store.release(this.start.owner, this.clock.now());
      this.#reject(error);
    } catch (storeError) {
      this.#leave(storeError);
    }
  }

  /** Stops at a checkpoint, however long that takes, and blocks the workflow until it is resumed. */
  async hold(): Promise<void> {
    await this.#stopSteps(undefined);
    await this.stopFor(new WorkflowPausedError(this.workflowId));
  }

  /** @param graceMs how long those that run may take; undefined for any time */
  async #stopSteps(graceMs: number | undefined): Promise<void> {
    this.#stopping = true;
    if (this.#inFlight === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancelTimer = graceMs === undefined ? ignore : this.clock.setTimer(graceMs, resolve);
    this.#idled = resolve;
    await promise;
    cancelTimer();
  }
}

/** How a workflow was told that it is cancelled, or out of time. */
export interface Interruption {
  readonly error: Error;
  /** Whether it is cancelled. */
  readonly isCancel: boolean;
}

/** The value of a completion, or the error. */
function decode({ status, outputJson, errorJson }: Checkpoint): unknown {
  return status === "failed" ? decodeError(JSON.parse(errorJson!) as StoredError) : decodeValue(outputJson);
}

/** Gives the workflow an error; it is in the store and in the events, and need not be waited for. */
function refuse(ask: Ask, error: unknown): void {
  ask.promise.catch(ignore);
  ask.reject(error);
}

/** Marks a promise as one that nobody has to wait for. */
function ignore(): void {}

/** A run's id as people see it. */
export function runName(run: number): string {
  return `r_${run.toString(16).padStart(12, "0")}`;
}
