/**
 * What a workflow was started with, against what it is asked for with.
 *
 * @module
 */

import { WorkflowConflictError } from "./errors.ts";
import { isSameValue } from "./serialize.ts";
import type { WorkflowInput } from "./store/rows.ts";

/** Checks that an id is asked for with the workflow that it was started with. @throws {WorkflowConflictError} if it is not */
export function checkWorkflow(
  { workflowId, name }: Pick<WorkflowInput, "workflowId" | "name">,
  asked: string,
): void {
  if (name !== asked) throw new WorkflowConflictError(workflowId, "workflow", `"${name}"`, `"${asked}"`);
}

/**
 * Checks that a workflow is asked for with the input that it was started with.
 *
 * @param asked undefined where the caller leaves it open
 * @throws {WorkflowConflictError} if it is not
 */
export async function checkInput(
  { workflowId, inputJson }: WorkflowInput,
  asked: string | null | undefined,
): Promise<void> {
  if (asked === undefined || await isSameValue(asked, inputJson)) return;
  throw new WorkflowConflictError(workflowId, "input", lengthOf(inputJson), lengthOf(asked));
}

/** What is said of an input: it may be personal, and errors go into logs. */
function lengthOf(inputJson: string | null): string {
  return inputJson === null ? "none" : `${inputJson.length} characters`;
}
