import { WorkflowBusyError } from "../mod.ts";
import { commandLine, type Whereabouts } from "./command_line.ts";
import { describeErrorInFull } from "./describe_error.ts";
import type { Ending } from "./ending.ts";
import { formatDuration } from "./format_time.ts";
import type { Palette } from "./paint.ts";
import { BUDGETS, toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import type { StepReport } from "./step_record.ts";
import { busyUntil, waysOut } from "./ways_out.ts";

/** What people are told at the end: the outcome, and what they can do. */
export function endingLines(
  ending: Ending,
  steps: readonly StepReport[],
  { whereabouts, colours }: { whereabouts: Whereabouts; colours: Palette },
): string[] {
  const { id, kind, error, detail } = ending;
  const workflow = `Workflow "${printableCell(id)}"`;
  switch (kind) {
    case "completed":
      return [
        `${workflow} ${colours.good("completed")} in ${formatDuration(ending.elapsedMs)}: ${tally(steps)}`,
        `Output: ${toJson(ending.output, BUDGETS.people)}`,
      ];
    case "busy": {
      const until = error instanceof WorkflowBusyError ? [busyUntil(error.until)] : [];
      return [`${workflow} is ${colours.warning("busy")}: ${describeErrorInFull(error)}`, ...until];
    }
    case "interrupted":
      return [
        `${workflow} was ${colours.warning("interrupted")}, and stopped at a checkpoint: ${tally(steps)}`,
        `Go on with it: ${commandLine("resume", id, whereabouts)}`,
      ];
    case "stopped":
      return [
        `${workflow} was ${colours.bad("stopped")}, and is as its last checkpoint has it: ${
          describeErrorInFull(error)
        }`,
        `Go on with it: ${commandLine("resume", id, whereabouts)}`,
      ];
    default: {
      const situation = { id, status: kind, error: detail?.error ?? storedFrom(error) };
      const verb = kind === "failed" ? colours.bad("failed") : `is ${colours.bad(kind)}`;
      return [`${workflow} ${verb}: ${describeErrorInFull(error)}`, ...waysOut(situation, whereabouts)];
    }
  }
}

function storedFrom(error: unknown): { name: string; message: string } | undefined {
  return error instanceof Error ? { name: error.name, message: error.message } : undefined;
}

/** How many steps were run and how many were there already. */
function tally(steps: readonly StepReport[]): string {
  const replayed = steps.filter((step) => step.replayed).length;
  const run = steps.filter((step) => !step.replayed && step.status !== "running").length;
  if (replayed + run === 0) return "no step was run";
  return `${run} ${run === 1 ? "step" : "steps"} run, ${replayed} replayed`;
}
