/**
 * What a user writes: workflows, and the steps in them. How one is defined is in define_workflow.ts.
 *
 * @module
 */

import type { LogLevel } from "./events.ts";
import type { Duration } from "./duration.ts";
import type { RetryOptions } from "./retry.ts";
import type { Signal } from "./signal.ts";
import type { SqlParameter } from "./store/database.ts";
import type { StandardSchema } from "./standard_schema.ts";
import type { CannotBeStored, UnstorableResult } from "./storable.ts";

/**
 * A workflow: a function that survives the end of its process, and the name by which the store knows it.
 *
 * `I` is the type of what it is started with, `O` of what it returns, `V` of what its function is given: what the schema
 * of its input makes of that, where it has one.
 */
// deno-lint-ignore no-explicit-any -- a list of workflows holds them whatever their types
export interface Workflow<I = any, O = any, V = I> {
  /** By which the store knows it. */
  readonly name: string;
  /** Which state of its code this is, if it says so. */
  readonly version?: string;
  /** How long it may take, in milliseconds, if there is a limit. */
  readonly timeoutMs?: number;
  /** What its input must be, if it says so. */
  readonly input?: StandardSchema<I, V>;
  /** The function. */
  readonly run: (ctx: Context, input: V) => Promise<O> | O;
}

/** What is named after the workflow where one is started: the input may be left out only where the workflow takes none. */
export type StartArguments<I, Options> = undefined extends I ? [options?: Options]
  : [options: Options & { input: I }];

/** How a child is started. */
export interface ChildOptions<I> {
  /** Its workflow id. By default one that is made of the parent's id and the key of the call. */
  id?: string;
  /** What its function is given. */
  input?: I;
  /** Whether it goes on when its parent ends before it, or is cancelled or out of time. By default it is cancelled then. */
  detached?: boolean;
  /** How long it may take; its workflow's own limit by default. Unless it is detached, it ends with its parent. */
  timeout?: Duration;
}

/** How a signal is waited for. */
export interface WaitOptions {
  /** How long, at most. Forever by default. */
  timeout?: Duration;
}

/** What a step's function is told. */
export interface StepInfo {
  /**
   * The same for every attempt of this step in this workflow, and for no other: `workflowId/stepKey`, with any `/` and
   * `%` in the step key as `%2F` and `%25`.
   */
  readonly idempotencyKey: string;
  /** Which attempt this is, from 1. An attempt that ended with its process is not counted. */
  readonly attempt: number;
  /** Aborted when the result is not wanted any more: time-out, failure of another branch, lost lease, closing engine. */
  readonly signal: AbortSignal;
}

/** The function of a step. Its result must be plain data, or what the store can keep besides: Date, Map, Set, … */
export type StepFunction<T> = (info: StepInfo) => T | Promise<T>;

/** How a step is run. */
export interface StepOptions<T = unknown> {
  /**
   * Undoes the step, once its workflow fails, is cancelled or runs out of time: a saga. The steps that were completed are
   * undone in the reverse order, each as a step of its own, which is tried again as its options say. If that fails for
   * good, the workflow is `blocked` with a `CompensationError`, and `engine.resume()` tries it again.
   */
  compensate?: Compensate<T> | CompensateOptions<T>;
  /** Whether and when a step that failed is tried again. By default it is not. */
  retry?: RetryOptions;
  /** How long an attempt may take. It is unlimited by default. */
  timeout?: Duration;
  /**
   * What happens to a step that was running when its process was lost: `"at-least-once"`, the default, runs it again;
   * `"at-most-once"` fails it with `StepInterruptedError`, and costs a commit before the step is started.
   */
  semantics?: "at-least-once" | "at-most-once";
}

/** Undoes a step. @param output what the step had returned */
export type Compensate<T> = (output: T, info: StepInfo) => unknown;

/** How a step is undone. */
export interface CompensateOptions<T> {
  /** Undoes it. */
  undo: Compensate<T>;
  /** Whether and when it is tried again. By default it is tried ten times. */
  retry?: RetryOptions;
  /** How long an attempt may take. It is unlimited by default. */
  timeout?: Duration;
}

/**
 * A transaction on the store's own file: what it does is committed together, or not at all. Its function must await
 * nothing but the transaction: while that is open, nothing else is committed, in this process or another.
 *
 * Its SQL is for tables of your own; Stepwell's can only be read. A statement is refused that would change them or their
 * schema, itself or by a trigger, put an index, a trigger or a foreign key on them, end the transaction, or set up the
 * connection.
 *
 * A time-out takes effect between statements: SQLite runs each to its end, and the event loop waits for it. A single statement
 * that takes longer than the time-out is rolled back after it, and holds up the process and all who write until then.
 */
export interface Transaction {
  /**
   * Runs a statement.
   *
   * @param params bound to the question marks in it, in their order: a number that is a safe integer as an integer, any
   *   other as a real
   * @returns the number of rows it changed
   * @throws {TypeError} if it is not one statement of a kind that may be run, would change what is Stepwell's own, or the
   *   parameters do not fit: a text with a NUL or half a character would not come back as it is
   * @throws {StatementError} if the database refuses it; the transaction goes on, unless that has ended it
   */
  run(sql: string, ...params: SqlParameter[]): Promise<number>;
  /**
   * Runs a statement.
   *
   * @returns its rows, by column name; a text that `RETURNING` gives is cut at a NUL
   * @throws as {@linkcode Transaction.run}
   * @throws {StatementError} if a query gives a text that would be cut at a NUL, or that is none
   */
  all<T = Record<string, unknown>>(sql: string, ...params: SqlParameter[]): Promise<T[]>;
  /** Runs a statement. @returns its first row, undefined if there is none @throws as {@linkcode Transaction.run} */
  get<T = Record<string, unknown>>(sql: string, ...params: SqlParameter[]): Promise<T | undefined>;
  /**
   * Sends a signal to a workflow, with the commit: an outbox.
   *
   * @param options.idempotencyKey another signal of this name with the same key is the same one: sent once
   * @throws as `engine.signal()`
   */
  signal<T>(
    id: string,
    signal: Signal<T> | string,
    payload?: T,
    options?: { idempotencyKey?: string },
  ): Promise<void>;
  /**
   * Starts a workflow, with the commit. This engine runs it then, and whoever starts or resumes it if this process is lost
   * before. It is nobody's child. An id that is known already is not started again.
   *
   * @returns its id
   * @throws {WorkflowConflictError} if the id belongs to another workflow, or to another input
   */
  start<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    options: TransactionStartOptions<NoInfer<I>> & { input: NoInfer<I> },
  ): Promise<string>;
  /** The same for a workflow that takes no input. */
  start<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    ...options: StartArguments<NoInfer<I>, TransactionStartOptions<NoInfer<I>>>
  ): Promise<string>;
}

/** How a workflow is started in a transaction. */
export interface TransactionStartOptions<I> {
  /** The caller's name for this execution. Random by default. */
  id?: string;
  /** What its function is given. */
  input?: I;
  /** How long it may take, instead of what its definition says. */
  timeout?: Duration;
}

/** The function of a transaction. */
export type TransactionFunction<T> = (tx: Transaction) => T | Promise<T>;

/** How a transaction of a workflow is run. */
export interface TransactionOptions {
  /**
   * Whether and when a transaction that failed is tried again: whose function threw, or ran out of time. By default it is not.
   * One that the database refuses to commit, for a constraint that is deferred until then, has failed for good.
   */
  retry?: RetryOptions;
  /** How long it may be open; the engine's `transactionTimeout` by default. Then it is rolled back, which counts as failed. */
  timeout?: Duration;
}

/** How `ctx.all()` runs its branches. */
export interface AllOptions {
  /** How many branches run at a time: an integer from 1. All of them by default. */
  concurrency?: number;
}

/** How `ctx.cleanup()` runs its function. */
export interface CleanupOptions {
  /** How long it may take, from when it is begun first. `"5m"` by default. */
  timeout?: Duration;
}

/** Messages of a workflow, each told once: a replay is silent. They become events of the engine. */
export type Logger = Readonly<Record<LogLevel, (message: string, fields?: Record<string, unknown>) => void>>;

/**
 * What a workflow has to work with. All that it does besides must be deterministic: everything from outside (time, chance, other
 * systems) comes through a step or one of these.
 */
export interface Context {
  /** The caller's name for this execution. */
  readonly workflowId: string;
  /** The run that this is: another one after each start of a process. */
  readonly runId: string;
  /** Aborted when this part of the workflow is given up. */
  readonly signal: AbortSignal;
  /** Messages for people; a replay does not repeat them. */
  readonly log: Logger;

  /** A step whose result cannot be stored: it fails, which the type of its result says beforehand. */
  step<T>(
    id: string,
    fn: StepFunction<T> & UnstorableResult<T>,
    options?: StepOptions,
  ): Promise<CannotBeStored<T>>;
  /**
   * Runs a step, or returns what is stored of it. Once the promise is settled, its outcome is committed.
   *
   * An error is seen as it was stored: `name`, `message`, `stack`, `cause` and `code`, of the class `Error` or one of
   * the language's own or Stepwell's.
   *
   * A step's function must not run steps itself: the workflow does.
   *
   * @param id names the step; calls with the same id are told apart by their order. An empty one is replaced by the
   *   place of the call in the source
   * @param fn runs until it has succeeded, or failed for good; a crash before its outcome is stored runs it again
   * @throws what the step failed with, as it was stored
   */
  step<T>(id: string, fn: StepFunction<T>, options?: StepOptions<NoInfer<T>>): Promise<T>;

  /**
   * Runs a transaction on the store's own file, or returns what is stored of it. Its SQL, its checkpoint, and the signals and
   * workflows it sends and starts are committed together: exactly once. If the function throws, or the process is lost
   * before the commit, nothing of it is there. What it has failed with is stored then, as of a step.
   *
   * The function must await nothing but the transaction, neither a step nor anything else: it holds the file meanwhile. It
   * does not run again in a replay, so what it asks of `ctx` would be missing there.
   *
   * @param id names the transaction, as of a step
   * @throws what the function has thrown, as it was stored
   * @throws {TransactionTimeoutError} if it took too long
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const transfer = workflow("transfer", (ctx, { from, to, cents }: { from: string; to: string; cents: number }) =>
   *   ctx.transaction("move", async (tx) => {
   *     const left = "UPDATE accounts SET cents = cents - ? WHERE name = ? AND cents >= ?";
   *     if (await tx.run(left, cents, from, cents) === 0) throw new RangeError(`"${from}" has too little`);
   *     await tx.run("UPDATE accounts SET cents = cents + ? WHERE name = ?", cents, to);
   *   }));
   *
   * await using engine = await Engine.open(":memory:", { workflows: [transfer] });
   * await engine.transaction(async (tx) => {
   *   await tx.run("CREATE TABLE accounts (name TEXT PRIMARY KEY, cents INTEGER NOT NULL)");
   *   await tx.run("INSERT INTO accounts VALUES ('ada', 100), ('grace', 0)");
   * });
   * for (let i = 0; i < 2; i++) {
   *   await engine.run(transfer, { id: "transfer-1", input: { from: "ada", to: "grace", cents: 30 } });
   * }
   * const accounts = await engine.transaction((tx) => tx.all("SELECT * FROM accounts ORDER BY name"));
   * assertEquals(accounts, [{ name: "ada", cents: 70 }, { name: "grace", cents: 30 }]);
   * ```
   */
  transaction<T>(id: string, fn: TransactionFunction<T>, options?: TransactionOptions): Promise<T>;

  /**
   * Runs branches side by side. When one fails, the signals of the others are aborted; when all have ended, the first
   * error is thrown. After Go's errgroup.
   *
   * @param branches each gets a context of its own, for its steps
   * @returns the results, in the order of the branches
   */
  all<const T extends readonly ((ctx: Context) => unknown)[]>(
    branches: T,
    options?: AllOptions,
  ): Promise<{ -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }>;

  /**
   * Runs a part of the workflow although it was cancelled or is out of time: to be used in `finally` above all, since a step
   * there is refused otherwise. Where nothing has happened to the workflow, it runs as any other part. After Temporal's
   * non-cancellable scope.
   *
   * It has a time of its own, which is counted from when it is begun first, whatever crashes, and goes on while the workflow is
   * paused or no process runs it. Then its steps are aborted, and all that it waits and asks for rejects with a
   * `CleanupTimeoutError`. A cleanup within another one has a time of its own, too.
   *
   * What it does is a part of the history: await it. Compensations run after it, once the function has ended. A child that is
   * started in it is `detached` unless it says otherwise: cancelling the workflow does not cancel it. Where the workflow is
   * retried, the results of its steps still stand. Counts as a step, and is committed when it ends.
   *
   * @param fn gets a context of its own, for its steps; the one outside is given up
   * @returns what the function returns
   * @throws what the function throws
   * @throws {TypeError | RangeError} if it is not called with a function, and options as {@linkcode CleanupOptions} says
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals, assertRejects } from "@std/assert";
   *
   * const rooms = new Set<string>();
   * const meeting = workflow("meeting", async (ctx, room: string) => {
   *   await ctx.step("book", () => void rooms.add(room));
   *   try {
   *     await ctx.waitForSignal("ended");
   *   } finally {
   *     await ctx.cleanup((ctx) => ctx.step("release", () => void rooms.delete(room)), { timeout: "1m" });
   *   }
   * });
   *
   * await using engine = await Engine.open(":memory:");
   * const handle = await engine.start(meeting, { input: "blue" });
   * await handle.cancel();
   * await assertRejects(() => handle.result(), Error, "was cancelled");
   * assertEquals(rooms.size, 0);
   * ```
   */
  cleanup<T>(fn: (ctx: Context) => T | Promise<T>, options?: CleanupOptions): Promise<T>;

  /**
   * Waits, however long: the workflow is let go from memory meanwhile, and goes on when its time has come, in this
   * process or another.
   *
   * @throws {CancelledError | WorkflowTimeoutError} if the workflow is told so meanwhile
   */
  sleep(duration: Duration): Promise<void>;
  /** {@linkcode Context.sleep} until a time, given as a `Date` or in milliseconds since 1970; not at all if that is past. */
  sleepUntil(time: Date | number): Promise<void>;

  /**
   * Waits for a signal: a message to this workflow, sent by `engine.signal()`. Signals are kept from the moment they
   * are sent, before the workflow waits or even exists, and are given in their order, each once.
   *
   * @param signal its name, or its definition by {@linkcode signal}
   * @returns what was sent along; undefined also when the time is over
   * @throws {CancelledError | WorkflowTimeoutError} if the workflow is told so meanwhile
   */
  waitForSignal<T>(signal: Signal<T> | string, options?: WaitOptions): Promise<T | undefined>;

  /**
   * Starts another workflow as a child of this one, and waits for its output. It is a workflow of its own, with its
   * own id and history, and is started once.
   *
   * @throws what the child fails with
   * @throws {WorkflowConflictError} if its id is that of a workflow that is not this child
   * @throws {ValidationError} if its input is not what the child takes
   * @throws {CancelledError | WorkflowTimeoutError} if this workflow is told so meanwhile, or the child was
   */
  child<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    options: ChildOptions<NoInfer<I>> & { input: NoInfer<I> },
  ): Promise<O>;
  /** The same for a workflow that takes no input. */
  child<I, O>(
    // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
    workflow: Workflow<I, O, any>,
    ...options: StartArguments<NoInfer<I>, ChildOptions<NoInfer<I>>>
  ): Promise<O>;

  /**
   * Whether a change of the workflow's code applies: true for a workflow that comes to this place with the new code, false
   * for one whose history has gone by it without. Both kinds of workflows can so go on with the same code:
   *
   * ```ts ignore
   * const receipt = ctx.patched("charge-by-token")
   *   ? await ctx.step("charge-token", chargeToken)
   *   : await ctx.step("charge", chargeCard);
   * ```
   *
   * The first answer holds for the whole workflow, also in a loop, and in every replay: a marker in the store says so
   * where it is true. One that has waited here for days takes the new path, as long as nothing has begun of the old one.
   * Once no workflow is under way that began before the change, the old path and the call can go; the marker may stay.
   *
   * @param changeId names the change: another one for each
   * @throws {TypeError | RangeError} if the change id is not a name
   * @throws {LimitExceededError} if the workflow has asked for 10,000 changes already
   */
  patched(changeId: string): boolean;

  /**
   * Publishes a value under a key, in place of the one before it: the workflow's state, for others to read with
   * `handle.read()`, in any process, while it runs and after it has ended. It is published exactly once: in one commit
   * with the checkpoint that says so. Counts as a step.
   *
   * @param value data, as the result of a step
   * @throws {SerializationError | LimitExceededError} if the value cannot be stored, or is too large
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const parcel = workflow("parcel", async (ctx) => {
   *   await ctx.publish("place", "warehouse");
   *   await ctx.waitForSignal("collected");
   *   await ctx.publish("place", "van");
   * });
   *
   * await using engine = await Engine.open(":memory:");
   * const handle = await engine.start(parcel, { id: "parcel-1" });
   * assertEquals(await handle.read<string>("place", { wait: "10s" }), "warehouse");
   * await handle.signal("collected");
   * await handle.result();
   * assertEquals(await handle.read<string>("place"), "van");
   * ```
   */
  publish(key: string, value: unknown): Promise<void>;

  /**
   * Adds a value to a stream of the workflow's, for others to read with `handle.stream()`: its progress, say. It is
   * added exactly once, in one commit with the checkpoint that says so; the entries of a stream are in the order of the
   * calls. Counts as a step. What a workflow emits after the step that fails it stays in the stream; a workflow that is
   * retried goes on behind it.
   *
   * @param value data, as the result of a step
   * @throws {SerializationError | LimitExceededError} if the value cannot be stored, or is too large
   *
   * @example
   * ```ts
   * import { Engine, workflow } from "@stepwell/stepwell";
   * import { assertEquals } from "@std/assert";
   *
   * const copy = workflow("copy", async (ctx, files: string[]) => {
   *   for (const file of files) {
   *     await ctx.step("copy", () => console.log(file));
   *     await ctx.emit("copied", file);
   *   }
   * });
   *
   * await using engine = await Engine.open(":memory:");
   * const handle = await engine.start(copy, { id: "copy-1", input: ["a.txt", "b.txt"] });
   * const copied: string[] = [];
   * for await (const { position, value } of handle.stream<string>("copied")) copied[position] = value;
   * assertEquals(copied, ["a.txt", "b.txt"]);
   * ```
   */
  emit(stream: string, value: unknown): Promise<void>;

  /**
   * The time, by the workflow's own account: that of the last outcome it has seen, or, before the first, that at which its first
   * run began. The same in a replay.
   */
  now(): Date;
  /** A random number, at least 0 and less than 1. The same in a replay. Not for secrets. */
  random(): number;
  /** A random UUID. The same in a replay. Not for secrets. */
  uuid(): string;
}

/** A step whose result cannot be stored: see the other {@linkcode Context.step}. */
export function step<T>(
  ctx: Context,
  id: string,
  fn: StepFunction<T> & UnstorableResult<T>,
  options?: StepOptions,
): Promise<CannotBeStored<T>>;
/** Runs a step: the same as `ctx.step(id, fn, options)`. */
export function step<T>(
  ctx: Context,
  id: string,
  fn: StepFunction<T>,
  options?: StepOptions<NoInfer<T>>,
): Promise<T>;
export function step<T>(
  ctx: Context,
  id: string,
  fn: StepFunction<T>,
  options?: StepOptions<NoInfer<T>>,
): Promise<T> {
  return ctx.step(id, fn, options);
}
