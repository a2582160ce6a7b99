import { CorruptCheckpointError } from "./errors.ts";
import { executorName, runName } from "./ids.ts";
import { retryObstacle } from "./outcome.ts";
import { type ExecutorRecord, type ExecutorRegistry, hasCode } from "./store/executor_registry.ts";
import type { QueueRecord, Queues } from "./store/queues.ts";
import { hasEnded, type WorkflowRecord } from "./store/records.ts";
import type { Checkpoint, WorkflowStatus } from "./store/rows.ts";
import type { Store } from "./store/store.ts";
import { parseStoredError, type StoredError } from "./stored_error.ts";
import { timeText } from "./time_text.ts";

/** One of the things that a workflow waits for. */
export interface Wait {
  /**
   * A `time`; a `signal`, or the end of a `child`; a `step` that runs, or the next `attempt` of one; its `turn` in a queue;
   * a `process` that takes it up; a `person`.
   */
  readonly kind: "time" | "signal" | "child" | "step" | "attempt" | "turn" | "process" | "person";
  /** The key of what waits in the workflow, if something in it does. */
  readonly key?: string;
  /** The signal's name, the child's id, the queue's name. */
  readonly name?: string;
  /** Since when. */
  readonly since: Date;
  /** Until when at the latest. */
  readonly until?: Date;
}

/** Why a workflow is where it is: see `engine.why()`. */
export interface Explanation {
  /** The workflow's id. */
  readonly id: string;
  /** Its workflow's name. */
  readonly workflow: string;
  /** What became of it. */
  readonly status: WorkflowStatus;
  /** Since when it has this status. */
  readonly since: Date;
  /** In a sentence, for people. */
  readonly reason: string;
  /** What it waits for. */
  readonly waitsFor: readonly Wait[];
  /** Who runs it. */
  readonly heldBy?: {
    readonly runId: string;
    /** As in `engine.executors()`. */
    readonly executorId: string;
    /** The number of its process. */
    readonly pid?: number;
    /** Whether its process lives, as far as its lock tells. */
    readonly state: "alive" | "gone" | "unknown";
    /** When another one may take it over at the earliest, if its process lives but does not renew its lease. */
    readonly leaseUntil?: Date;
  };
  /** The queue that it was put into. */
  readonly queue?: {
    readonly name: string;
    /**
     * How many are before it, of those that wait in the queue for their turn; undefined once it has begun. No more than 1,000
     * are counted: there may be more.
     */
    readonly ahead?: number;
  };
  /** Why it failed, or is blocked. */
  readonly error?: StoredError;
  /** What would move it on, a sentence each, for people. */
  readonly movesOn: readonly string[];
}

/** What it takes to find out. */
export interface WhyHost {
  readonly store: Store;
  readonly queues: Queues;
  readonly executors: ExecutorRegistry;
  readonly clock: { now(): number };
  /** This process. */
  readonly self: number;
  /** Whether a workflow has a run in this process. */
  readonly runsHere: (workflowId: string) => boolean;
}

/** Says why a workflow is where it is: see `engine.why()`. */
export async function explain(host: WhyHost, record: WorkflowRecord): Promise<Explanation> {
  const { workflowId, name, status, updatedAt, errorJson } = record;
  const base = { id: workflowId, workflow: name, status, since: new Date(updatedAt), waitsFor: [] };
  const error = errorJson === null ? undefined : readError(errorJson);
  if (hasEnded(status)) {
    const movesOn = status === "failed" ? afterFailure(error) : [];
    return { ...base, reason: `It has ended: ${status}`, movesOn, ...error !== undefined && { error } };
  }
  const queue = await findQueue(host, record);
  const inQueue = queue === undefined ? {} : {
    queue: {
      name: queue.name,
      ...isInLine(record) && { ahead: await host.queues.countAhead(record.workflow) },
    },
  };
  switch (status) {
    case "blocked":
      return {
        ...base,
        ...inQueue,
        reason: `It is blocked: ${error?.message ?? "for a reason that cannot be read"}`,
        waitsFor: [{ kind: "person", since: base.since }],
        ...error !== undefined && { error },
        movesOn: [
          error?.name === "WorkflowPausedError"
            ? "engine.resume() goes on with it"
            : "Once its cause is mended, engine.resume() goes on with it",
        ],
      };
    case "running":
      return { ...base, ...inQueue, ...await explainRunning(host, record) };
    case "waiting":
      if (!isInLine(record)) return { ...base, ...inQueue, ...await explainWaiting(host, record) };
  }
  return { ...base, ...inQueue, ...await explainPending(host, record, queue) };
}

/** What would move a workflow on that has failed. */
function afterFailure(error: StoredError | undefined): string[] {
  if (error?.noInput) {
    return ["Once its schedule can make an input, engine.triggerSchedule() starts another one"];
  }
  if (error !== undefined && retryObstacle(error) !== undefined) return [];
  return ["Once its cause is mended, engine.retry() runs it again from the step that failed"];
}

type Found = Pick<Explanation, "reason" | "waitsFor" | "movesOn"> & Partial<Pick<Explanation, "heldBy">>;

async function explainRunning(host: WhyHost, record: WorkflowRecord): Promise<Found> {
  const { run, executor, leaseUntil } = record;
  const since = new Date(record.updatedAt);
  if (run === null || executor === null) {
    return {
      reason: "It is stored as running, and by no process",
      waitsFor: [{ kind: "process", since }],
      movesOn: [await claimed(host, record)],
    };
  }
  const owner = (await host.executors.list()).find((each) => each.executor === executor);
  const state = host.executors.liveness(executor);
  const { rows, cleanups } = await readRunning(host, record);
  const isStray = executor === host.self && !host.runsHere(record.workflowId);
  const isLost = isStray || executor !== host.self && host.executors.isLost({ executor, leaseUntil });
  const who = `run ${runName(run)} of process ${owner?.pid ?? "unknown"}`;
  const reason = isStray
    ? `It is stored as run by this process, which has no run of it (${runName(run)}), and releases it`
    : isLost
    ? `It was run by ${who}, which is gone`
    : state === "unknown"
    ? `It was run by ${who}, of which there is no sign but a lease, as in a copy of the file`
    : `It is run by ${who}`;
  return {
    reason: reason + within(cleanups),
    heldBy: {
      runId: runName(run),
      executorId: executorName(executor),
      ...owner?.pid != null && { pid: owner.pid },
      state,
      ...leaseUntil !== null && { leaseUntil: new Date(leaseUntil) },
    },
    waitsFor: isLost || state === "unknown" ? [{ kind: "process", since }] : rows.map(waitOf),
    movesOn: isLost
      ? [await claimed(host, record)]
      : state === "unknown" && leaseUntil !== null
      ? [`${await claimed(host, record)}, from ${timeText(new Date(leaseUntil))} on, when the lease ends`]
      : [
        ...rows.length === 0 ? ["Its code goes on by itself"] : rows.map(movesOnBy),
        ...cleanups.map(movesOnBy),
      ],
  };
}

async function explainWaiting(host: WhyHost, record: WorkflowRecord): Promise<Found> {
  const { rows, cleanups } = await readRunning(host, record);
  const { dueAt } = record;
  if (dueAt !== null && dueAt <= host.clock.now()) {
    return {
      reason: `What it waited for is there${await andNoCode(
        host,
        record,
        "and no process has claimed it yet",
      )}`,
      waitsFor: [{ kind: "process", since: new Date(dueAt) }],
      movesOn: [await claimed(host, record)],
    };
  }
  const deadlineAt = await readDeadline(host, record);
  return {
    reason: `It waits for ${rows.map(describe).join(", ")}${within(cleanups)}`,
    waitsFor: rows.map(waitOf),
    movesOn: [
      ...rows.map(movesOnBy),
      ...cleanups.map(movesOnBy),
      ...deadlineAt === undefined ? [] : [`Its deadline, ${timeText(new Date(deadlineAt))}`],
    ],
  };
}

async function explainPending(
  host: WhyHost,
  record: WorkflowRecord,
  queue: QueueRecord | undefined,
): Promise<Found> {
  const since = new Date(record.updatedAt);
  if (queue === undefined || record.isPlaced) {
    const state = record.run === null ? "It has not begun" : "It was stopped at a checkpoint";
    const other = record.run === null ? "" : "and no process runs it";
    return {
      reason: state + await andNoCode(host, record, other),
      waitsFor: [{ kind: "process", since }],
      movesOn: [await claimed(host, record)],
    };
  }
  const { name } = queue;
  const turn = { kind: "turn", name, since } as const;
  const { dueAt } = record;
  if (record.status === "waiting" && dueAt !== null) {
    const until = new Date(dueAt);
    return {
      reason: `It waits in queue "${name}" until ${timeText(until)}`,
      waitsFor: [{ kind: "time", name, since, until }],
      movesOn: ["It is its turn when that time has come"],
    };
  }
  const limit = await host.queues.limitOn(record.workflow, host.clock.now());
  if (limit === undefined) {
    return {
      reason: `It waits in queue "${name}" for its turn${await andNoCode(host, record, "")}`,
      waitsFor: [turn],
      movesOn: [await claimed(host, record)],
    };
  }
  return {
    reason: `It waits in queue "${name}": ${LIMITS[limit]}`,
    waitsFor: [turn],
    movesOn: [OPENS[limit]],
  };
}

/** What keeps a workflow in its queue. */
const LIMITS = {
  paused: "the queue is paused",
  concurrency: "as many of the queue are under way as its concurrency allows for",
  partition: "as many of its partition are under way as the queue's partitionConcurrency allows for",
  rate: "as many of the queue have begun in this period as its rate allows for",
} as const;

const OPENS = {
  paused: "engine.resumeQueue() has its workflows begin again",
  concurrency: "One of those that are under way ends",
  partition: "One of its partition that is under way ends",
  rate: "The period goes on",
} as const;

/** Whether a workflow waits in a queue to begin. */
function isInLine({ queue, isPlaced, status }: WorkflowRecord): boolean {
  return queue !== null && !isPlaced && (status === "pending" || status === "waiting");
}

async function findQueue({ queues }: WhyHost, { queue }: WorkflowRecord): Promise<QueueRecord | undefined> {
  return queue === null ? undefined : await queues.byKey(queue);
}

/**
 * What a workflow has begun and not seen the end of, what ends first before the rest; nothing that cannot be read.
 *
 * @returns apart from that, the cleanups that it is in
 */
async function readRunning(
  { store }: WhyHost,
  record: WorkflowRecord,
): Promise<{ rows: Checkpoint[]; cleanups: Checkpoint[] }> {
  const found = await store.inspectRunning(record);
  const all = found.filter(({ checkpoint, corrupt }) =>
    checkpoint.completion === null && corrupt === undefined
  )
    .map(({ checkpoint }) => checkpoint)
    .sort((a, b) =>
      (a.nextAttemptAt ?? Infinity) - (b.nextAttemptAt ?? Infinity) || a.startedAt - b.startedAt
    );
  const isCleanup = ({ kind }: Checkpoint) => kind === "cleanup";
  return { rows: all.filter((row) => !isCleanup(row)), cleanups: all.filter(isCleanup) };
}

/** That a workflow is in cleanups, for the end of a sentence. */
function within(cleanups: readonly Checkpoint[]): string {
  return cleanups.map((row) => `, in ${describe(row)}`).join("");
}

/** When a workflow is cut off; undefined where that cannot be read. */
async function readDeadline({ store }: WhyHost, record: WorkflowRecord): Promise<number | undefined> {
  try {
    return (await store.input(record)).deadlineAt;
  } catch (error) {
    if (error instanceof CorruptCheckpointError) return undefined;
    throw error;
  }
}

/** The processes that live, as far as can be told. */
async function living({ executors }: WhyHost): Promise<ExecutorRecord[]> {
  return (await executors.list()).filter(({ liveness }) => liveness !== "gone");
}

/** The code of a workflow, for people. */
function codeOf({ name, version }: WorkflowRecord): string {
  return `workflow "${name}"${version === undefined ? "" : `, version "${version}"`}`;
}

/** What a sentence goes on with: that no living process has the code of a workflow, if that is so, or else something other. */
async function andNoCode(host: WhyHost, record: WorkflowRecord, other: string): Promise<string> {
  const executors = await living(host);
  if (executors.length > 0 && !hasCode(executors, record)) {
    return `, and no living process has the code of ${codeOf(record)}`;
  }
  return other === "" ? "" : `, ${other}`;
}

/** What would have a process claim a workflow. */
async function claimed(host: WhyHost, record: WorkflowRecord): Promise<string> {
  const wanted = `A process that works and has the code of ${codeOf(record)}`;
  const executors = await living(host);
  if (executors.length === 0) return `${wanted}: none runs now`;
  const able = executors.filter((executor) => hasCode([executor], record));
  if (able.length === 0) {
    return `${wanted}: none of the ${executors.length} that live has it`;
  }
  const working = able.filter(({ isWorking, codes }) => isWorking || codes === undefined);
  const serving = working.filter(({ queues }) =>
    queues === undefined || record.queueName !== null && queues.includes(record.queueName)
  );
  if (working.length === 0) return `${wanted}: ${processes(able.length)} the code, and none works`;
  if (serving.length > 0) return `${wanted}: ${processes(serving.length)} it`;
  const queue = record.queueName === null ? "what is in no queue" : `queue "${record.queueName}"`;
  return `${wanted}: ${processes(working.length)} it, and none works on ${queue}`;
}

function processes(count: number): string {
  return count === 1 ? "1 process has" : `${count} processes have`;
}

function kindOf({ kind, nextAttemptAt }: Checkpoint): Wait["kind"] {
  if (kind === "sleep") return "time";
  if (kind === "signal" || kind === "child") return kind;
  return nextAttemptAt === null ? "step" : "attempt";
}

function waitOf(row: Checkpoint): Wait {
  const { key, topic, startedAt, nextAttemptAt } = row;
  return {
    kind: kindOf(row),
    key,
    ...topic !== undefined && { name: topic.slice(topic.indexOf(":") + 1) },
    since: new Date(startedAt),
    ...nextAttemptAt !== null && { until: new Date(nextAttemptAt) },
  };
}

function describe(row: Checkpoint): string {
  const { kind, name, until } = waitOf(row);
  if (row.kind === "cleanup") return `cleanup "${row.key}", which has time until ${timeText(until!)}`;
  switch (kind) {
    case "time":
      return `the time ${timeText(until!)}`;
    case "signal":
      return `signal "${name}"${until === undefined ? "" : ` until ${timeText(until)}`}`;
    case "child":
      return `the end of child "${name}"`;
    case "attempt":
      return `another attempt of step "${row.key}" at ${timeText(until!)}`;
    default:
      return `step "${row.key}"`;
  }
}

function movesOnBy(row: Checkpoint): string {
  const { kind, name, until } = waitOf(row);
  if (row.kind === "cleanup") return `The end of the time of cleanup "${row.key}", ${timeText(until!)}`;
  switch (kind) {
    case "time":
      return `The time ${timeText(until!)}`;
    case "signal":
      return `engine.signal() with the name "${name}"${until === undefined ? "" : `, or ${timeText(until)}`}`;
    case "child":
      return `The end of workflow "${name}"`;
    case "attempt":
      return `Attempt ${row.attempt + 1} of step "${row.key}"`;
    default:
      return `The end of step "${row.key}", attempt ${row.attempt}`;
  }
}

function readError(json: string): StoredError | undefined {
  try {
    return parseStoredError(json);
  } catch {
    return undefined;
  }
}
