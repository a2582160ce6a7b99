import type { Engine } from "../engine/engine.ts";
import { isWorkflow } from "../engine/define_workflow.ts";
import { checkOptions } from "../engine/known_options.ts";
import { START_OPTIONS, type StartOptions } from "../engine/start_request.ts";
import type { SignalOptions } from "../engine/handle.ts";
import type { Signal } from "../engine/signal.ts";
import type { Workflow } from "../engine/workflow.ts";
import type { Fault } from "./faults.ts";
import type { JumpingClock } from "./jumping_clock.ts";
import type { StepCall } from "./step_calls.ts";
import { World, type WorldOptions } from "./world.ts";

/** How a test's engine is opened: as an engine is, but for what the test has in hand. */
export interface TestEngineOptions extends WorldOptions {}

/**
 * An engine for tests: in memory, on a clock that jumps over all waiting, with chance that is the same for the same seed, and
 * with a plan of what goes wrong.
 *
 * Where it is lost, by plan or by {@linkcode TestEngine.crash}, a new engine begins on the same data, as a new process
 * would that works: it goes on with all that had not ended. `engine` is always the one that lives.
 *
 * Workflows should await only steps, and what their context gives: while one waits for something else, such as a timer of the
 * machine, the clock takes it that nothing happens, and jumps.
 *
 * @example
 * ```ts
 * import { workflow } from "@stepwell/stepwell";
 * import { TestEngine } from "@stepwell/stepwell/testing";
 * import { assertEquals } from "@std/assert";
 *
 * const charges = new Map<string, number>();
 * const order = workflow("order", async (ctx, amount: number) => {
 *   await ctx.step("charge", ({ idempotencyKey }) => void charges.set(idempotencyKey, amount));
 *   await ctx.sleep("30d");
 *   return "reminded";
 * });
 *
 * await using test = await TestEngine.open({ faults: [{ crash: "during", step: "charge" }] });
 * assertEquals(await test.run(order, { id: "order-1", input: 40 }), "reminded");
 * assertEquals(test.count("charge"), 2);
 * assertEquals(charges, new Map([["order-1/charge#000001", 40]]));
 * ```
 */
export class TestEngine implements AsyncDisposable {
  readonly #world: World;

  /** @ignore They come from {@linkcode TestEngine.open}. */
  private constructor(world: World) {
    this.#world = world;
  }

  /**
   * Opens an engine in memory.
   *
   * @throws {TypeError | RangeError} if an option is not as {@linkcode TestEngineOptions} says
   */
  static async open(options: TestEngineOptions = {}): Promise<TestEngine> {
    return new TestEngine(await World.open(options));
  }

  /** The engine that lives now. What one was asked for that is lost does not settle any more. */
  get engine(): Engine {
    return this.#world.engine;
  }

  /** Where its time comes from. */
  get clock(): JumpingClock {
    return this.#world.clock;
  }

  /** The calls of steps' functions, through all lives, in their order. */
  get calls(): readonly StepCall[] {
    return this.#world.calls.all;
  }

  /** How many lives the engine has had, with the one that goes on. */
  get lives(): number {
    return this.#world.lives;
  }

  /** How many commits there have been: each is one at which it can be lost. */
  get commits(): number {
    return this.#world.commitCount;
  }

  /** The faults of the plan that have not happened, or not as often as they were to. */
  get faultsLeft(): readonly Fault[] {
    return this.#world.plan.left;
  }

  /**
   * How often the function of a step was called.
   *
   * @param step its key, such as `"charge#000001"`, or its id, for all of its keys
   * @param workflowId of this workflow only
   */
  count(step: string, workflowId?: string): number {
    return this.#world.calls.count(step, workflowId);
  }

  /**
   * Starts a workflow, or resumes it, and waits for its output: through every crash, after each of which the next engine goes
   * on with it.
   *
   * @throws as `engine.run()`
   */
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  async run<I, O>(workflow: Workflow<I, O, any>, options: StartOptions<I> = {}): Promise<O> {
    if (isWorkflow(workflow)) checkOptions(options, START_OPTIONS, "start workflow", workflow.name);
    const { id = this.#world.newId(), ...rest } = options;
    return await this.#world.outlive((engine) => engine.run(workflow, { id, ...rest }));
  }

  /**
   * Sends a signal to a workflow; where the engine is lost meanwhile, again to the next one, as a sender does that has had no
   * answer.
   *
   * @throws as `engine.signal()`
   */
  async signal<T>(
    id: string,
    signal: Signal<T> | string,
    payload?: T,
    options: SignalOptions = {},
  ): Promise<void> {
    await this.#world.outlive((engine) => engine.signal(id, signal, payload, options));
  }

  /** The engine is lost now, as when its process is killed. What is waited for by {@linkcode TestEngine.run} goes on. */
  crash(): void {
    this.#world.crash();
  }

  /** Closes the engine that lives. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#world.close();
  }
}
