import type { Queue } from "./queue.ts";
import type { Workflow } from "./workflow.ts";

/** A schedule: what `schedule()` of `@stepwell/stepwell/schedule` returns. */
export interface Schedule {
  /** By which it is known in the store; what each tick starts has the id `name@time`. */
  readonly name: string;
  /** When it ticks. */
  readonly cron: string;
  /** The time zone of that. */
  readonly timeZone: string;
  /** What each tick starts. */
  readonly workflow: Workflow;
  /** What the workflow is given, or what makes that of the tick's time. */
  readonly input: unknown;
  /** What becomes of ticks for which nobody was there. */
  readonly missed: "skip" | "latest" | "all";
  /** What becomes of a tick while the workflow before it has not ended. */
  readonly overlap: "allow" | "skip" | "queue";
  /** The queue that the workflows are put into. */
  readonly queue?: Queue;
  /** The first tick after a time, in milliseconds since 1970; undefined if there is none. */
  next(after: number): number | undefined;
  /** The last tick before a time or at it, in milliseconds since 1970; undefined if there is none. */
  previous(at: number): number | undefined;
}

/** The same in every copy of this module that a process may have. */
const BRAND = Symbol.for("@stepwell/stepwell/schedule");

/** Marks a definition as one that is complete. */
export function brandSchedule(definition: Schedule): Schedule {
  return Object.freeze(Object.defineProperty(definition, BRAND, { value: true }));
}

/** Whether something is what `schedule()` returns. */
export function isSchedule(value: unknown): value is Schedule {
  return typeof value === "object" && value !== null && BRAND in value;
}
