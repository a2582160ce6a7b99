/**
 * What a run gives to its workflow's function: the input as it is stored, and, where that was given without the
 * workflow's code, what the code makes of it.
 *
 * @module
 */

import { isEngineFailure } from "./engine_failure.ts";
import { type CorruptCheckpointError, StoreError } from "./errors.ts";
import type { RunServices, RunStart } from "./run.ts";
import { decodeAnyValue, decodeStored } from "./serialize.ts";
import type { WorkflowInput } from "./store/rows.ts";
import { inputText } from "./validation.ts";
import type { Workflow } from "./workflow.ts";

/** What a run begins with, and the value of its input: or why there is none. */
export type RunInput =
  & { readonly start: RunStart }
  & (
    | { readonly value: unknown }
    /** The workflow fails with this. */
    | { readonly refusal: unknown }
    /** The workflow is blocked. */
    | { readonly corrupt: CorruptCheckpointError }
  );

type Services = Pick<RunServices, "store" | "clock" | "maxValueBytes">;

/**
 * Reads the input of a workflow that was claimed.
 *
 * @throws {StoreError} if it cannot be told
 */
export async function readInput(services: Services, workflow: Workflow, start: RunStart): Promise<RunInput> {
  const { workflowId, inputJson, unchecked } = start.input;
  let value: unknown;
  try {
    const corrupt = (found: string, cause: unknown) =>
      services.store.corrupt(workflowId, "input", found, cause);
    value = await decodeStored(inputJson, corrupt);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    return { start, corrupt: error as CorruptCheckpointError };
  }
  return unchecked ? await checkInput(services, { workflow, start, value }) : { start, value };
}

/** Has the code of a workflow look at an input that was given by the workflow's name: its schema, and its time-out. */
async function checkInput(
  { store, clock, maxValueBytes }: Services,
  { workflow, start, value }: { workflow: Workflow; start: RunStart; value: unknown },
): Promise<RunInput> {
  const { input, owner } = start;
  const starting = `workflow "${input.workflowId}"`;
  let inputJson: string | null;
  try {
    inputJson = await inputText(workflow, value, {
      starting,
      what: `the input of ${starting}`,
      maxValueBytes,
    });
  } catch (refusal) {
    if (isEngineFailure(refusal)) throw refusal;
    return { start, refusal };
  }
  const { timeoutMs } = workflow;
  const timedOutAt = timeoutMs === undefined ? undefined : clock.now() + timeoutMs;
  const { deadlineAt = timedOutAt } = input;
  const checked: WorkflowInput = {
    ...input,
    inputJson,
    unchecked: false,
    ...deadlineAt !== undefined && { deadlineAt },
  };
  // Whether the run has lost the workflow by now, it finds out itself.
  await store.writeCheckedInput(owner, checked);
  return { start: { ...start, input: checked }, value: await decodeAnyValue(inputJson) };
}
