import type { WorkflowSummary } from "../mod.ts";
import { commandLine, type Whereabouts } from "./command_line.ts";
import { formatMoment } from "./format_time.ts";

/** What of a workflow decides on what can be done with it. */
export type Situation = Pick<WorkflowSummary, "id" | "status" | "error">;

/**
 * What a person can do with a workflow that is not done, one way a line. None where it is done.
 *
 * @param whereabouts the flags of the command line, which the commands that are offered repeat
 */
export function waysOut({ id, status, error }: Situation, whereabouts: Whereabouts): string[] {
  const resume = commandLine("resume", id, whereabouts);
  switch (status) {
    case "failed":
      if (error?.compensated) return ["Its steps have been undone: start it anew, under another id"];
      return [
        `Once its cause is mended, run it again from the step that failed: ${
          commandLine("retry", id, whereabouts)
        }`,
      ];
    case "blocked":
      return unblock(error?.name, resume);
    case "pending":
    case "running":
    case "waiting":
      return [`If no process runs it, go on with it: ${resume}`];
    default:
      return [];
  }
}

function unblock(reason: string | undefined, resume: string): string[] {
  switch (reason) {
    case "CorruptCheckpointError":
      return [`Put the database back from a backup, or mend the row that is named; then: ${resume}`];
    case "NonDeterminismError":
      return [`Bring back the code that it was started with; then: ${resume}`];
    case "TooManyRecoveriesError":
      return [`Find out what ends the process that runs it, and mend that; then: ${resume}`];
    case "WorkflowPausedError":
      return [`Go on with it: ${resume}`];
    case "CompensationError":
      return [`Mend what keeps the step from being undone; then: ${resume}`];
    case "UnknownWorkflowError":
      return [`Add the module that has its workflow: ${resume} --module FILE`];
    default:
      return [`Once its cause is mended: ${resume}`];
  }
}

/** Until when a workflow is somebody else's. */
export function busyUntil(until: Date): string {
  return `Its owner's lease ends at ${formatMoment(until)}, unless it is renewed`;
}
