import type { EngineOptions, StartOptions, Workflow } from "@stepwell/stepwell";
import { openMortal } from "./mortal_database.ts";

/**
 * A place in a workflow at which its process is lost the first time that it gets there: `await crash.here()` in a
 * step does not return then. Later processes pass it.
 */
export class Crash {
  readonly #times: number;
  #crashes = 0;
  #reached = Promise.withResolvers<void>();

  /** @param times how many processes are lost at this place */
  constructor(times = 1) {
    this.#times = times;
  }

  /** Whether the process that gets to the place now passes it. */
  get passed(): boolean {
    return this.#crashes >= this.#times;
  }

  /** The place. */
  async here(): Promise<void> {
    if (this.passed) return;
    this.#reached.resolve();
    await new Promise<never>(() => {});
  }

  /**
   * Starts or resumes a workflow in a process that is lost at the place.
   *
   * @param until what must have happened besides before the process is lost
   * @throws what the workflow fails with before it gets there
   */
  async happens<I, O>(
    file: string,
    workflow: Workflow<I, O>,
    start: StartOptions<I>,
    options: EngineOptions = {},
    until: () => unknown = () => {},
  ): Promise<void> {
    const { engine, kill } = await openMortal(file, options);
    const ended = engine.run(workflow, start).then(() => {
      throw new Error(`Workflow "${start.id}" ended before the place of the crash`);
    });
    await Promise.race([this.#reached.promise, ended]);
    await until();
    await kill();
    this.#crashes++;
    this.#reached = Promise.withResolvers<void>();
  }
}
