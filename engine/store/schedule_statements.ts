/**
 * The statements about schedules: when workflows are started by the clock.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import { joinLine } from "./line_statements.ts";
import { outcomeChecksum, versionColumn, type WorkflowInput } from "./rows.ts";
import { createMissingInput } from "./workflow_statements.ts";

/** How many schedules there may be. */
export const MAX_SCHEDULES = 10_000;

/** A schedule, as its definition says. */
export interface ScheduleEntry {
  readonly name: string;
  /** The name of the workflow that each tick starts. */
  readonly workflow: string;
  readonly version: string | null;
  readonly timeoutMs: number | null;
  /** What the workflows are given; null is undefined, or an input that code makes of the tick. */
  readonly inputJson: string | null;
  readonly makesInput: boolean;
  readonly cron: string;
  readonly timeZone: string;
  readonly missed: "skip" | "latest" | "all";
  readonly overlap: "allow" | "skip" | "queue";
  /** The name of the queue that the workflows are put into. */
  readonly queue: string | null;
}

const DEFINE =
  `INSERT INTO schedules (name, workflow, version, timeout_ms, input_json, makes_input, cron, time_zone,
    missed, overlap, queue, definer, from_at, next_tick_at, checksum)
  SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?
  WHERE (SELECT count(*) FROM schedules) < ${MAX_SCHEDULES} OR EXISTS (SELECT 1 FROM schedules WHERE name = ?)
  ON CONFLICT (name) DO UPDATE SET workflow = excluded.workflow, version = excluded.version,
    timeout_ms = excluded.timeout_ms, input_json = excluded.input_json, makes_input = excluded.makes_input,
    cron = excluded.cron, time_zone = excluded.time_zone, missed = excluded.missed, overlap = excluded.overlap,
    queue = excluded.queue, definer = excluded.definer,
    next_tick_at = CASE WHEN paused_at IS NULL THEN excluded.next_tick_at END, checksum = excluded.checksum,
    from_at = CASE WHEN cron = excluded.cron AND time_zone = excluded.time_zone THEN from_at
      ELSE excluded.from_at END`;

/**
 * Stores a schedule as its definition says, if there is room for it.
 *
 * @param options.definer the executor whose definition it is
 * @param options.from the ticks after this are yet to come, where it is new or its times have changed
 */
export function defineSchedule(
  entry: ScheduleEntry,
  { definer, from, next, checksum }: {
    definer: number;
    from: number;
    next: number | null;
    checksum: number;
  },
): Statement {
  const { name, workflow, version, timeoutMs, inputJson, makesInput, cron, timeZone } = entry;
  return {
    sql: DEFINE,
    params: [
      name,
      workflow,
      version,
      timeoutMs,
      inputJson,
      Number(makesInput),
      cron,
      timeZone,
      entry.missed,
      entry.overlap,
      entry.queue,
      definer,
      from,
      next,
      checksum,
      name,
    ],
  };
}

const STATE_COLUMNS =
  `s.name, s.workflow, s.version, s.timeout_ms, s.makes_input, s.cron, s.time_zone, s.missed,
  s.overlap, s.queue, s.paused_at, s.from_at, s.next_tick_at, s.last_tick_at, s.definer, s.checksum`;
const COLUMNS = `${STATE_COLUMNS}, s.input_json,
  (SELECT w.workflow_id FROM workflows w WHERE w.workflow = s.last_workflow) AS last_workflow_id`;

/** The schedules of these names, without what their workflows are given, and which was started last. */
export function selectScheduleStates(names: readonly string[]): Statement {
  return {
    sql:
      `SELECT ${STATE_COLUMNS}, NULL AS last_workflow_id FROM json_each(?) n CROSS JOIN schedules s ON s.name = n.value`,
    params: [JSON.stringify(names)],
  };
}

/** A schedule, if there is one of this name. */
export function selectSchedule(name: string): Statement {
  return { sql: `SELECT ${COLUMNS} FROM schedules s WHERE s.name = ?`, params: [name] };
}

/** The schedules, by their names. */
export function selectSchedules(): Statement {
  return { sql: `SELECT ${COLUMNS} FROM schedules s ORDER BY s.name LIMIT ${MAX_SCHEDULES}`, params: [] };
}

/** A tick that somebody sees to. */
export interface Tick {
  readonly schedule: string;
  readonly at: number;
  /** Up to where ticks had been seen to when this was decided. */
  readonly seenFrom: number;
  /** The tick after it. */
  readonly next: number | null;
  /** Who sees to it: a number at random. */
  readonly ticker: number;
}

const SEE_TO = `UPDATE schedules SET from_at = ?, last_tick_at = ?, next_tick_at = ?, ticker = ?
  WHERE name = ? AND from_at = ? AND paused_at IS NULL AND (queue IS NULL OR EXISTS (
    SELECT 1 FROM queues q WHERE q.name = schedules.queue AND q.depth < q.max_depth))`;
const START =
  `INSERT INTO workflows (workflow_id, name, version, status, created_at, updated_at, queue, ready_at, rank)
  SELECT ?, ?, ?, 'pending', ?, ?, q.queue, CASE WHEN q.queue IS NULL THEN NULL ELSE ? END, CASE WHEN q.queue IS NULL THEN NULL ELSE ? END
  FROM schedules s LEFT JOIN queues q ON q.name = s.queue
  WHERE s.name = ? AND s.ticker = ? AND (s.overlap <> 'skip' OR NOT EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = s.last_workflow
      AND w.status NOT IN ('completed', 'failed', 'cancelled')))
  ON CONFLICT DO NOTHING`;
const STARTED = `SELECT w.workflow FROM workflows w JOIN inputs i ON i.workflow = w.workflow
  WHERE w.workflow_id = ? AND i.seed = ?`;
const NOTE_STARTED = `UPDATE schedules SET last_workflow = (${STARTED})
  WHERE name = ? AND ticker = ? AND EXISTS (${STARTED})`;
const FAIL_STARTED = `UPDATE workflows SET status = 'failed', completed_at = ?, error_json = ?, checksum = ?
  WHERE workflow = (${STARTED}) AND status = 'pending' AND run IS NULL`;

/**
 * Sees to a tick, if nobody has: its workflow is started, unless the one before is to have ended and has not.
 *
 * @param failure the error that the workflow has failed with at once, if there is no input for it
 */
export function startTick(tick: Tick, input: WorkflowInput, failure: string | undefined): Statement[] {
  const { schedule, at, seenFrom, next, ticker } = tick;
  const { workflowId, name, createdAt, seed } = input;
  return [
    { sql: SEE_TO, params: [at, at, next, ticker, schedule, seenFrom] },
    {
      sql: START,
      params: [workflowId, name, versionColumn(input), createdAt, createdAt, at, at, schedule, ticker],
    },
    createMissingInput(input),
    { sql: NOTE_STARTED, params: [workflowId, seed, schedule, ticker, workflowId, seed] },
    ...failure === undefined ? [] : [failStarted(input, failure)],
    ...joinLine({ workflowId }),
  ];
}

function failStarted({ workflowId, createdAt: at, seed }: WorkflowInput, errorJson: string): Statement {
  const checksum = outcomeChecksum(workflowId, { status: "failed", outputJson: null, errorJson, at });
  return { sql: FAIL_STARTED, params: [at, errorJson, checksum, workflowId, seed] };
}

/** Passes over the ticks up to a time, if nobody has seen to them. */
export function passTicks({ schedule, at, seenFrom, next }: Omit<Tick, "ticker">): Statement {
  return {
    sql:
      "UPDATE schedules SET from_at = ?, next_tick_at = ? WHERE name = ? AND from_at = ? AND paused_at IS NULL",
    params: [at, next, schedule, seenFrom],
  };
}

/** Notes when a schedule ticks next, if that is still as it was seen. */
export function noteNextTick(schedule: string, seenFrom: number, next: number | null): Statement {
  return {
    sql: "UPDATE schedules SET next_tick_at = ? WHERE name = ? AND from_at = ? AND paused_at IS NULL",
    params: [next, schedule, seenFrom],
  };
}

/** Has a schedule tick no more. */
export function pauseSchedule(name: string, at: number): Statement {
  return {
    sql: "UPDATE schedules SET paused_at = coalesce(paused_at, ?), next_tick_at = NULL WHERE name = ?",
    params: [at, name],
  };
}

/** Has a schedule tick again: what would have been ticks meanwhile are none. */
export function resumeSchedule(name: string, at: number): Statement {
  return {
    sql: `UPDATE schedules SET from_at = CASE WHEN paused_at IS NULL THEN from_at ELSE ? END,
      paused_at = NULL WHERE name = ?`,
    params: [at, name],
  };
}
