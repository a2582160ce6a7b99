import type { StoredError } from "../engine/stored_error.ts";
import type { WorkflowStatus } from "../engine/store/rows.ts";

/** Where a process was lost. */
export type CrashPoint =
  /** Nowhere: the run was disturbed by nothing, as the one that it is held against. */
  | { readonly at: "nowhere" }
  /** At a commit, counted from 1: before anything of it was stored, or after all of it was. */
  | { readonly at: "commit"; readonly when: "before" | "after"; readonly commit: number }
  /** At the function of a step: before it was called, or when it had ended and nothing of that was stored. */
  | {
    readonly at: "step";
    readonly when: "before" | "during";
    readonly workflowId: string;
    readonly step: string;
    readonly attempt: number;
  };

/** How a workflow ended, as it is stored. */
export interface WorkflowEnding {
  /** What became of it. */
  readonly status: WorkflowStatus;
  /** Its output, as the store keeps it: JSON, null for `undefined`. */
  readonly outputJson: string | null;
  /** Its error, without what tells where in the source it was thrown. */
  readonly error?: StoredError;
}

/** Something that came out otherwise than in the run that nothing disturbed. */
export interface CrashDifference {
  /** Where the process was lost. */
  readonly point: CrashPoint;
  /**
   * `"ending"`: how the workflow ended. `"world"`: what `observe()` saw afterwards. `"hang"`: the workflow did not end.
   * `"checkpoint"`: a step ran again although it had been completed.
   */
  readonly what: "ending" | "world" | "hang" | "checkpoint";
  /** What came out in the run that nothing disturbed. */
  readonly wanted: string;
  /** What came out here. */
  readonly found: string;
}

/** A step that ran more than once: it has to bear that. */
export interface RepeatedStep {
  /** The workflow that the step is part of. */
  readonly workflowId: string;
  /** The step's key. */
  readonly key: string;
  /** How often it ran at most. */
  readonly times: number;
  /** Where the process was lost when it did. */
  readonly points: readonly CrashPoint[];
}

/** What {@linkcode crashEverywhere} has found. */
export interface CrashReport {
  /** The workflow's name. */
  readonly workflow: string;
  /** How it ends when nothing disturbs it. */
  readonly ending: WorkflowEnding;
  /** Where its process was lost, once at each. */
  readonly points: readonly CrashPoint[];
  /** What came out otherwise than without a crash. None, for a workflow that is right. */
  readonly differences: readonly CrashDifference[];
  /** The steps that ran more than once. That is no fault of the workflow, as long as their effects bear it. */
  readonly repeated: readonly RepeatedStep[];
  /** The points that were not reached, because the workflow did something else than without a crash. */
  readonly unreached: readonly CrashPoint[];
  /** All of it, for people. */
  readonly text: string;
}

/** How many points are named of one step, and how many differences in all, before the text says how many more there are. */
const MAX_POINTS_NAMED = 5;
const MAX_DIFFERENCES_NAMED = 20;
/** How much of a value is shown. */
const MAX_SHOWN = 400;

/** A report with its text. */
export function crashReport(found: Omit<CrashReport, "text">): CrashReport {
  const { workflow, points, differences, repeated, unreached } = found;
  const lines = [
    `Workflow "${workflow}" was lost at ${points.length} points, one at a time: ` +
    (differences.length === 0 ? "it always came to the same end" : "it did not always come to the same end"),
    ...differences.slice(0, MAX_DIFFERENCES_NAMED).flatMap(describeDifference),
    ...more(differences.length - MAX_DIFFERENCES_NAMED, "  … and N more"),
    ...repeated.length > 0 ? ["Steps that ran more than once, whose effects have to bear that:"] : [],
    ...repeated.map(({ workflowId, key, times, points }) =>
      `  ${key} of "${workflowId}", ${times} times: ${listPoints(points)}`
    ),
    ...unreached.length > 0 ? [`Points that were not reached: ${listPoints(unreached)}`] : [],
  ];
  return { ...found, text: lines.join("\n") };
}

function describeDifference({ point, what, wanted, found }: CrashDifference): string[] {
  return [`  ${describePoint(point)}: ${WHAT[what]}`, `    wanted ${wanted}`, `    found  ${found}`];
}

const WHAT = {
  ending: "it ended otherwise",
  world: "the world outside came out otherwise",
  hang: "it did not end",
  checkpoint: "a step ran again although it had been completed",
} as const;

/** A crash point, for people. */
export function describePoint(point: CrashPoint): string {
  if (point.at === "nowhere") return "without any crash";
  if (point.at === "commit") return `${point.when} commit ${point.commit}`;
  const { when, step, workflowId, attempt } = point;
  return `${when} ${step} of "${workflowId}"${attempt > 1 ? `, attempt ${attempt}` : ""}`;
}

function listPoints(points: readonly CrashPoint[]): string {
  return [
    ...points.slice(0, MAX_POINTS_NAMED).map(describePoint),
    ...more(points.length - MAX_POINTS_NAMED, "and N more"),
  ].join("; ");
}

function more(count: number, text: string): string[] {
  return count > 0 ? [text.replace("N", String(count))] : [];
}

/** How a workflow ended, for people. */
export function describeEnding({ status, outputJson, error }: WorkflowEnding): string {
  if (error !== undefined) return `${status} with ${shown(`${error.name}: ${error.message}`)}`;
  return `${status} with ${shown(outputJson ?? "undefined")}`;
}

/** So much of a text as is shown. */
export function shown(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN).toWellFormed()}…`;
}
