import type { Duration } from "../engine/duration.ts";
import { Engine } from "../engine/engine.ts";
import type { StartOptions } from "../engine/start_request.ts";
import { WorkflowStateError } from "../engine/errors.ts";
import type { EngineEvent } from "../engine/events.ts";
import type { Handle, SignalOptions } from "../engine/handle.ts";
import type { EngineOptions } from "../engine/options.ts";
import type { RandomSource, SeededRandom } from "../engine/random.ts";
import { type Signal, signalName } from "../engine/signal.ts";
import type { Database } from "../engine/store/database.ts";
import type { Turns } from "../engine/turns.ts";
import type { TransactionFunction, Workflow } from "../engine/workflow.ts";
import type { Executors } from "./executors.ts";
import type { StepMoment } from "./faults.ts";
import type { JumpingClock } from "./jumping_clock.ts";
import { LifeClock } from "./life_clock.ts";
import { LifeDatabase, type LifeDatabaseHost, never } from "./life_database.ts";
import { watchedTransaction, WatchedWorkflows, type WorkflowWatcher } from "./watched_workflow.ts";

/** The world in which an engine lives, and what in it decides when a life ends. */
export interface LifeHost {
  readonly database: Database;
  readonly executors: Executors;
  readonly clock: JumpingClock;
  readonly random: RandomSource;
  randomOf(workflowId: string): SeededRandom;
  /** A workflow is used. */
  knows(workflow: Workflow): void;
  /** The next life has begun, in these turns. */
  began(turns: Turns): void;
  commits(): number;
  committed(number: number): void;
  /** The function of a step is about to be called: the life may end before it is. @throws what the step is to fail with */
  stepBegins(step: StepMoment): void;
  /** It has returned or thrown: the life may end before any of that is stored. */
  stepEnds(step: StepMoment): void;
  /** What has become of an attempt is committed. */
  attemptStored(step: StepMoment): void;
  /** The checkpoint of a step is committed: the life may end before the workflow sees it. */
  stepCommitted(step: StepMoment): void;
  /** How often a signal is delivered. */
  deliveriesOf(signal: string): number;
}

/**
 * An engine that can be lost as a process is: from then on its store does not answer, its timers do not ring, none of its
 * workflows' code is called any more, and others can see that it is gone. Nothing is thrown, and nothing released.
 *
 * A function that runs at that instant runs on, as nothing can stop it, but what it returns is lost.
 */
export class Life implements LifeDatabaseHost, WorkflowWatcher {
  readonly engine: Engine;
  readonly #host: LifeHost;
  readonly #clock: LifeClock;
  readonly #data = new LifeDatabase(this);
  /** The transactions that there may be, by workflow and id, and their attempts whose functions are to be called yet. */
  readonly #transactions = new Map<string, StepMoment[]>();
  readonly #died = Promise.withResolvers<void>();
  /** What ends the functions that run, as the clock sees them. */
  readonly #running = new Set<() => void>();
  readonly #workflows = new WatchedWorkflows(this);
  #dead = false;

  constructor(host: LifeHost, options: EngineOptions, readonly ready: Promise<void> | undefined) {
    this.#host = host;
    this.#clock = new LifeClock(host.clock);
    const workflows = options.workflows?.map((workflow) => this.#workflows.watch(workflow));
    this.engine = Engine.openOn((_, turns) => {
      host.began(turns);
      return this.#data;
    }, {
      ...options,
      ...workflows !== undefined && { workflows },
      clock: this.#clock,
      random: host.random,
      onEvent: (event) => this.#observe(event, options.onEvent),
    });
    this.#watchEngine();
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Resolved when the life is over. */
  get died(): Promise<void> {
    return this.#died.promise;
  }

  get database(): Database {
    return this.#host.database;
  }

  get executors(): Executors {
    return this.#host.executors;
  }

  get clock(): JumpingClock {
    return this.#host.clock;
  }

  /** Ends the life now. */
  kill(): void {
    if (this.#dead) return;
    this.#dead = true;
    this.#clock.end();
    this.#data.end();
    for (const end of this.#running) end();
    this.#running.clear();
    this.#died.resolve();
  }

  commits(): number {
    return this.#host.commits();
  }

  committed(number: number): void {
    this.#host.committed(number);
  }

  knows(workflow: Workflow): void {
    this.#host.knows(workflow);
  }

  randomOf(workflowId: string): SeededRandom {
    return this.#host.randomOf(workflowId);
  }

  /** A function of the test's begins to run, for which the clock waits. @returns a function to be called once it has ended */
  begin(): () => void {
    const end = this.clock.begin();
    this.#running.add(end);
    return () => {
      end();
      this.#running.delete(end);
    };
  }

  /** Calls the function of a step, unless the life is over before that. */
  call(step: StepMoment, fn: () => unknown): unknown {
    if (this.#dead) return never();
    this.#host.stepBegins(step);
    if (this.#dead) return never();
    const end = this.begin();
    const ended = () => {
      end();
      if (!this.#dead) this.#host.stepEnds(step);
    };
    let result: unknown;
    try {
      result = fn();
    } catch (error) {
      ended();
      if (this.#dead) return never();
      throw error;
    }
    if (typeof (result as PromiseLike<unknown> | undefined)?.then === "function") {
      return (result as PromiseLike<unknown>).then((value) => {
        ended();
        return this.#dead ? never() : value;
      }, (error) => {
        ended();
        if (this.#dead) return never();
        throw error;
      });
    }
    ended();
    return this.#dead ? never() : result;
  }

  expectsTransaction(workflowId: string, id: string): void {
    const name = JSON.stringify([workflowId, id]);
    if (!this.#transactions.has(name)) this.#transactions.set(name, []);
  }

  /** Their functions are called in the order in which their attempts were begun. */
  transactionBegun(workflowId: string, id: string): StepMoment {
    const begun = this.#transactions.get(JSON.stringify([workflowId, id]))?.shift();
    return begun ?? { workflowId, key: id, attempt: 1 };
  }

  #observe(event: EngineEvent, onEvent: EngineOptions["onEvent"]): void {
    if (this.#dead) return;
    this.clock.stir();
    onEvent?.(event);
    if (event.type === "stepStarted") {
      const name = JSON.stringify([event.workflowId, event.key.replace(/#\d{6}$/, "")]);
      this.#transactions.get(name)?.push(event);
    }
    const isEnd = event.type === "stepCompleted" || event.type === "stepFailed";
    if (isEnd || event.type === "stepRetried") this.#host.attemptStored(event);
    if (isEnd) this.#host.stepCommitted(event);
  }

  /** Has the workflows watched, and the signals repeated, that are handed to the engine itself. */
  #watchEngine(): void {
    const { engine } = this;
    const { run, start, signal, transaction } = Engine.prototype;
    Object.assign(engine, {
      run: (workflow: Workflow, options?: StartOptions<unknown>): Promise<unknown> =>
        run.call(engine, this.#workflows.watch(workflow) as Workflow, options),
      start: (workflow: Workflow, options?: StartOptions<unknown>): Promise<Handle> =>
        start.call(engine, this.#workflows.watch(workflow) as Workflow, options),
      transaction: (fn: TransactionFunction<unknown>, options?: { timeout?: Duration }): Promise<unknown> =>
        transaction.call(engine, (tx) => fn(watchedTransaction(this.#workflows, tx)), options),
      signal: async (
        id: string,
        name: Signal<unknown> | string,
        payload?: unknown,
        options?: SignalOptions,
      ): Promise<void> => {
        await signal.call(engine, id, name, payload, options);
        for (let more = this.#host.deliveriesOf(signalName(name)) - 1; more > 0; more--) {
          await signal.call(engine, id, name, payload, options).catch(ignoreEnded);
        }
      },
    });
  }
}

/** What comes too late is told to nobody who could do anything about it. */
function ignoreEnded(error: unknown): void {
  if (!(error instanceof WorkflowStateError)) throw error;
}
