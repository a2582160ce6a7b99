import { performCleanup } from "./cleanup.ts";
import { isWorkflow } from "./define_workflow.ts";
import { callSite } from "./call_site.ts";
import { performChild } from "./child.ts";
import type { Compensation } from "./compensations.ts";
import { type Duration, durationMs } from "./duration.ts";
import type { LogLevel } from "./events.ts";
import { CancelledError, WorkflowTimeoutError } from "./errors.ts";
import { checkBoolean, checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { Publisher } from "./publisher.ts";
import { found, quote } from "./quote.ts";
import { type RetryOptions, retryPolicy } from "./retry.ts";
import { runName } from "./ids.ts";
import type { Run } from "./run.ts";
import type { Execution } from "./execution.ts";
import { Scope } from "./scope.ts";
import { encodeAhead } from "./serialize.ts";
import { type Signal, signalName } from "./signal.ts";
import { snapshot } from "./snapshot.ts";
import { performStep, runningRow } from "./step.ts";
import { signalTopic } from "./store/mailbox.ts";
import type { CheckpointKind } from "./store/rows.ts";
import { timeMs } from "./time.ts";
import { inputText as validInputText } from "./validation.ts";
import type {
  AllOptions,
  ChildOptions,
  CleanupOptions,
  Compensate,
  CompensateOptions,
  Context,
  Logger,
  StepFunction,
  StepOptions,
  TransactionFunction,
  TransactionOptions,
  WaitOptions,
  Workflow,
} from "./workflow.ts";

/** How undoing a step is tried again, where nothing else is said. */
const DEFAULT_COMPENSATION_RETRY: RetryOptions = { maxAttempts: 10 };

const STEP_OPTIONS = optionNames<StepOptions>({
  compensate: true,
  retry: true,
  timeout: true,
  semantics: true,
});
const COMPENSATE_OPTIONS = optionNames<CompensateOptions<unknown>>({
  undo: true,
  retry: true,
  timeout: true,
});
const TRANSACTION_OPTIONS = optionNames<TransactionOptions>({ retry: true, timeout: true });
const WAIT_OPTIONS = optionNames<WaitOptions>({ timeout: true });
const CHILD_OPTIONS = optionNames<ChildOptions<unknown>>({
  id: true,
  input: true,
  detached: true,
  timeout: true,
});
const CLEANUP_OPTIONS = optionNames<CleanupOptions>({ timeout: true });
const ALL_OPTIONS = optionNames<AllOptions>({ concurrency: true });

/** How long a cleanup may take, where nothing else is said. */
const CLEANUP_TIMEOUT = "5m";

const NO_OPTIONS: StepOptions = {};

/** The context that a run gives its workflow, or one branch of it. */
export class RunContext implements Context {
  readonly #run: Run;
  readonly #execution: Execution;
  readonly #scope: Scope;
  readonly #publisher: Publisher;
  readonly #isCleanup: boolean;
  #log: Logger | undefined;

  /**
   * @param scope the part of the workflow that the context is for
   * @param publisher that of the whole workflow
   * @param isCleanup whether it is for a part of a cleanup
   */
  constructor(
    run: Run,
    execution: Execution,
    scope: Scope = execution.scope,
    publisher: Publisher = new Publisher(run),
    isCleanup = false,
  ) {
    this.#run = run;
    this.#execution = execution;
    this.#scope = scope;
    this.#publisher = publisher;
    this.#isCleanup = isCleanup;
  }

  /** The context for a part of this one. */
  #within(scope: Scope, isCleanup = this.#isCleanup): RunContext {
    return new RunContext(this.#run, this.#execution, scope, this.#publisher, isCleanup);
  }

  get log(): Logger {
    return this.#log ??= logger(this.#run, this.#execution);
  }

  get workflowId(): string {
    return this.#run.workflowId;
  }

  get runId(): string {
    return runName(this.#run.run);
  }

  get signal(): AbortSignal {
    return this.#scope.signal;
  }

  step<T>(id: string, fn: StepFunction<T>, options: StepOptions<NoInfer<T>> = NO_OPTIONS): Promise<T> {
    return RunContext.#asked(this, "step", () => {
      const name = id === "" ? (callSite() ?? "step") : id;
      this.#checkCall("run step", name);
      checkFunction(fn, "run step", name);
      if (options !== NO_OPTIONS) checkOptions(options, STEP_OPTIONS, "run step", name);
      const { retry, timeout, semantics = "at-least-once", compensate } = options;
      if (semantics !== "at-least-once" && semantics !== "at-most-once") {
        throw new TypeError(
          `Cannot run step ${quote(name)}: wanted semantics "at-least-once" or "at-most-once", ` +
            `found ${found(semantics)}`,
        );
      }
      const policy = retryPolicy(retry, "run step", name);
      const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, `timeout of step "${name}"`);
      const undo = compensate === undefined ? undefined : compensation(name, compensate);
      return () => {
        const key = this.#execution.keys.next(name);
        const atMostOnce = semantics === "at-most-once";
        const task = { kind: "step" as const, key, fn, policy, timeoutMs, atMostOnce, scope: this.#scope };
        if (undo !== undefined) this.#execution.compensations.add({ ...undo, key });
        return this.#execution.ask("step", key, this.#scope, (row) => performStep(this.#run, task, row));
      };
    });
  }

  transaction<T>(id: string, fn: TransactionFunction<T>, options: TransactionOptions = {}): Promise<T> {
    return RunContext.#asked(this, "transaction", () => {
      const name = id === "" ? (callSite() ?? "transaction") : id;
      this.#checkCall("run transaction", name);
      checkFunction(fn, "run transaction", name);
      checkOptions(options, TRANSACTION_OPTIONS, "run transaction", name);
      const { retry, timeout } = options;
      const policy = retryPolicy(retry, "run transaction", name);
      const timeoutMs = timeout === undefined
        ? undefined
        : durationMs(timeout, `timeout of transaction "${name}"`);
      return () => {
        const key = this.#execution.keys.next(name);
        const task = { key, fn, policy, timeoutMs, scope: this.#scope };
        return this.#execution.ask("transaction", key, this.#scope, async (row) => {
          const { performTransaction } = await import("./transaction.ts");
          return await performTransaction(this.#run, task, row);
        });
      };
    });
  }

  sleep(duration: Duration): Promise<void> {
    return RunContext.#asked(this, "sleep", () => {
      this.#checkCall("sleep");
      const ms = durationMs(duration, "duration of a sleep");
      return () => this.#wait("sleep", "sleep", (now) => ({ dueAt: now + ms }));
    });
  }

  sleepUntil(time: Date | number): Promise<void> {
    return RunContext.#asked(this, "sleepUntil", () => {
      this.#checkCall("sleep");
      const dueAt = timeMs(time, "sleep");
      return () => this.#wait("sleep", "sleep", () => ({ dueAt }));
    });
  }

  waitForSignal<T>(signal: Signal<T> | string, options: WaitOptions = {}): Promise<T | undefined> {
    return RunContext.#asked(this, "waitForSignal", () => {
      this.#checkCall("wait for a signal");
      const name = signalName(signal);
      checkOptions(options, WAIT_OPTIONS, "wait for signal", name);
      const { timeout } = options;
      const ms = timeout === undefined ? undefined : durationMs(timeout, `timeout of signal "${name}"`);
      const topic = signalTopic(name);
      return () =>
        this.#wait("signal", topic, (now) => ({ dueAt: ms === undefined ? null : now + ms, topic }));
    });
  }

  #wait(
    kind: CheckpointKind,
    id: string,
    until: (now: number) => { dueAt: number | null; topic?: string },
  ): Promise<unknown> {
    const run = this.#run;
    const key = this.#execution.keys.nextOf(id);
    return this.#execution.ask(kind, key, this.#scope, (row) => {
      const now = run.clock.now();
      const { dueAt, ...topic } = until(now);
      const nextAttemptAt = dueAt && Math.ceil(dueAt);
      run.wait(row ?? { ...runningRow(run, key, 1, now), kind, nextAttemptAt, ...topic }, this.#scope);
      return undefined;
    });
  }

  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  child<I, O>(workflow: Workflow<I, O, any>, options: ChildOptions<I> = {}): Promise<O> {
    return RunContext.#asked(this, "child", () => {
      if (!isWorkflow(workflow)) throw new TypeError("Cannot start a child: wanted what workflow() returns");
      const { name } = workflow;
      this.#checkCall("start child", name);
      checkOptions(options, CHILD_OPTIONS, "start child", name);
      const { id, input, timeout } = options;
      if (id !== undefined) checkName(id, "a workflow id");
      // Neither the end of the workflow, which is near, nor its deadline, which may be over, is one of what cleans up after it.
      const detached = checkBoolean(options.detached ?? this.#isCleanup, "detached", "start child", name);
      const timeoutMs = timeout === undefined
        ? workflow.timeoutMs
        : durationMs(timeout, `timeout of child "${name}"`);
      const what = `the input of child "${name}"`;
      const { maxValueBytes } = this.#run;
      // A schema may refuse today what it takes tomorrow: what it says is a part of the history, and not asked in a replay.
      // Nor has a replay that finds the child in that any use for its text. Either way the input is that of this call.
      const encoded = workflow.input === undefined ? encodeAhead(input, what, maxValueBytes) : undefined;
      const given = workflow.input === undefined ? undefined : snapshot(input);
      const inputText = async () =>
        encoded === undefined
          ? await validInputText(workflow, given, { starting: `child "${name}"`, what, maxValueBytes })
          : await encoded;
      return () => {
        const key = this.#execution.keys.nextOf(`child:${name}`);
        this.#run.children.asked(key, workflow, id);
        const task = { key, workflow, id, inputText, detached, timeoutMs, scope: this.#scope };
        return this.#execution.ask("child", key, this.#scope, (row) => performChild(this.#run, task, row));
      };
    });
  }

  publish(key: string, value: unknown): Promise<void> {
    return RunContext.#publish(this, "publish", key, value);
  }

  emit(stream: string, value: unknown): Promise<void> {
    return RunContext.#publish(this, "emit", stream, value);
  }

  static #publish(
    ctx: RunContext,
    kind: "publish" | "emit",
    name: string,
    value: unknown,
  ): Promise<void> {
    return RunContext.#asked(ctx, kind, () => {
      checkName(name, kind === "publish" ? "a key to publish under" : "a stream's name");
      ctx.#checkCall(kind, name);
      return () => {
        const key = ctx.#execution.keys.nextOf(`${kind}:${name}`);
        const task = { kind, name, value, scope: ctx.#scope };
        return ctx.#execution.ask(kind, key, ctx.#scope, ctx.#publisher.publishing(task));
      };
    });
  }

  /** Refuses what a step's function asks for. @param what it is, for the message @param name of what */
  #checkCall(what: string, name?: string): void {
    const { calling } = this.#run;
    if (calling === undefined) return;
    throw new TypeError(
      `Cannot ${what}${name === undefined ? "" : ` ${quote(String(name))}`} ` +
        `in the function of step "${calling}": a step has no steps of its own, ` +
        `and would not run them again in a replay`,
    );
  }

  /**
   * Asks for something, if it may be asked for.
   *
   * @param ctx what the method was called on, which may be anything
   * @param check throws if it may not. @returns a function that asks for it
   */
  static #asked<T>(ctx: RunContext, method: string, check: () => () => Promise<unknown>): Promise<T> {
    try {
      RunContext.#checkThis(ctx, method);
      const execution = ctx.#execution;
      if (execution.hasEnded) throw ctx.#run.misused(method);
      const ask = check();
      // A branch that is given up begins nothing more; it is given up at the same place in every replay.
      if (ctx.#scope.aborted && !execution.dropped) return handled(Promise.reject(ctx.#refusal()));
      return ask() as Promise<T>;
    } catch (error) {
      return handled(Promise.reject(error));
    }
  }

  /** Refuses a method that was taken off its context, as by `const { step } = ctx`. */
  static #checkThis(ctx: unknown, method: string): void {
    if (typeof ctx === "object" && ctx !== null && #run in ctx) return;
    throw new TypeError(
      `Cannot call ${method}() by itself: wanted it to be called on its context, as ctx.${method}()`,
    );
  }

  /** What is thrown at what is asked for in a part that is given up. */
  #refusal(): unknown {
    const { reason } = this.#scope;
    if (reason !== this.#execution.interruption?.error) return reason;
    if (reason instanceof CancelledError) return new CancelledError(reason.workflowId, true);
    if (reason instanceof WorkflowTimeoutError) {
      return new WorkflowTimeoutError(reason.workflowId, reason.deadline, true);
    }
    return reason;
  }

  cleanup<T>(fn: (ctx: Context) => T | Promise<T>, options: CleanupOptions = {}): Promise<T> {
    return handled(RunContext.#cleanup(this, fn, options));
  }

  static async #cleanup<T>(
    ctx: RunContext,
    fn: (ctx: Context) => T | Promise<T>,
    options: CleanupOptions,
  ): Promise<T> {
    RunContext.#checkThis(ctx, "cleanup");
    if (ctx.#execution.hasEnded) throw ctx.#run.misused("cleanup");
    ctx.#checkCall("begin a cleanup");
    if (typeof fn !== "function") {
      throw new TypeError(`Cannot begin a cleanup: wanted a function, found ${typeof fn}`);
    }
    checkOptions(options, CLEANUP_OPTIONS, "begin a cleanup");
    const timeoutMs = durationMs(options.timeout ?? CLEANUP_TIMEOUT, "timeout of a cleanup");
    return await performCleanup(ctx.#run, ctx.#execution, {
      timeoutMs,
      fn: (scope) => fn(ctx.#within(scope, true)),
    });
  }

  all<const T extends readonly ((ctx: Context) => unknown)[]>(
    branches: T,
    options: AllOptions = {},
  ): Promise<{ -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }> {
    return handled(RunContext.#all(this, branches, options)) as Promise<
      { -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }
    >;
  }

  static async #all(
    ctx: RunContext,
    branches: readonly ((ctx: Context) => unknown)[],
    options: AllOptions,
  ): Promise<unknown[]> {
    RunContext.#checkThis(ctx, "all");
    if (!Array.isArray(branches) || branches.some((branch) => typeof branch !== "function")) {
      throw new TypeError("Cannot run branches: wanted an array of functions");
    }
    checkOptions(options, ALL_OPTIONS, "run branches");
    const { concurrency = Infinity } = options;
    if (concurrency !== Infinity && !(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
      throw new RangeError(
        `Cannot run branches: wanted a concurrency of 1 or more, found ${found(concurrency)}`,
      );
    }
    const scope = new Scope(ctx.#scope);
    const results: unknown[] = new Array(branches.length);
    const failures: unknown[] = [];
    let next = 0;
    const work = async () => {
      while (next < branches.length && failures.length === 0) {
        const index = next++;
        try {
          results[index] = await branches[index]!(ctx.#within(scope));
        } catch (error) {
          failures.push(error);
          scope.abort(error);
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(concurrency, branches.length) }, work));
    scope.end();
    if (failures.length > 0) throw failures[0];
    return results;
  }

  patched(changeId: string): boolean {
    RunContext.#checkThis(this, "patched");
    checkName(changeId, "a change id");
    this.#checkCall("ask for the change", changeId);
    return this.#run.patches.answer(changeId, this.#execution);
  }

  now(): Date {
    RunContext.#checkThis(this, "now");
    return new Date(this.#execution.now);
  }

  random(): number {
    RunContext.#checkThis(this, "random");
    return this.#execution.seeded.fraction();
  }

  uuid(): string {
    RunContext.#checkThis(this, "uuid");
    return this.#execution.seeded.uuid();
  }
}

function checkFunction(fn: unknown, act: string, name: string): void {
  // What is named by something else than a text is refused for that first.
  if (typeof name !== "string") checkName(name, act === "run step" ? "a step's id" : "a transaction's id");
  if (typeof fn === "function") return;
  throw new TypeError(`Cannot ${act} ${quote(name)}: wanted a function, found ${typeof fn}`);
}

/** How a step is undone, checked. */
function compensation<T>(
  step: string,
  compensate: Compensate<T> | CompensateOptions<T>,
): Omit<Compensation, "key"> {
  const isFunction = typeof compensate === "function";
  if (!isFunction) checkOptions(compensate, COMPENSATE_OPTIONS, "run step", step, "compensate");
  const { undo, retry, timeout }: CompensateOptions<T> = isFunction ? { undo: compensate } : compensate;
  if (typeof undo !== "function") {
    throw new TypeError(
      `Cannot run step ${quote(step)}: wanted a function that undoes it, found ${typeof undo}`,
    );
  }
  return {
    undo: undo as Compensation["undo"],
    policy: retryPolicy(retry === undefined ? DEFAULT_COMPENSATION_RETRY : retry, "undo step", step),
    timeoutMs: timeout === undefined ? undefined : durationMs(timeout, `timeout of undoing "${step}"`),
  };
}

/** The promise itself, which does not end the process when nobody waits for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function logger(run: Run, execution: Execution): Logger {
  const at = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) => {
    if (!execution.isRepeating && run.observed) run.tell({ type: "log", level, message, fields });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
