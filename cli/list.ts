import type { WorkflowStatus, WorkflowSummary } from "../mod.ts";
import { parseCount } from "./count_flag.ts";
import { describeError } from "./describe_error.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printReport } from "./print_report.ts";
import { statusColour } from "./status_colour.ts";
import { table } from "./table.ts";

/** How many are listed where `--limit` is not given. */
const DEFAULT_LIMIT = 50;

/** `list`: workflows, the newest first. */
export async function list({ flags }: Invocation): Promise<ExitStatus> {
  const limit = parseCount("limit", flags.get("limit")?.[0]) ?? DEFAULT_LIMIT;
  const status = flags.get("status") as WorkflowStatus[] | undefined;
  await using engine = await openStored(flags);
  const found = await engine.list({ status, limit: limit + 1 });
  const more = found.length > limit;
  const workflows = found.slice(0, limit);

  printReport(flags, {
    json: { workflows: workflows.map(summary), more },
    lines: () => lines(workflows, more),
  });
  return ExitStatus.completed;
}

function summary(workflow: WorkflowSummary): Record<string, unknown> {
  const { id, status, createdAt, updatedAt, completedAt, recoveries, error } = workflow;
  return {
    workflowId: id,
    workflow: workflow.workflow,
    status,
    createdAt,
    updatedAt,
    completedAt: completedAt ?? null,
    recoveries,
    error: error ?? null,
  };
}

function lines(workflows: readonly WorkflowSummary[], more: boolean): string[] {
  if (workflows.length === 0) return ["No workflows"];
  const colours = palette(stdout.colour);
  const rows = workflows.map(({ id, workflow, status, createdAt, updatedAt, error }) => [
    id,
    workflow,
    status,
    formatMoment(createdAt),
    formatMoment(updatedAt),
    error === undefined ? "" : describeError(error),
  ]);
  const header = ["ID", "WORKFLOW", "STATUS", "CREATED", "UPDATED", "ERROR"];
  const tabled = table([header, ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    return column === 2 ? statusColour(cell.trim(), colours)(cell) : cell;
  });
  return more ? [...tabled, `There are more than these ${workflows.length}; --limit N shows more`] : tabled;
}
