import { Engine, type WorkflowStatus, type WorkflowSummary } from "../mod.ts";
import { parseCount } from "./count_flag.ts";
import { requireDatabase } from "./database.ts";
import { describeError } from "./describe_error.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { toJson } from "./plain_json.ts";
import { printableLine } from "./printable.ts";
import { statusColour } from "./status_colour.ts";
import { table } from "./table.ts";

/** How many are listed where `--limit` is not given. */
const DEFAULT_LIMIT = 50;

/** `list`: workflows, the newest first. */
export async function list({ flags }: Invocation): Promise<ExitStatus> {
  const limit = parseCount("limit", flags.get("limit")?.[0]) ?? DEFAULT_LIMIT;
  const status = flags.get("status") as WorkflowStatus[] | undefined;
  const location = locationOf(flags);
  await requireDatabase(location);
  await using engine = await Engine.open(location, { sqlite: sqliteOf(flags) });
  const found = await engine.list({ status, limit: limit + 1 });
  const more = found.length > limit;
  const workflows = found.slice(0, limit);

  if (flags.has("json")) stdout.write(toJson({ workflows: workflows.map(summary), more }) + "\n");
  else for (const line of lines(workflows, more)) stdout.write(line + "\n");
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
    printableLine(id),
    printableLine(workflow),
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
