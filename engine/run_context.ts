import { callSite } from "./call_site.ts";
import { durationMs } from "./duration.ts";
import type { LogLevel } from "./events.ts";
import { retryPolicy } from "./retry.ts";
import { type Run, runName } from "./run.ts";
import { Scope } from "./scope.ts";
import type { AllOptions, Context, Logger, StepFunction, StepOptions } from "./workflow.ts";

const NO_OPTIONS: StepOptions = {};

/** The context that a run gives its workflow, or one branch of it. */
export class RunContext implements Context {
  readonly #run: Run;
  readonly #scope: Scope;
  #log: Logger | undefined;

  /** @param scope the part of the workflow that the context is for */
  constructor(run: Run, scope: Scope = run.scope) {
    this.#run = run;
    this.#scope = scope;
  }

  get log(): Logger {
    return this.#log ??= logger(this.#run);
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

  step<T>(id: string, fn: StepFunction<T>, options: StepOptions = NO_OPTIONS): Promise<T> {
    try {
      const name = id === "" ? (callSite() ?? "step") : id;
      if (typeof fn !== "function") {
        throw new TypeError(`Cannot run step "${name}": wanted a function, found ${typeof fn}`);
      }
      if (this.#run.calling !== undefined) {
        throw new TypeError(
          `Cannot run step "${name}" in the function of step "${this.#run.calling}": a step has no steps of its own, ` +
            `and would not run them again in a replay`,
        );
      }
      const { retry, timeout, semantics = "at-least-once" } = options;
      if (semantics !== "at-least-once" && semantics !== "at-most-once") {
        throw new TypeError(
          `Cannot run step "${name}": wanted semantics "at-least-once" or "at-most-once", found "${semantics}"`,
        );
      }
      const policy = retryPolicy(retry);
      const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, `timeout of step "${name}"`);
      // A branch that is given up begins nothing more; it is given up at the same place in every replay.
      if (this.#scope.aborted && !this.#run.scope.aborted) return handled(Promise.reject(this.#scope.reason));
      const key = this.#run.keys.next(name);
      const task = {
        key,
        fn,
        policy,
        timeoutMs,
        atMostOnce: semantics === "at-most-once",
        scope: this.#scope,
      };
      return this.#run.step(task) as Promise<T>;
    } catch (error) {
      return handled(Promise.reject(error));
    }
  }

  all<const T extends readonly ((ctx: Context) => unknown)[]>(
    branches: T,
    options: AllOptions = {},
  ): Promise<{ -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }> {
    return handled(this.#all(branches, options)) as Promise<
      { -readonly [K in keyof T]: Awaited<ReturnType<T[K]>> }
    >;
  }

  async #all(
    branches: readonly ((ctx: Context) => unknown)[],
    options: AllOptions,
  ): Promise<unknown[]> {
    if (!Array.isArray(branches) || branches.some((branch) => typeof branch !== "function")) {
      throw new TypeError("Cannot run branches: wanted an array of functions");
    }
    const { concurrency = Infinity } = options;
    if (concurrency !== Infinity && !(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
      throw new RangeError(`Cannot run branches: wanted a concurrency of 1 or more, found ${concurrency}`);
    }
    const scope = new Scope(this.#scope);
    const results: unknown[] = new Array(branches.length);
    const failures: unknown[] = [];
    let next = 0;
    const work = async () => {
      while (next < branches.length && failures.length === 0) {
        const index = next++;
        try {
          results[index] = await branches[index]!(new RunContext(this.#run, scope));
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

  now(): Date {
    return new Date(this.#run.now());
  }

  random(): number {
    return this.#run.seeded.fraction();
  }

  uuid(): string {
    return this.#run.seeded.uuid();
  }
}

/** The promise itself, which does not end the process when nobody waits for it. */
function handled<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}

function logger(run: Run): Logger {
  const at = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) => {
    if (!run.replaying && run.observed) run.tell({ type: "log", level, message, fields });
  };
  return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
