import type { Clock } from "./clock.ts";
import { CancelledError, CleanupTimeoutError, StoreError, type WorkflowBlockedError } from "./errors.ts";
import { Compensations } from "./compensations.ts";
import type { AsideCompletion, History, PassedCompletion } from "./history.ts";
import type { StepFailure } from "./outcome.ts";
import { SeededRandom } from "./random.ts";
import { Fifo } from "./fifo.ts";
import { Scope } from "./scope.ts";
import { decodeValue } from "./serialize.ts";
import type { StepHost, StepOutcome } from "./step.ts";
import { StepKeys } from "./step_keys.ts";
import type { Checkpoint, CheckpointKind, WorkflowInput } from "./store/rows.ts";
import { errorOf } from "./stored_error.ts";
import type { Turns } from "./turns.ts";

/**
 * Does what the workflow has asked for.
 *
 * @param row what is stored of it, where a run before this one had begun it
 * @returns its outcome; undefined if that comes later, with what the run waits for
 */
export type Perform = (
  row: Checkpoint | undefined,
) => StepOutcome | undefined | Promise<StepOutcome | undefined>;

/** Something that the workflow has asked for and not been given yet. */
export interface Ask {
  readonly kind: CheckpointKind;
  readonly key: string;
  /** The part of the workflow that asks. */
  readonly scope: Scope;
  readonly perform: Perform;
  readonly promise: Promise<unknown>;
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: unknown) => void;
}

/** How a workflow was told that it is cancelled, or out of time. */
export interface Interruption {
  readonly error: Error;
  /** Whether it is cancelled. */
  readonly isCancel: boolean;
}

/** What an execution needs of the run that it is part of. */
export interface ExecutionHost {
  readonly clock: Clock;
  readonly turns: Turns;
  readonly input: WorkflowInput;
  /** How many steps a workflow may have in all. */
  readonly maxSteps: number;
  /** Whether the run is over, or is to stop at its last checkpoint: the workflow sees nothing more. */
  readonly stopping: boolean;
  /** Does something for the first time. */
  perform(ask: Ask): void;
  /** The workflow now does what it has not done before. @param last the number of the last completion before that */
  wentLive(last: number): void;
  /** The workflow was told, for the first time, that it is cancelled, or out of time. */
  interrupted(): void;
  /** The workflow has seen a completion. */
  given(): void;
  /** A completion of the history is given again, for the first time in this run. */
  replayed(checkpoint: Checkpoint): void;
  /** Ends the run for an error that is not the workflow's. */
  stopFor(error: unknown): Promise<void>;
  /** The error for something stored that cannot be read. */
  corrupt(key: string, found: string, cause: unknown): WorkflowBlockedError;
}

/** How long a replay waits for code to ask for what comes next in its history, once it has asked for something else. */
const REPLAY_PATIENCE_MS = 1_000;

/**
 * One call of a workflow's function: what it asks for, and the order in which it is answered.
 *
 * Owns: what it has asked for and not been given, and what of its history it has seen. Does not own: the history
 * (history.ts), and how anything is done for the first time (run.ts).
 *
 * 1. The workflow sees its completions in the order of their numbers, one a turn of the event loop. So every execution
 *    of it asks for the same keys in the same order, whatever the timing.
 * 2. Nothing is done for the first time while a stored completion is left that the workflow has not seen: code that has
 *    changed is found out before it does anything.
 * 3. Once it is dropped, the workflow sees nothing more: what it waits for stays open.
 */
export class Execution {
  /** All of the workflow; aborted when it is cancelled or out of time, and when the run is over. */
  readonly scope = new Scope();
  /** Names the steps. */
  readonly keys: StepKeys;
  /** What the workflow draws at random. */
  readonly seeded: SeededRandom;
  #phase: "replaying" | "live" | "dropped" = "replaying";
  #seen = 0;
  #now: number;
  readonly #asked = new Map<string, Ask>();
  readonly #ready = new Fifo<() => void>();
  #scheduled = false;
  #readingAside = false;
  /** The turn in which the workflow last saw a completion. */
  #lastTurn = -1;
  #cancelPatience: (() => void) | undefined;
  #compensations: Compensations | undefined;
  #cleanups: Scope | undefined;
  #interruption: Interruption | undefined;
  /** The errors that steps have failed with, by the completion that they were. */
  #failures: WeakMap<object, StepFailure> | undefined;
  #lastFailure: StepFailure | undefined;
  #droppedFor: Error | undefined;
  #hasEnded = false;

  /** @param known how many completions an earlier call in this run has seen; undefined for the first call */
  constructor(
    private readonly host: ExecutionHost,
    private readonly history: History,
    private readonly known?: number,
  ) {
    const { input, maxSteps } = host;
    this.#now = input.begunAt ?? input.createdAt;
    this.seeded = new SeededRandom(input.seed);
    this.keys = new StepKeys(input.workflowId, maxSteps);
  }

  /** Whether the workflow is seeing again what it has seen before. */
  get replaying(): boolean {
    return this.#phase === "replaying";
  }

  /** Whether the run has called the function before. */
  get isAgain(): boolean {
    return this.known !== undefined;
  }

  /** How many completions this call has seen, or an earlier one in this run. */
  get reached(): number {
    return Math.max(this.#seen, this.known ?? 0);
  }

  /** Whether what the code does just now was done before, or is done again by a later call: it is not told of. */
  get isRepeating(): boolean {
    if (this.#phase === "dropped") return this.#droppedFor === undefined;
    return this.known === undefined ? this.replaying : this.#seen <= this.known;
  }

  /** Whether the workflow does what it has not done before. */
  get live(): boolean {
    return this.#phase === "live";
  }

  get dropped(): boolean {
    return this.#phase === "dropped";
  }

  /** Whether the workflow's function has ended, and its outcome is being stored or is stored. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** The workflow's function has ended: nothing more is asked for by right. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Whether the workflow has seen all that there is to see. */
  get resting(): boolean {
    return this.live && this.#ready.length === 0 && !this.#scheduled && !this.#readingAside;
  }

  /** Whether the workflow has seen a completion in this turn. */
  get moved(): boolean {
    return this.#lastTurn === this.host.turns.number;
  }

  /** The time of the last completion that the workflow has seen. */
  get now(): number {
    return this.#now;
  }

  /** How the workflow was told that it is cancelled, or out of time; undefined if it was not. */
  get interruption(): Interruption | undefined {
    return this.#interruption;
  }

  /** What cleanups are parts of: aborted when the run is over, but not when the workflow is cancelled or out of time. */
  get cleanups(): Scope {
    return this.#cleanups ??= new Scope();
  }

  /** The steps that can be undone. */
  get compensations(): Compensations {
    return this.#compensations ??= new Compensations();
  }

  /** Whether there are such steps. */
  get canCompensate(): boolean {
    return this.#compensations !== undefined && !this.#compensations.isEmpty;
  }

  /** The step whose failure an error is, if it is one's. */
  failureOf(error: object): StepFailure | undefined {
    return this.#failures?.get(error);
  }

  /** The first of the failures that the workflow saw last, with no result after it. */
  get lastFailure(): StepFailure | undefined {
    return this.#lastFailure;
  }

  /** Whether {@linkcode Execution.load} is to be awaited before it begins. */
  get mustLoad(): boolean {
    return this.history.mustLoad;
  }

  /** Reads the beginning of the history. @throws {CorruptCheckpointError} if it is not as it was written */
  load(): Promise<void> {
    return this.history.load();
  }

  /** Begins: at once with what is new, where there is no history. */
  begin(): void {
    if (this.history.peek() === undefined) this.#goLive();
  }

  /**
   * Asks for what is stored under a key, or else for it to be done.
   *
   * @param key one of {@linkcode Execution.keys}
   */
  ask(kind: CheckpointKind, key: string, scope: Scope, perform: Perform): Promise<unknown> {
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    const ask = { kind, key, scope, perform, promise, resolve, reject };
    if (this.#phase === "dropped") {
      if (this.#droppedFor !== undefined) refuse(ask, this.#droppedFor);
      return promise;
    }
    this.#asked.set(key, ask);
    const aside = this.history.ask(key);
    if (aside !== undefined) {
      this.#ready.unshift(() => this.#replayAside(ask, aside));
    } else if (this.#phase === "live") {
      this.host.perform(ask);
      return promise;
    }
    this.#schedule();
    return promise;
  }

  /** Whether it is where it has not been before. @param begun the keys of what is stored as begun */
  isAtEnd(begun: readonly string[]): boolean {
    return (this.live || this.history.isExhausted) && begun.every((key) => this.#asked.has(key));
  }

  /** Whether something has been asked for, or is to be seen, that was not seen yet. */
  get hasAsked(): boolean {
    return this.#asked.size > 0 || this.#ready.length > 0;
  }

  /** Whether a key has been asked for and not been given. */
  has(key: string): boolean {
    return this.#asked.has(key);
  }

  // --- What the workflow sees, turn by turn ---

  /** Has the workflow see a new completion: at once, if it has seen none in this turn, or else in its turn. */
  give(checkpoint: Checkpoint): void {
    const ask = this.#asked.get(checkpoint.key);
    if (ask === undefined) return;
    const { number } = this.host.turns;
    const mustWait = this.#ready.length > 0 || this.#scheduled || this.#readingAside || this.host.stopping;
    if (mustWait || this.#lastTurn === number) {
      this.#ready.push(() => this.#see(ask, checkpoint));
      this.#schedule();
    } else {
      this.#lastTurn = number;
      this.#see(ask, checkpoint);
    }
    this.host.given();
  }

  /** Tells the workflow, in its turn, that it is cancelled, or out of time. */
  interrupt(checkpoint: Checkpoint): void {
    this.#ready.push(() => {
      this.#interrupt(checkpoint);
      this.host.interrupted();
    });
    this.#schedule();
  }

  #schedule(): void {
    if (this.#scheduled || this.#readingAside || this.host.stopping) return;
    this.#scheduled = true;
    this.host.turns.next(this.#turn);
  }

  #turn = (): void => {
    this.#scheduled = false;
    if (this.#phase === "dropped" || this.host.stopping) return;
    this.#lastTurn = this.host.turns.number;
    const deliver = this.#ready.shift();
    if (deliver !== undefined) {
      deliver();
      if (this.#ready.length > 0 || this.replaying) this.#schedule();
      this.host.given();
    } else if (this.replaying) {
      this.#replayNext();
    }
  };

  /** Gives the workflow the next completion of its history, if it has asked for it. */
  #replayNext(): void {
    if (this.history.mustLoad) {
      this.history.load().then(() => this.#schedule(), (error) => this.host.stopFor(error));
      return;
    }
    const next = this.history.peek();
    if (next === undefined) return this.#goLive();
    const ask = this.#asked.get(next.key);
    if (next.kind === "cancel" && next.status !== "retried") {
      this.history.advance();
      this.#interrupt(next);
    } else if (next.status === "retried" || next.status === "kept" && ask === undefined) {
      this.history.setAside();
    } else if (ask === undefined) {
      return this.#waitForAsk();
    } else {
      this.#cancelPatience?.();
      this.#cancelPatience = undefined;
      this.history.advance();
      this.#replay(ask, next);
    }
    this.#schedule();
  }

  /** Gives what was set aside. Nothing else is seen while that is read. */
  #replayAside(ask: Ask, aside: AsideCompletion): void {
    if ("checkpoint" in aside) return this.#replay(ask, aside.checkpoint);
    this.#readingAside = true;
    aside.read().then((checkpoint) => {
      this.#readingAside = false;
      if (this.#phase === "dropped" || this.host.stopping) return;
      this.#ready.unshift(() => this.#replay(ask, checkpoint));
      this.#schedule();
    }, (error) => this.host.stopFor(error));
  }

  #replay(ask: Ask, checkpoint: Checkpoint): void {
    if (checkpoint.kind !== ask.kind) {
      const reason =
        `its history has a ${checkpoint.kind} under "${ask.key}", and its code asks for a ${ask.kind}`;
      return void this.host.stopFor(this.history.divergence(reason));
    }
    this.#see(ask, checkpoint, this.#seen >= (this.known ?? 0));
  }

  /** The workflow sees a completion, if that can be read. @param isReplayed whether that is told */
  #see(ask: Ask, checkpoint: Checkpoint, isReplayed = false): void {
    const decoded = this.#decode(checkpoint);
    if (decoded === undefined) return;
    if (isReplayed) this.host.replayed(checkpoint);
    this.#settle(ask, checkpoint, decoded.value);
  }

  /** The value of a completion, or its error; undefined if it cannot be read: then the run is ended for that. */
  #decode(checkpoint: Checkpoint): { readonly value: unknown } | undefined {
    try {
      return { value: decode(checkpoint) };
    } catch (cause) {
      if (cause instanceof StoreError) {
        void this.host.stopFor(cause);
        return undefined;
      }
      const what = checkpoint.status === "failed" ? "error" : "value";
      const found = `a text that is no ${what} (${(cause as Error).message})`;
      void this.host.stopFor(this.host.corrupt(checkpoint.key, found, cause));
      return undefined;
    }
  }

  /** The workflow is told that it is cancelled, or out of time. */
  #interrupt(checkpoint: Checkpoint): void {
    const decoded = this.#decode(checkpoint);
    if (decoded === undefined) return;
    const { key, completion, startedAt, durationMs } = checkpoint;
    const error = decoded.value;
    if (!(error instanceof Error)) {
      return void this.host.stopFor(this.host.corrupt(key, "what interrupts no workflow", undefined));
    }
    this.#seen++;
    this.#interruption = { error, isCancel: error instanceof CancelledError };
    (this.#failures ??= new WeakMap()).set(error, { step: key, completion: completion! });
    this.#now = Math.max(this.#now, startedAt + (durationMs ?? 0));
    this.scope.abort(error);
  }

  #settle(ask: Ask, checkpoint: Checkpoint, value: unknown): void {
    const { key, kind, status, completion, startedAt, durationMs } = checkpoint;
    this.#asked.delete(key);
    this.#seen++;
    this.#now = Math.max(this.#now, startedAt + (durationMs ?? 0));
    this.#compensations?.ended(checkpoint);
    if (status !== "failed") {
      if (kind !== "cleanup") this.#lastFailure = undefined;
      return ask.resolve(value);
    }
    const failure = this.#outOfTime(ask) ?? { step: key, completion: completion! };
    this.#lastFailure ??= failure;
    if (value instanceof Error) (this.#failures ??= new WeakMap()).set(value, failure);
    refuse(ask, value);
  }

  /** The end of a cleanup's time, where that is what has failed something in it: a retry has to begin there. */
  #outOfTime({ scope: { reason } }: Ask): StepFailure | undefined {
    return reason instanceof CleanupTimeoutError ? this.#failures?.get(reason) : undefined;
  }

  /**
   * The code has come to rest without asking for the next completion. It may be waiting for something that is not
   * of ours; but if it has asked for something else, it waits in vain, and after a while the replay goes on.
   */
  #waitForAsk(): void {
    if (this.#asked.size === 0 || this.#cancelPatience !== undefined) return;
    this.#cancelPatience = this.host.clock.setTimer(REPLAY_PATIENCE_MS, () => {
      this.#cancelPatience = undefined;
      if (this.#phase !== "replaying" || this.host.stopping) return;
      this.history.setAsideUnasked(this.#asked).then(
        () => this.#schedule(),
        (error) => this.host.stopFor(error),
      );
    });
  }

  /** The history is at its end: from here on the workflow does what it has not done before. */
  #goLive(): void {
    const unasked = this.history.unasked();
    if (unasked !== undefined) return void this.host.stopFor(this.#unaskedError(unasked));
    this.#phase = "live";
    this.host.wentLive(this.history.last);
    for (const ask of [...this.#asked.values()]) this.host.perform(ask);
  }

  #unaskedError({ key, completion }: PassedCompletion): WorkflowBlockedError {
    return this.history.divergence(
      `its history has "${key}" as completion ${completion}, and its code does not ask for it`,
    );
  }

  // --- How it ends ---

  /**
   * Undoes what can be undone, if the workflow has failed or was interrupted. A part of the workflow, as its function is.
   *
   * @param failure what it has ended with
   */
  async compensate(host: StepHost, failure: unknown): Promise<void> {
    this.scope.abort(failure);
    await this.compensations.settle();
    await this.compensations.undo(host, this, failure);
  }

  /**
   * Looks, once the workflow's function has ended, through what it has not seen of its history.
   *
   * @returns the number of the last completion there was, if it was replaying
   * @throws {NonDeterminismError} if there is something in it that the code should have asked for
   */
  async passRest(): Promise<number | undefined> {
    if (!this.replaying) return undefined;
    const unasked = await this.history.unaskedToTheEnd(this.#asked);
    if (unasked !== undefined) throw this.#unaskedError(unasked);
    return this.history.last;
  }

  /**
   * The workflow sees nothing more.
   *
   * @param reason what its parts are aborted for; undefined if they are not
   * @param refusal what is thrown at what it waits for; undefined if that stays open
   */
  drop(reason: unknown, refusal?: Error): void {
    this.#phase = "dropped";
    this.#cancelPatience?.();
    this.#ready.clear();
    const asked = [...this.#asked.values()];
    this.#asked.clear();
    if (reason !== undefined) {
      this.scope.abort(reason);
      this.#compensations?.scope.abort(reason);
      this.#cleanups?.abort(reason);
    }
    this.#droppedFor = refusal;
    if (refusal !== undefined) { for (const ask of asked) refuse(ask, refusal); }
  }
}

/** The value of a completion, or the error. */
function decode({ status, outputJson, errorJson }: Checkpoint): unknown {
  return status === "failed" ? errorOf(errorJson ?? "") : decodeValue(outputJson);
}

/** Gives the workflow an error; it is in the store and in the events, and need not be waited for. */
function refuse(ask: Ask, error: unknown): void {
  ask.promise.catch(() => {});
  ask.reject(error);
}
