import { type Duration, durationMs } from "./duration.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import { isSchema, type SchemaInput, type SchemaOutput, type StandardSchema } from "./standard_schema.ts";
import type { Context, Workflow } from "./workflow.ts";

/** How a workflow is defined, besides its name and its function. */
export interface WorkflowOptions {
  /**
   * Which state of its code this is, such as `"2"`. It is stored with each workflow that is started, which then goes on
   * with the code of that version, as long as the engine is given it in its `workflows`; otherwise it is `blocked` with
   * `UnknownVersionError`. Code without a version is one of its own.
   */
  version?: string;
  /**
   * How long it may take from its start, waiting included: then it is told by `WorkflowTimeoutError` at all that it
   * waits for, and fails with it. Stored with the workflow, and so not moved by a restart. Unlimited by default.
   */
  timeout?: Duration;
}

/** How a workflow is defined that says what its input must be. */
export interface ValidatedWorkflowOptions<Schema extends StandardSchema> extends WorkflowOptions {
  /**
   * What the input must be: a schema of any library that speaks [Standard Schema](https://standardschema.dev), such as
   * Zod, Valibot or ArkType. What it refuses is refused at the start, with `ValidationError`; what it makes of the rest
   * is stored, and given to the function.
   */
  input: Schema;
}

const OPTIONS = optionNames<ValidatedWorkflowOptions<StandardSchema>>({
  version: true,
  timeout: true,
  input: true,
});
const NO_OPTIONS: WorkflowOptions & { input?: undefined } = {};

/** Marks a workflow, also one that another copy of this module made. */
const BRAND = Symbol.for("@stepwell/stepwell/workflow");

/**
 * Defines a workflow.
 *
 * @param name by which the store knows it: keep it when the function is renamed
 * @param run the function; given the same outcomes of its steps, it must do the same
 * @throws {TypeError | RangeError} if the name is not one, or an option is not as {@linkcode WorkflowOptions} says
 *
 * @example
 * ```ts
 * import { Engine, workflow } from "@stepwell/stepwell";
 * import { assertEquals } from "@std/assert";
 *
 * const greet = workflow("greet", async (ctx, name: string) => {
 *   const greeting = await ctx.step("compose", () => `Hello, ${name}`);
 *   await ctx.step("send", () => console.log(greeting));
 *   return greeting;
 * });
 *
 * await using engine = await Engine.open(":memory:", { workflows: [greet] });
 * assertEquals(await engine.run(greet, { id: "greet-ada", input: "Ada" }), "Hello, Ada");
 * ```
 */
export function workflow<I = void, O = unknown>(
  name: string,
  run: (ctx: Context, input: I) => Promise<O> | O,
): Workflow<I, O>;
/**
 * Defines a workflow that says what its input must be. Its function gets what the schema makes of it.
 *
 * @throws {TypeError} if the schema is none
 *
 * @example
 * ```ts
 * import { Engine, ValidationError, workflow } from "@stepwell/stepwell";
 * import { assertEquals, assertRejects } from "@std/assert";
 * import { z } from "zod";
 *
 * const input = z.object({ sku: z.string(), count: z.coerce.number().default(1) });
 * const order = workflow("order", { input }, (ctx, { sku, count }) => ctx.step("pick", () => `${count} × ${sku}`));
 *
 * await using engine = await Engine.open(":memory:");
 * assertEquals(await engine.run(order, { input: { sku: "A1" } }), "1 × A1");
 * const wrong = { sku: 7 } as unknown as { sku: string };
 * const error = await assertRejects(() => engine.run(order, { input: wrong }), ValidationError);
 * assertEquals(error.issues[0]!.path, ["sku"]);
 * ```
 */
export function workflow<Schema extends StandardSchema, O = unknown>(
  name: string,
  options: ValidatedWorkflowOptions<Schema>,
  run: (ctx: Context, input: SchemaOutput<Schema>) => Promise<O> | O,
): Workflow<SchemaInput<Schema>, O, SchemaOutput<Schema>>;
/** Defines a workflow, with options. */
export function workflow<I = void, O = unknown>(
  name: string,
  options: WorkflowOptions,
  run: (ctx: Context, input: I) => Promise<O> | O,
): Workflow<I, O>;
export function workflow<I, O>(
  name: string,
  ...rest:
    | readonly [WorkflowOptions & { input?: StandardSchema<I> }, WorkflowFunction<I, O>]
    | readonly [WorkflowFunction<I, O>]
): Workflow<I, O> {
  // The options may be left out, or be undefined.
  const [options = NO_OPTIONS, run] = rest.length === 1 ? [NO_OPTIONS, rest[0]] : rest;
  checkName(name, "a workflow's name");
  if (typeof run !== "function") {
    throw new TypeError(`Cannot define workflow "${name}": wanted a function, found ${typeof run}`);
  }
  checkOptions(options, OPTIONS, "define workflow", name);
  const { version, timeout, input } = options;
  if (input !== undefined && !isSchema(input)) {
    throw new TypeError(
      `Cannot define workflow "${name}": wanted a Standard Schema as input, found ${found(input)}`,
    );
  }
  if (version !== undefined) checkName(version, `the version of workflow "${name}"`);
  const timeoutMs = timeout === undefined ? undefined : durationMs(timeout, `timeout of workflow "${name}"`);
  const definition = {
    name,
    run,
    ...version !== undefined && { version },
    ...timeoutMs !== undefined && { timeoutMs },
    ...input !== undefined && { input },
  };
  return Object.freeze(Object.defineProperty(definition, BRAND, { value: true }));
}

type WorkflowFunction<I, O> = (ctx: Context, input: I) => Promise<O> | O;

/** Whether a value is a workflow that {@linkcode workflow} made. */
export function isWorkflow(value: unknown): value is Workflow {
  return typeof value === "object" && value !== null && BRAND in value;
}
