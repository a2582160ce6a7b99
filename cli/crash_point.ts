import { didYouMean } from "./nearest.ts";
import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/**
 * - `before`: the step's function has not run.
 * - `during`: it has run and returned, nothing of that is stored.
 * - `after`: its checkpoint is committed, the workflow has not seen it.
 */
export type CrashMoment = typeof MOMENTS[number];

const MOMENTS = ["before", "during", "after"] as const;

/** Where a process is to crash. */
export interface CrashPoint {
  /** The step's key, such as `"provision_laptop#000001"`. */
  readonly stepKey: string;
  readonly moment: CrashMoment;
  /** As it was written. */
  readonly text: string;
}

/**
 * Reads a crash point, such as `provision_laptop:after` or, for the third call of a step in a loop, `page:before#3`.
 *
 * @throws {UsageError} if it is no crash point
 */
export function parseCrashPoint(text: string): CrashPoint {
  const match = /^(.+):([^:#]*)(?:#(.*))?$/s.exec(text);
  if (match === null) {
    throw new UsageError(`--crash wants STEP:WHEN, such as "pay:after", found "${printableCell(text)}"`);
  }
  const [, stepId, when = "", nth = "1"] = match;
  const moment = MOMENTS.find((each) => each === when);
  if (moment === undefined) {
    const hint = didYouMean(when, MOMENTS);
    throw new UsageError(`--crash wants before, during or after, found "${printableCell(when)}"${hint}`);
  }
  if (!/^[1-9]\d{0,8}$/.test(nth)) {
    throw new UsageError(`--crash wants a number from 1 up after "#", found "${printableCell(nth)}"`);
  }
  return { stepKey: `${stepId}#${nth.padStart(6, "0")}`, moment, text };
}
