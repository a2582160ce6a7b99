import { type Context, Engine, workflow } from "@stepwell/stepwell";

/**
 * A workflow that does one piece of work whenever it is told to, so that a benchmark can measure steps without the start and
 * the end of a workflow around them.
 *
 * Not how workflows are written: what a workflow waits for should be a step.
 */
export class Stepper implements AsyncDisposable {
  #go = Promise.withResolvers<void>();
  #done = Promise.withResolvers<void>();

  private constructor(private readonly engine: Engine) {}

  /** @param work what the workflow does each time */
  static async start(
    file: string,
    durability: "full" | "normal",
    work: (ctx: Context) => Promise<unknown>,
  ): Promise<Stepper> {
    const stepper = new Stepper(await Engine.open(file, { durability, closeGrace: 0 }));
    const workOnCommand = workflow("stepper", async (ctx) => {
      while (true) {
        await stepper.#go.promise;
        stepper.#go = Promise.withResolvers();
        await work(ctx);
        stepper.#done.resolve();
      }
    });
    const handle = await stepper.engine.start(workOnCommand);
    handle.result().catch(() => {});
    return stepper;
  }

  /** Has the work done once, and waits for its end. */
  async step(): Promise<void> {
    this.#done = Promise.withResolvers();
    this.#go.resolve();
    await this.#done.promise;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.engine.close();
  }
}
