import { crc32 } from "../checksum.ts";
import { CorruptCheckpointError } from "../errors.ts";
import type { Database, Row } from "./database.ts";
import { textOrNull, type WorkflowInput } from "./rows.ts";
import * as statements from "./schedule_statements.ts";
import type { ScheduleEntry, Tick } from "./schedule_statements.ts";

/** A schedule as the store has it. */
export interface ScheduleRecord extends ScheduleEntry {
  readonly pausedAt: number | null;
  /** The ticks after this are yet to come. */
  readonly fromAt: number;
  readonly nextTickAt: number | null;
  readonly lastTickAt: number | null;
  /** The id of the workflow that was started last. */
  readonly lastWorkflowId: string | null;
  /** The executor whose definition it is. */
  readonly definer: number | null;
  readonly checksum: number;
}

/** The schedules of a store, in the engine's words; what may change is fenced in the statements. */
export class Schedules {
  constructor(private readonly database: Database) {}

  /** Stores a schedule as its definition says. @returns whether there was room for it */
  async define(
    entry: ScheduleEntry,
    options: { definer: number; from: number; next: number | null },
  ): Promise<boolean> {
    const statement = statements.defineSchedule(entry, { ...options, checksum: checksumOf(entry) });
    return (await this.database.write([statement]))[0] === 1;
  }

  /** The schedule of a name. */
  async find(name: string): Promise<ScheduleRecord | undefined> {
    const [row] = await this.database.read(statements.selectSchedule(name));
    return row && readSchedule(row);
  }

  /**
   * The schedules of these names, without what their workflows are given.
   *
   * @throws {StoreError} if they cannot be read
   */
  async states(names: readonly string[]): Promise<ReadonlyMap<string, ScheduleRecord>> {
    const rows = await this.database.read(statements.selectScheduleStates(names));
    return new Map(rows.map((row) => [String(row.name), readSchedule({ ...row, input_json: null })]));
  }

  /** The schedules, by their names. */
  async list(): Promise<ScheduleRecord[]> {
    return (await this.database.read(statements.selectSchedules())).map(readSchedule);
  }

  /** Checks that what a schedule's workflows are started with is as it was written. @throws {CorruptCheckpointError} if not */
  verify(record: ScheduleRecord): void {
    if (checksumOf(record) === record.checksum) return;
    const { location } = this.database;
    throw new CorruptCheckpointError(location, record.name, "schedule", "a row with another checksum");
  }

  /**
   * Sees to a tick.
   *
   * @param failure the error that the workflow has failed with at once, if there is no input for it
   * @returns `"skipped"` if the workflow before it has not ended, and is to have; `"lost"` if somebody else has seen to the
   *   tick, or the schedule is paused or its queue full
   */
  async start(
    tick: Tick,
    input: WorkflowInput,
    failure?: string,
  ): Promise<"started" | "skipped" | "lost"> {
    const [seenTo, started] = await this.database.write(statements.startTick(tick, input, failure));
    return seenTo === 0 ? "lost" : started === 1 ? "started" : "skipped";
  }

  /** Passes over the ticks up to a time, if nobody has seen to them. */
  async pass(tick: Omit<Tick, "ticker">): Promise<void> {
    await this.database.write([statements.passTicks(tick)]);
  }

  /** Notes when a schedule ticks next, for those who look at it. */
  async noteNext({ name, fromAt }: ScheduleRecord, next: number | null): Promise<void> {
    await this.database.write([statements.noteNextTick(name, fromAt, next)]);
  }

  /** Has a schedule tick no more, or again. @returns whether there is one of this name */
  async pause(name: string, at: number, isPaused: boolean): Promise<boolean> {
    const statement = isPaused ? statements.pauseSchedule(name, at) : statements.resumeSchedule(name, at);
    return (await this.database.write([statement]))[0] === 1;
  }
}

/** The checksum of what a schedule's workflows are started with. */
function checksumOf({ name, workflow, version, timeoutMs, inputJson, makesInput }: ScheduleEntry): number {
  return crc32(JSON.stringify([name, workflow, version, timeoutMs, inputJson, makesInput])) | 0;
}

function readSchedule(row: Row): ScheduleRecord {
  return {
    name: String(row.name),
    workflow: String(row.workflow),
    version: textOrNull(row.version),
    timeoutMs: row.timeout_ms as number | null,
    inputJson: textOrNull(row.input_json),
    makesInput: row.makes_input === 1,
    cron: String(row.cron),
    timeZone: String(row.time_zone),
    missed: String(row.missed) as ScheduleRecord["missed"],
    overlap: String(row.overlap) as ScheduleRecord["overlap"],
    queue: textOrNull(row.queue),
    pausedAt: row.paused_at as number | null,
    fromAt: row.from_at as number,
    nextTickAt: row.next_tick_at as number | null,
    lastTickAt: row.last_tick_at as number | null,
    lastWorkflowId: textOrNull(row.last_workflow_id),
    definer: row.definer as number | null,
    checksum: row.checksum as number,
  };
}
