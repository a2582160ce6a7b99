import { ValidationError } from "./errors.ts";
import type { RunServices, RunStart } from "./run.ts";
import { decodeAnyValue } from "./serialize.ts";
import type { WorkflowInput } from "./store/rows.ts";
import { inputText } from "./validation.ts";
import type { Workflow } from "./workflow.ts";

/**
 * Has the code of a workflow look at an input that was given without it, by the workflow's name: its schema, and its
 * time-out.
 *
 * @returns what the run begins with, and the refusal that its workflow fails with, if it is refused
 */
export async function checkUnchecked(
  { store, clock, maxValueBytes }: Pick<RunServices, "store" | "clock" | "maxValueBytes">,
  workflow: Workflow,
  start: RunStart,
): Promise<{ readonly start: RunStart; readonly refusal?: ValidationError }> {
  const { input, owner } = start;
  if (!input.unchecked) return { start };
  const starting = `workflow "${input.workflowId}"`;
  const options = { starting, what: `the input of ${starting}`, maxValueBytes };
  try {
    const inputJson = await inputText(workflow, await decodeAnyValue(input.inputJson), options);
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
    return { start: { ...start, input: checked } };
  } catch (error) {
    if (!(error instanceof ValidationError)) throw error;
    return { start, refusal: error };
  }
}
