/**
 * What a workflow is started with, against the schema of its input.
 *
 * @module
 */

import { ValidationError, type ValidationIssue } from "./errors.ts";
import { encodeValue } from "./serialize.ts";
import type { StandardSchemaIssue } from "./standard_schema.ts";
import type { Workflow } from "./workflow.ts";

/** How many issues are kept of one input. */
const MAX_ISSUES = 100;

/**
 * The text of what a workflow's schema makes of an input; of the input itself where it has none.
 *
 * @param options.starting what is to be started, for the message of a refusal
 * @param options.what names the input in other errors
 * @throws {ValidationError} if the schema refuses it
 * @throws as {@linkcode encodeValue}
 */
export async function inputText(
  workflow: Workflow,
  input: unknown,
  options: { starting: string; what: string; maxValueBytes: number },
): Promise<string | null> {
  const { starting, what, maxValueBytes } = options;
  return await encodeValue(await validated(workflow, input, starting), what, maxValueBytes);
}

async function validated(
  { name, input: schema }: Workflow,
  input: unknown,
  starting: string,
): Promise<unknown> {
  if (schema === undefined) return input;
  const result = await schema["~standard"].validate(input);
  if (result.issues === undefined) return result.value;
  throw new ValidationError(starting, name, result.issues.slice(0, MAX_ISSUES).map(plainIssue));
}

/** An issue of any library as plain data. */
function plainIssue({ message, path = [] }: StandardSchemaIssue): ValidationIssue {
  const keys = Array.from(path, (segment) => typeof segment === "object" ? segment.key : segment);
  return { message, path: keys.map((key) => typeof key === "number" ? key : String(key)) };
}
