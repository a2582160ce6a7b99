import { describeErrorInFull } from "./describe_error.ts";
import type { Ending } from "./ending.ts";
import { Budgeted, toJson } from "./plain_json.ts";
import type { StepRecord } from "./step_record.ts";

/** What `--json` prints of an execution: one line. */
export function reportOf(ending: Ending, workflow: string | undefined, record: StepRecord): string {
  const { id, kind, output, error, detail } = ending;
  return toJson({
    workflowId: id,
    workflow: detail?.workflow ?? workflow ?? null,
    status: kind === "busy" || kind === "interrupted" || kind === "stopped"
      ? detail?.status ?? "running"
      : kind,
    output: new Budgeted(output ?? null),
    error: new Budgeted(error === undefined ? null : plainError(error)),
    steps: detail === undefined ? record.steps(id) : record.stepsOf(detail),
    ...detail?.moreSteps !== undefined && { moreSteps: detail.moreSteps },
  });
}

/** What was thrown, as an object with a message whatever it was. */
function plainError(error: unknown): unknown {
  return error instanceof Error ? error : { name: "Error", message: describeErrorInFull(error) };
}
