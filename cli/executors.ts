import { Engine, type ExecutorSummary } from "../mod.ts";
import { requireDatabase } from "./database.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { toJson } from "./plain_json.ts";
import { table } from "./table.ts";

/** `executors`: the processes that run workflows, or are ready to. */
export async function executors({ flags }: Invocation): Promise<ExitStatus> {
  const location = locationOf(flags);
  await requireDatabase(location);
  await using engine = await Engine.open(location, { sqlite: sqliteOf(flags) });
  const found = await engine.executors();
  if (flags.has("json")) stdout.write(toJson({ executors: found.map(report) }) + "\n");
  else for (const line of lines(found)) stdout.write(line + "\n");
  return ExitStatus.completed;
}

function report(
  { id, pid, startedAt, state, leaseUntil, running }: ExecutorSummary,
): Record<string, unknown> {
  return { id, pid: pid ?? null, startedAt: startedAt ?? null, state, leaseUntil, running };
}

function lines(found: readonly ExecutorSummary[]): string[] {
  if (found.length === 0) return ["No executors"];
  const colours = palette(stdout.colour);
  const rows = found.map(({ id, pid, startedAt, state, running }) => [
    id,
    pid === undefined ? "" : String(pid),
    state,
    startedAt === undefined ? "" : formatMoment(startedAt),
    String(running),
  ]);
  return table([["EXECUTOR", "PROCESS", "STATE", "SINCE", "RUNS"], ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    if (column !== 2) return cell;
    return cell.startsWith("alive") ? colours.good(cell) : colours.bad(cell);
  });
}
