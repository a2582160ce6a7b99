import { StepNotFoundError, WorkflowConflictError } from "./errors.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { found } from "./quote.ts";
import { type RandomSource, randomUuid } from "./random.ts";
import type { WorkflowRecord } from "./store/records.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import type { Store } from "./store/store.ts";

/** How a workflow is forked. */
export interface ForkOptions {
  /**
   * The first step that runs again: its key, such as `"pay#000002"`, or its id, for the first of that id. All that the
   * workflow saw before it completed first is kept.
   */
  fromStep: string;
  /** The id of the new workflow. Random by default. */
  newId?: string;
}

const OPTIONS = optionNames<ForkOptions>({ fromStep: true, newId: true });

/** What a fork is asked for with, looked at. @throws {TypeError | RangeError} if it is not as {@linkcode ForkOptions} says */
export function checkFork(
  id: string,
  options: Partial<ForkOptions> = {},
  random: RandomSource,
): Required<ForkOptions> {
  checkOptions(options, OPTIONS, "fork workflow", id);
  const { fromStep, newId } = options;
  if (typeof fromStep !== "string") {
    throw new TypeError(
      `Cannot fork workflow "${id}": wanted the key or id of a step as fromStep, found ${found(fromStep)}`,
    );
  }
  if (newId !== undefined) checkName(newId, "a workflow id");
  return { fromStep, newId: newId ?? randomUuid(random) };
}

/** How a step's id is made its first key. */
const FIRST = "#000001";

/**
 * Makes a workflow that begins with the checkpoints of another one, up to a step. What it waited for is not copied, nor
 * are signals that it has not consumed: they stay with it. Nothing of the other changes.
 * What it shows to the outside is copied as far as it was shown before the step: a stream up to there, and a value
 * under a key if there was no later one.
 *
 * @param record the other, of whatever status
 * @param fork.run a number that is this fork's alone
 * @returns what the new one is started with; nobody runs it yet
 * @throws {StepNotFoundError} if the other has no such step
 * @throws {WorkflowConflictError} if the new id is taken
 * @throws {CorruptCheckpointError} if something that is to be copied is not as it was written
 */
export async function forkWorkflow(
  store: Store,
  record: WorkflowRecord,
  fork: { fromStep: string; newId: string; run: number; now: number },
): Promise<WorkflowInput> {
  const { fromStep, newId, run, now } = fork;
  const original = await store.input(record);
  const step = await store.firstCompletion(record, fromStep) ??
    await store.firstCompletion(record, fromStep + FIRST);
  if (step === undefined) throw new StepNotFoundError(record.workflowId, fromStep);
  // A step that has not completed yet comes after all there is.
  const last = (step.completion ?? await store.lastCompletion(record.workflow) + 1) - 1;
  const checkpoints = await completionsUpTo(store, record, last);
  const publications = await store.publications(record, last);
  const patches = await store.patches(record);
  const input = forkedInput(original, record, newId, now);
  if (await store.fork({ workflowId: newId, run }, input, { checkpoints, patches, publications, now })) {
    return input;
  }
  const asked = `"${record.workflowId}" before step "${fromStep}"`;
  throw new WorkflowConflictError(newId, "origin", await originOf(store, newId), asked);
}

async function completionsUpTo(store: Store, record: WorkflowRecord, count: number): Promise<Checkpoint[]> {
  if (count === 0) return [];
  // In one read, as the tail of a history can be amended by a retry.
  const checkpoints = await store.completions(record, 0, count);
  if (checkpoints.length === count) return checkpoints;
  throw store.corrupt(
    record.workflowId,
    fromLast(checkpoints),
    `no completion ${checkpoints.length + 1} after it`,
  );
}

function fromLast(checkpoints: readonly Checkpoint[]): string {
  return checkpoints.at(-1)?.key ?? "history";
}

/** The same, as far as the workflow can see; its time is counted anew. It is nobody's child. */
function forkedInput(
  original: WorkflowInput,
  { retriedAt }: WorkflowRecord,
  newId: string,
  now: number,
): WorkflowInput {
  const { name, createdAt, seed, inputJson, version, deadlineAt, forkedAt, begunAt } = original;
  const countedFrom = retriedAt ?? forkedAt ?? createdAt;
  return {
    workflowId: newId,
    name,
    createdAt,
    seed,
    inputJson,
    ...version !== undefined && { version },
    ...deadlineAt !== undefined && { deadlineAt: now + (deadlineAt - countedFrom) },
    ...begunAt !== undefined && { begunAt },
    forkedFrom: original.workflowId,
    forkedAt: now,
  };
}

/** What the workflow of an id was forked from. */
async function originOf(store: Store, workflowId: string): Promise<string> {
  const record = await store.find(workflowId);
  const { forkedFrom } = record === undefined ? { forkedFrom: undefined } : await store.input(record);
  return forkedFrom === undefined ? "none" : `"${forkedFrom}"`;
}
