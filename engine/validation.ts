/**
 * What a workflow is started with, against the schema of its input.
 *
 * @module
 */

import { ValidationError, type ValidationIssue } from "./errors.ts";
import { found } from "./quote.ts";
import { encodeValue } from "./serialize.ts";
import { snapshot } from "./snapshot.ts";
import type { StandardSchemaIssue } from "./standard_schema.ts";
import type { Workflow } from "./workflow.ts";

/** How many issues are kept of one input. */
const MAX_ISSUES = 100;
/** How many keys are kept of the path to one. */
const MAX_PATH = 100;

/**
 * The text of what a workflow's schema makes of an input, as that is when this is called; of the input itself where it
 * has none.
 *
 * @param options.starting what is to be started, for the message of a refusal
 * @param options.what names the input in other errors
 * @throws {ValidationError} if the schema refuses it
 * @throws {TypeError} if the schema gives something else than the standard says
 * @throws as {@linkcode encodeValue}
 */
export async function inputText(
  workflow: Workflow,
  input: unknown,
  options: { starting: string; what: string; maxValueBytes: number },
): Promise<string | null> {
  const { starting, what, maxValueBytes } = options;
  const valid = validated(workflow, input, starting);
  return await encodeValue(valid instanceof Promise ? await valid : valid, what, maxValueBytes);
}

/** @returns a promise only where the schema needs time */
function validated(
  { name, input: schema }: Workflow,
  input: unknown,
  starting: string,
): unknown {
  if (schema === undefined) return input;
  const broken = (what: string, value: unknown) =>
    new TypeError(
      `Cannot validate the input of ${starting}: the schema of workflow "${name}" breaks Standard Schema: ` +
        `wanted ${what}, found ${found(value)}`,
    );
  const judge = (result: unknown) => {
    if (typeof result !== "object" || result === null) throw broken("a result with value or issues", result);
    const { issues } = result as { issues?: unknown };
    // As the standard has it: a result without issues is one with a value.
    if (issues === undefined || issues === null) {
      if ("value" in result) return result.value;
      throw broken("a result with value or issues", result);
    }
    if (!Array.isArray(issues)) throw broken("an array of issues", issues);
    throw new ValidationError(starting, name, issues.slice(0, MAX_ISSUES).map(plainIssue));
  };
  // What a schema throws is its own, and goes to the caller as it is.
  const result: unknown = schema["~standard"].validate(snapshot(input));
  return isPromise(result) ? Promise.resolve(result).then(judge) : judge(result);
}

function isPromise(result: unknown): result is PromiseLike<unknown> {
  return typeof (result as PromiseLike<unknown> | null | undefined)?.then === "function";
}

/** An issue of any library as plain data, as far as it can be read. */
function plainIssue(issue: unknown): ValidationIssue {
  try {
    const { message, path } = issue as StandardSchemaIssue;
    // A library may give an array of a class of its own.
    const keys: readonly unknown[] = Array.isArray(path) ? Array.from(path).slice(0, MAX_PATH) : [];
    return {
      message: typeof message === "string" ? message : found(message),
      path: keys.map(plainKey),
    };
  } catch {
    return { message: `an issue that is none: ${found(issue)}`, path: [] };
  }
}

function plainKey(segment: unknown): string | number {
  const key = typeof segment === "object" && segment !== null ? (segment as { key?: unknown }).key : segment;
  return typeof key === "number" || typeof key === "string" ? key : String(key);
}
