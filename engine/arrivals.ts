import { CancelledError, CleanupTimeoutError, WorkflowTimeoutError } from "./errors.ts";
import { CANCEL_TOPIC, childTopic, type KeptMessage, type Mailbox } from "./store/mailbox.ts";
import { PAGE_LIMITS } from "./store/pages.ts";
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

/** What waits for one topic, in the order in which it was asked for. */
export interface Waiting {
  readonly size: number;
  values(): Iterable<Checkpoint>;
}

/** What is looked for. */
export interface Looked {
  /** The topics of the messages that may have come, with what waits for each. */
  readonly topics: ReadonlyMap<string, Waiting>;
  /** What waits for a time that has come. */
  readonly due: readonly Checkpoint[];
}

/** What was found. */
export interface Found {
  readonly arrivals: readonly ArrivedRow[];
  /** The topics of which there is more than is among the arrivals: to be looked for again after those. */
  readonly left: ReadonlySet<string>;
}

/** How the workflow is looked at. */
interface LookOptions {
  readonly input: WorkflowInput;
  /** Whether it can still be cancelled, or run out of time. */
  readonly interruptible: boolean;
  readonly now: number;
  readonly run: number;
}

/** What was found of one topic or of all. */
interface Messages {
  readonly candidates: readonly Candidate[];
  readonly left: ReadonlySet<string>;
  /** If not all that has come was read: the time of the last that was. */
  readonly until: number;
}

/** All that a workflow waits for. @param waits the rows that say so, in the order in which it asked */
export function lookForAll(waits: readonly Checkpoint[], now: number): Looked {
  const topics = new Map<string, Set<Checkpoint>>();
  for (const row of waits) {
    if (row.topic === undefined) continue;
    const ofTopic = topics.get(row.topic);
    if (ofTopic === undefined) topics.set(row.topic, new Set([row]));
    else ofTopic.add(row);
  }
  return { topics, due: waits.filter(({ nextAttemptAt }) => nextAttemptAt !== null && nextAttemptAt <= now) };
}

/**
 * What has come of all that a workflow waits for: see {@linkcode findArrivalsOf}.
 *
 * @param waits the rows that say what it waits for, in the order in which it asked
 */
export async function findArrivals(
  sources: { store: Store; mailbox: Mailbox },
  waits: readonly Checkpoint[],
  options: LookOptions,
): Promise<ArrivedRow[]> {
  const { arrivals } = await findArrivalsOf(sources, lookForAll(waits, options.now), options);
  return [...arrivals];
}

/**
 * What has come of what a workflow waits for, in the order in which it came: so a signal that was sent before the
 * time-out counts, also where nobody looked for days. What cuts the workflow off comes last, if it has come. Where the
 * messages that have come are large, these are the first.
 *
 * @param options.interruptible whether it can still be cancelled, or run out of time
 * @returns what it becomes, but for its place in the order of completions
 * @throws {CorruptCheckpointError} if a message or the outcome of a child is not as it was written
 */
export async function findArrivalsOf(
  sources: { store: Store; mailbox: Mailbox },
  looked: Looked,
  options: LookOptions,
): Promise<Found> {
  const { input, interruptible, now, run } = options;
  const messages = await findMessages(sources, looked.topics, input.workflowId);
  const byRow = new Map(messages.candidates.map((candidate) => [candidate.row, candidate]));
  for (const row of looked.due) {
    const dueAt = row.nextAttemptAt!;
    const sooner = byRow.get(row);
    if (sooner !== undefined && sooner.at <= dueAt) continue;
    const result = row.kind === "cleanup" ? outOfTime(row) : DONE;
    byRow.set(row, { at: dueAt, row, result, message: undefined });
  }
  const interruptions = interruptible ? await findInterruption(sources.mailbox, input, now) : [];
  const candidates = [...interruptions, ...byRow.values()]
    .filter(({ at }) => at <= messages.until)
    .sort((a, b) => a.at - b.at || (a.message?.message ?? Infinity) - (b.message?.message ?? Infinity));
  const cutAt = candidates.findIndex(({ row }) => row.kind === "cancel");
  const arrived = cutAt === -1 ? candidates : candidates.slice(0, cutAt + 1);
  const delivered = new Set(arrived);
  const left = new Set(messages.left);
  for (const candidate of messages.candidates) {
    if (!delivered.has(candidate)) left.add(candidate.row.topic!);
  }
  return {
    arrivals: arrived.map(({ row, result, message }) => ({
      checkpoint: {
        ...row,
        ...result,
        durationMs: Math.max(0, now - row.startedAt),
        nextAttemptAt: null,
        run,
      },
      replacesRunning: row.kind !== "cancel",
      message,
    })),
    left,
  };
}

/** What becomes of a cleanup whose time is over. */
function outOfTime({ key, startedAt, nextAttemptAt }: Checkpoint): Candidate["result"] {
  const errorJson = errorText(new CleanupTimeoutError(key, nextAttemptAt! - startedAt));
  return { status: "failed", outputJson: null, errorJson };
}

/** How many bytes of messages, and of the outcomes of children, are looked at at a time, but for the last of them. */
const MAX_BYTES = PAGE_LIMITS.bytes;

/** The messages that are waited for: each wait gets one of its own. */
async function findMessages(
  sources: { store: Store; mailbox: Mailbox },
  waits: ReadonlyMap<string, Waiting>,
  workflowId: string,
): Promise<Messages> {
  const { mailbox } = sources;
  // Of most nothing has come, where there are many.
  const topics = waits.size > 1 ? await mailbox.keptTopics(workflowId, [...waits.keys()]) : [...waits.keys()];
  const candidates: Candidate[] = [];
  const left = new Set<string>();
  let bytes = MAX_BYTES;
  for (const topic of topics) {
    if (bytes <= 0) {
      left.add(topic);
      continue;
    }
    const waiting = waits.get(topic)!;
    const found = topic.startsWith(CHILD_TOPIC)
      ? await findEnd(sources, workflowId, topic, waiting)
      : await findSignals(mailbox, workflowId, topic, { waiting, bytes });
    if (found.more) left.add(topic);
    for (const candidate of found.candidates) {
      candidates.push(candidate);
      bytes -= candidate.result.outputJson?.length ?? 0;
    }
  }
  if (left.size === 0) return { candidates, left, until: Infinity };
  return await upToWhatIsLeft(mailbox, workflowId, candidates, left);
}

/** What came before all that has not been read. */
async function upToWhatIsLeft(
  mailbox: Mailbox,
  workflowId: string,
  candidates: readonly Candidate[],
  left: Set<string>,
): Promise<Messages> {
  const news = new Map<string, number>();
  const last = new Map<string, number>();
  for (const { row, message } of candidates) last.set(row.topic!, message!.message);
  for (const topic of left) {
    const next = await mailbox.firstAfter(workflowId, topic, last.get(topic) ?? 0);
    if (next !== undefined) news.set(topic, next);
  }
  const first = Math.min(Infinity, ...news.values());
  const before = candidates.filter(({ message }) => message!.message < first);
  const until = first === Infinity ? Infinity : Math.max(0, ...before.map(({ at }) => at));
  for (const { row, message } of candidates) if (message!.message >= first) left.add(row.topic!);
  return { candidates: before, left, until };
}

/** The messages of a topic, as many as wait for one. */
async function findSignals(
  mailbox: Mailbox,
  workflowId: string,
  topic: string,
  { waiting, bytes }: { waiting: Waiting; bytes: number },
): Promise<{ candidates: Candidate[]; more: boolean }> {
  const limits = { rows: Math.min(waiting.size, PAGE_LIMITS.rows), bytes };
  const { messages, more } = await mailbox.kept(workflowId, topic, limits);
  const candidates: Candidate[] = [];
  for (const row of waiting.values()) {
    const message = messages[candidates.length];
    if (message === undefined) break;
    const result = { ...DONE, outputJson: message.payloadJson };
    candidates.push({ at: message.sentAt, row, result, message });
  }
  return { candidates, more: more && messages.length < waiting.size };
}

const CHILD_TOPIC = childTopic("");

/** How a child has ended, if its parent was told so: all that wait for a child are told of its one end. */
async function findEnd(
  { store, mailbox }: { store: Store; mailbox: Mailbox },
  parentId: string,
  topic: string,
  waiting: Waiting,
): Promise<{ candidates: Candidate[]; more: boolean }> {
  const none = { candidates: [], more: false };
  const childId = topic.slice(CHILD_TOPIC.length);
  const message = await mailbox.first(parentId, topic);
  if (message === undefined) return none;
  const record = await store.find(childId);
  if (record === undefined || !hasEnded(record.status)) {
    // It may have been retried just now, which takes the message back.
    if (await mailbox.first(parentId, topic) === undefined) return none;
    throw store.corrupt(childId, "outcome", "no outcome, and its parent was told that there is one");
  }
  store.verifyOutcome(record);
  const { outputJson, errorJson } = record;
  const status: "completed" | "failed" = record.status === "completed" ? "completed" : "failed";
  if (status === "failed") store.outcomeError(record);
  const result = { status, outputJson, errorJson };
  const candidates = Array.from(waiting.values(), (row) => ({ at: message.sentAt, row, result, message }));
  return { candidates, more: false };
}

/** A request to cancel the workflow, or the end of its time. */
async function findInterruption(mailbox: Mailbox, input: WorkflowInput, now: number): Promise<Candidate[]> {
  const { workflowId, deadlineAt = Infinity } = input;
  const message = await mailbox.first(workflowId, CANCEL_TOPIC);
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
