import { CancelledError, CleanupTimeoutError, WorkflowTimeoutError } from "./errors.ts";
import { CANCEL_TOPIC, childTopic, type KeptMessage, type Mailbox } from "./store/mailbox.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import { hasEnded } from "./store/records.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import { errorText } from "./stored_error.ts";

/** The key of the completion by which a workflow is told that it is cancelled, or out of time. */
const CANCEL_KEY = "cancel";

/** Whether a row is of something that only waits: for a time, a signal or a child, or for the end of a cleanup's time. */
export function isWait({ kind }: Checkpoint): boolean {
  return kind === "sleep" || kind === "signal" || kind === "child" || kind === "cleanup";
}

/** What came, before it has a place in the history. */
interface Candidate {
  /** When it came, in milliseconds since 1970. */
  readonly at: number;
  readonly row: Checkpoint;
  readonly result: Pick<Checkpoint, "status" | "outputJson" | "errorJson">;
  readonly message: KeptMessage | undefined;
}

const DONE = { status: "completed", outputJson: null, errorJson: null } as const;

/**
 * What has come of what a workflow waits for, in the order in which it came: so a signal that was sent before the
 * time-out counts, also where nobody looked for days. What cuts the workflow off comes last, if it has come.
 *
 * @param waits the rows that say what it waits for, in the order in which it asked
 * @param options.interruptible whether it can still be cancelled, or run out of time
 * @returns what it becomes, but for its place in the order of completions
 * @throws {CorruptCheckpointError} if a message or the outcome of a child is not as it was written
 */
export async function findArrivals(
  sources: { store: Store; mailbox: Mailbox },
  waits: readonly Checkpoint[],
  options: { input: WorkflowInput; interruptible: boolean; now: number; run: number },
): Promise<ArrivedRow[]> {
  const { input, interruptible, now, run } = options;
  const candidates = [
    ...await findMessages(sources, waits, input.workflowId),
    ...interruptible ? await findInterruption(sources.mailbox, input, now) : [],
  ];
  const came = new Set(candidates.map(({ row }) => row));
  for (const row of waits) {
    const dueAt = row.nextAttemptAt;
    if (dueAt === null || dueAt > now) continue;
    const sooner = came.has(row) && candidates.find((candidate) => candidate.row === row)!;
    if (sooner && sooner.at <= dueAt) continue;
    if (sooner) candidates.splice(candidates.indexOf(sooner), 1);
    candidates.push({
      at: dueAt,
      row,
      result: row.kind === "cleanup" ? outOfTime(row) : DONE,
      message: undefined,
    });
  }
  candidates.sort((a, b) => a.at - b.at);
  const cutAt = candidates.findIndex(({ row }) => row.kind === "cancel");
  const arrived = cutAt === -1 ? candidates : candidates.slice(0, cutAt + 1);
  return arrived.map(({ row, result, message }) => ({
    checkpoint: {
      ...row,
      ...result,
      durationMs: Math.max(0, now - row.startedAt),
      nextAttemptAt: null,
      run,
    },
    replacesRunning: row.kind !== "cancel",
    message,
  }));
}

/** What becomes of a cleanup whose time is over. */
function outOfTime({ key, startedAt, nextAttemptAt }: Checkpoint): Candidate["result"] {
  const errorJson = errorText(new CleanupTimeoutError(key, nextAttemptAt! - startedAt));
  return { status: "failed", outputJson: null, errorJson };
}

/** The messages that are waited for: each wait gets one of its own. */
async function findMessages(
  { store, mailbox }: { store: Store; mailbox: Mailbox },
  waits: readonly Checkpoint[],
  workflowId: string,
): Promise<Candidate[]> {
  const candidates: Candidate[] = [];
  const byTopic = Map.groupBy(waits.filter(({ topic }) => topic !== undefined), ({ topic }) => topic!);
  for (const [topic, rows] of byTopic) {
    if (topic.startsWith(CHILD_TOPIC)) {
      const ended = await findEnd({ store, mailbox }, workflowId, topic);
      // All that wait for a child are told of its one end.
      if (ended !== undefined) candidates.push(...rows.map((row) => ({ ...ended, row })));
      continue;
    }
    const messages = await mailbox.kept(workflowId, topic, rows.length);
    for (const [i, message] of messages.entries()) {
      const result = { ...DONE, outputJson: message.payloadJson };
      candidates.push({ at: message.sentAt, row: rows[i]!, result, message });
    }
  }
  return candidates;
}

const CHILD_TOPIC = childTopic("");

/** How a child has ended, if its parent was told so. */
async function findEnd(
  { store, mailbox }: { store: Store; mailbox: Mailbox },
  parentId: string,
  topic: string,
): Promise<Omit<Candidate, "row"> | undefined> {
  const childId = topic.slice(CHILD_TOPIC.length);
  const [message] = await mailbox.kept(parentId, topic, 1);
  if (message === undefined) return undefined;
  const record = await store.find(childId);
  if (record === undefined || !hasEnded(record.status)) {
    // It may have been retried just now, which takes the message back.
    if ((await mailbox.kept(parentId, topic, 1)).length === 0) return undefined;
    throw store.corrupt(childId, "outcome", "no outcome, and its parent was told that there is one");
  }
  store.verifyOutcome(record);
  const { outputJson, errorJson } = record;
  const status = record.status === "completed" ? "completed" : "failed";
  if (status === "failed") store.outcomeError(record);
  return { at: message.sentAt, message, result: { status, outputJson, errorJson } };
}

/** A request to cancel the workflow, or the end of its time. */
async function findInterruption(mailbox: Mailbox, input: WorkflowInput, now: number): Promise<Candidate[]> {
  const { workflowId, deadlineAt = Infinity } = input;
  const [message] = await mailbox.kept(workflowId, CANCEL_TOPIC, 1);
  if (message !== undefined && message.sentAt <= Math.min(deadlineAt, now)) {
    return [interruption(message.sentAt, new CancelledError(workflowId), message)];
  }
  if (deadlineAt <= now) {
    return [interruption(deadlineAt, new WorkflowTimeoutError(workflowId, new Date(deadlineAt)), undefined)];
  }
  return message === undefined ? [] : [interruption(now, new CancelledError(workflowId), message)];
}

function interruption(at: number, error: Error, message: KeptMessage | undefined): Candidate {
  const row: Checkpoint = {
    key: CANCEL_KEY,
    kind: "cancel",
    status: "running",
    completion: null,
    attempt: 1,
    startedAt: at,
    durationMs: null,
    nextAttemptAt: null,
    run: 0,
    outputJson: null,
    errorJson: null,
  };
  const errorJson = errorText(error);
  return { at, row, result: { status: "failed", outputJson: null, errorJson }, message };
}
