/**
 * The workflow of a {@linkcode Shape}: what it returns tells which branch was given what, in which order.
 *
 * @module
 */

import { type Context, type StepInfo, type Workflow, workflow } from "@stepwell/stepwell";
import type { Shape, StepShape } from "./shape.ts";

/** What the steps of a shape are done by. */
export interface World {
  /**
   * Does a step's work: once an attempt.
   *
   * @returns a number that no other call has returned
   * @throws if the attempt fails
   */
  execute(info: StepInfo, shape: StepShape): number | Promise<number>;
  /** A call of the workflow's function begins. @returns notes what that call has done or seen */
  begin(): (line: string) => void;
}

/** A result of a step. */
interface Result {
  readonly key: string;
  readonly number: number;
}

/** The workflow of a shape, by this name. It returns all its notes, in their order. */
export function workflowOf(name: string, shape: Shape, world: World): Workflow<void, string[]> {
  return workflow(name, async (ctx: Context) => {
    const notes: string[] = [];
    const noteOutside = world.begin();
    const note = (branch: string, what: string) => {
      notes.push(`${branch} ${what}`);
      noteOutside(`${branch} ${what}`);
    };
    await new Branch("0", world, note).run(ctx, shape);
    return [...notes];
  });
}

/** One of the branches that run side by side. */
class Branch {
  /** The number of the last result it has seen. */
  #last = 0;
  #children = 0;

  constructor(
    private readonly name: string,
    private readonly world: World,
    private readonly note: (branch: string, what: string) => void,
  ) {}

  async run(ctx: Context, shape: Shape): Promise<unknown> {
    switch (shape.kind) {
      case "step":
        return await this.#step(ctx, shape);
      case "sequence":
        for (const part of shape.parts) await this.run(ctx, part);
        return this.#last;
      case "branches":
        return this.#see("joined", await this.#branches(ctx, shape));
      case "loop":
        for (let time = 0; time < shape.times; time++) await this.run(ctx, shape.body);
        return this.#last;
      case "choice":
        return await this.run(ctx, this.#last % 2 === 0 ? shape.ifEven : shape.ifOdd);
      case "caught":
        return await this.run(ctx, shape.body).catch((error) => this.#see("caught", String(error)));
      case "early": {
        const early = this.#child().run(ctx, shape.step);
        // It may fail before it is awaited.
        early.catch(() => {});
        await this.run(ctx, shape.meanwhile);
        return this.#see("awaited", await early);
      }
      case "draw":
        return this.#see("drew", [ctx.now().getTime(), ctx.random(), ctx.uuid()]);
      case "microtasks":
        for (let count = 0; count < shape.count; count++) await undefined;
        return this.#last;
    }
  }

  async #step(ctx: Context, shape: StepShape): Promise<Result> {
    this.#see("asks for", shape.id);
    try {
      const result = await ctx.step(shape.id, async (info): Promise<Result> => {
        return { key: info.idempotencyKey.split("/").at(-1)!, number: await this.world.execute(info, shape) };
      }, {
        retry: { maxAttempts: shape.maxAttempts, initialInterval: 2, backoff: 1 },
        semantics: shape.atMostOnce ? "at-most-once" : "at-least-once",
        ...(shape.timeoutMs !== undefined && { timeout: shape.timeoutMs }),
      });
      this.#last = result.number;
      return this.#see("got", result);
    } catch (error) {
      this.#see("got", String(error));
      throw error;
    }
  }

  #branches(ctx: Context, shape: Shape & { kind: "branches" }): Promise<unknown> {
    const { by, branches, concurrency } = shape;
    if (by === "ctx.all") {
      const options = concurrency === undefined ? {} : { concurrency };
      return ctx.all(branches.map((branch) => (ctx) => this.#child().run(ctx, branch)), options);
    }
    const running = branches.map((branch) => this.#child().run(ctx, branch));
    // deno-lint-ignore no-explicit-any -- the functions differ in what they resolve to, and it is only written down
    return (Promise[by] as (promises: Promise<unknown>[]) => Promise<any>)(running);
  }

  #child(): Branch {
    return new Branch(`${this.name}.${++this.#children}`, this.world, this.note);
  }

  #see<T>(what: string, value: T): T {
    this.note(this.name, `${what} ${typeof value === "string" ? value : JSON.stringify(value)}`);
    return value;
  }
}
