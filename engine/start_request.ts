/**
 * What a workflow is to be started with, looked at.
 *
 * @module
 */

import type { Clock } from "./clock.ts";
import { isWorkflow } from "./define_workflow.ts";
import { type Duration, durationMs } from "./duration.ts";
import { checkOptions, type OptionNames, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { type RandomSource, randomUuid } from "./random.ts";
import type { RunRequest } from "./runs.ts";
import { encodeValue } from "./serialize.ts";
import { inputText } from "./validation.ts";
import type { Workflow } from "./workflow.ts";

/** How a workflow is started. */
export interface StartOptions<I> {
  /** The caller's name for this execution: starting it again resumes it, or returns what it returned. Random by default. */
  id?: string;
  /** How long the workflow may take from its first start, instead of what its definition says. */
  timeout?: Duration;
  /** What the function is given. For an id that is known already it may be left out; another one is refused. */
  input?: I;
}

/** What of an engine's settings a start depends on. */
export interface StartSettings {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly maxValueBytes: number;
}

/** The names of these. */
export const START_OPTIONS: OptionNames = optionNames<StartOptions<unknown>>({
  id: true,
  timeout: true,
  input: true,
});

type Input = Pick<RunRequest, "inputJson" | "inputIfNew">;

/**
 * What is to be run, of what `engine.start()` was called with.
 *
 * @throws {TypeError | RangeError} if it was called with something else
 * @throws {ValidationError} if the input is not what the workflow takes
 */
export async function startRequest<I>(
  workflow: Workflow,
  options: StartOptions<I>,
  settings: StartSettings,
): Promise<RunRequest> {
  if (!isWorkflow(workflow)) throw new TypeError("Cannot start: wanted what workflow() returns");
  checkOptions(options, START_OPTIONS, "start workflow", workflow.name);
  const { id: workflowId = randomUuid(settings.random), input, timeout } = options;
  checkName(workflowId, "a workflow id");
  const given = await givenInput(workflow, input, workflowId, settings.maxValueBytes);
  const timeoutMs = timeout === undefined ? workflow.timeoutMs : durationMs(timeout, "timeout of a workflow");
  return {
    workflowId,
    workflow,
    ...given,
    deadlineAt: timeoutMs === undefined ? undefined : settings.clock.now() + timeoutMs,
    create: true,
    fresh: options.id === undefined,
    insists: true,
  };
}

/** An input as the workflow's schema has it; one that is left out is refused only if the workflow has to be made. */
async function givenInput(
  workflow: Workflow,
  input: unknown,
  workflowId: string,
  maxValueBytes: number,
): Promise<Input> {
  const what = `the input of workflow "${workflowId}"`;
  if (workflow.input === undefined) {
    return { inputJson: input === undefined ? undefined : await encodeValue(input, what, maxValueBytes) };
  }
  const options = { starting: `"${workflowId}"`, what, maxValueBytes };
  if (input !== undefined) return { inputJson: await inputText(workflow, input, options) };
  try {
    const inputJson = await inputText(workflow, input, options);
    return { inputJson: undefined, inputIfNew: () => inputJson };
  } catch (error) {
    const refuse = () => {
      throw error;
    };
    return { inputJson: undefined, inputIfNew: refuse };
  }
}
