import type { ExecutorSummary } from "../mod.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printReport } from "./print_report.ts";
import { table } from "./table.ts";

/** `executors`: the processes that run workflows, or are ready to. */
export async function executors({ flags }: Invocation): Promise<ExitStatus> {
  await using engine = await openStored(flags);
  const found = await engine.executors();
  printReport(flags, { json: { executors: found.map(report) }, lines: () => lines(found) });
  return ExitStatus.completed;
}

function report(executor: ExecutorSummary): Record<string, unknown> {
  const { id, pid, host, startedAt, state, leaseUntil, running, isWorking, queues, workflows } = executor;
  return {
    id,
    pid: pid ?? null,
    host: host ?? null,
    startedAt: startedAt ?? null,
    state,
    leaseUntil,
    running,
    isWorking,
    queues: queues ?? null,
    workflows: workflows ?? null,
  };
}

function lines(found: readonly ExecutorSummary[]): string[] {
  if (found.length === 0) return ["No executors"];
  const colours = palette(stdout.colour);
  const rows = found.map(({ id, pid, host, state, startedAt, running, isWorking, queues, workflows }) => [
    id,
    host === undefined ? pid : `${pid} on ${host}`,
    state,
    startedAt === undefined ? "" : formatMoment(startedAt),
    running,
    isWorking ? queues?.join(", ") ?? "all" : "",
    workflows?.map(({ name, version }) => version === undefined ? name : `${name} ${version}`).join(", "),
  ]);
  const header = ["EXECUTOR", "PROCESS", "STATE", "SINCE", "RUNS", "WORKS ON", "WORKFLOWS"];
  return table([header, ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    if (column !== 2) return cell;
    return cell.startsWith("alive") ? colours.good(cell) : colours.bad(cell);
  });
}
