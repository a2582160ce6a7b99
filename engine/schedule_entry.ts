import { type Queue, queueOfSchedule } from "./queue.ts";
import type { Schedule } from "./schedule.ts";
import type { ScheduleEntry } from "./store/schedule_statements.ts";
import { inputText } from "./validation.ts";

/** The queue that a schedule's workflows are put into, if they are. */
export function queueOf({ name, overlap, queue: given }: Schedule): Queue | undefined {
  return overlap === "queue" ? queueOfSchedule(name) : given;
}

/** What is stored of a definition, without the input. */
export function describeSchedule(definition: Schedule): Omit<ScheduleEntry, "inputJson"> {
  const { name, workflow, input, cron, timeZone, missed, overlap } = definition;
  return {
    name,
    workflow: workflow.name,
    version: workflow.version ?? null,
    timeoutMs: workflow.timeoutMs ?? null,
    makesInput: typeof input === "function",
    cron,
    timeZone,
    missed,
    overlap,
    queue: queueOf(definition)?.name ?? null,
  };
}

/** Whether a definition is the one that is stored. */
export function isStored(definition: Schedule, stored: ScheduleEntry): boolean {
  const described = Object.entries(describeSchedule(definition)) as [keyof ScheduleEntry, unknown][];
  return described.every(([column, value]) => stored[column] === value);
}

/** The id of the workflow that a tick starts. */
export function tickId(schedule: string, at: number): string {
  return `${schedule}@${new Date(at).toISOString()}`;
}

/** The text of what the workflow of a tick is given, made by the code of the schedule. @throws what that throws */
export async function tickInput(
  { name, workflow, input }: Schedule,
  at: number,
  maxValueBytes: number,
): Promise<string | null> {
  const starting = `workflow "${tickId(name, at)}"`;
  const made = (input as (tick: Date) => unknown)(new Date(at));
  return await inputText(workflow, made, { starting, what: `the input of ${starting}`, maxValueBytes });
}

/** The text of what all of a schedule's workflows are given; null where code makes it of the tick. */
export async function fixedInput(
  { name, workflow, input }: Schedule,
  maxValueBytes: number,
): Promise<string | null> {
  if (typeof input === "function") return null;
  const starting = `schedule "${name}"`;
  return await inputText(workflow, input, { starting, what: `the input of ${starting}`, maxValueBytes });
}
