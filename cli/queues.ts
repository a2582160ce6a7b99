import type { QueueSummary } from "../mod.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatDuration, formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printReport } from "./print_report.ts";
import { refuse } from "./refuse.ts";
import { table } from "./table.ts";

/** `queues`: the queues with their limits, after pausing some and resuming others. */
export async function queues({ flags }: Invocation): Promise<ExitStatus> {
  await using engine = await openStored(flags);
  for (const name of flags.get("pause") ?? []) await engine.pauseQueue(name).catch(refuse);
  for (const name of flags.get("resume") ?? []) await engine.resumeQueue(name).catch(refuse);
  const found = await engine.queues();
  printReport(flags, { json: { queues: found.map(report) }, lines: () => lines(found) });
  return ExitStatus.completed;
}

function report(queue: QueueSummary): Record<string, unknown> {
  return {
    name: queue.name,
    depth: queue.depth,
    underWay: queue.underWay,
    pausedAt: queue.pausedAt ?? null,
    concurrency: queue.concurrency ?? null,
    executorConcurrency: queue.executorConcurrency ?? null,
    partitionConcurrency: queue.partitionConcurrency ?? null,
    rate: queue.rate ?? null,
    maxDepth: queue.maxDepth,
    ageingMs: queue.ageingMs,
  };
}

function lines(found: readonly QueueSummary[]): string[] {
  if (found.length === 0) return ["No queues"];
  const colours = palette(stdout.colour);
  const rows = found.map((queue) => [
    queue.name,
    queue.depth,
    queue.underWay,
    limits(queue),
    queue.pausedAt === undefined ? "" : `paused since ${formatMoment(queue.pausedAt)}`,
  ]);
  return table([["QUEUE", "WAITING", "UNDER WAY", "LIMITS", ""], ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    return column === 4 ? colours.warning(cell) : cell;
  });
}

function limits(
  { concurrency, executorConcurrency, partitionConcurrency, rate, maxDepth }: QueueSummary,
): string {
  return [
    ...concurrency === undefined ? [] : [`${concurrency} in all`],
    ...executorConcurrency === undefined ? [] : [`${executorConcurrency} a process`],
    ...partitionConcurrency === undefined ? [] : [`${partitionConcurrency} a partition`],
    ...rate === undefined ? [] : [`${rate.limit} in ${formatDuration(rate.periodMs)}`],
    `${maxDepth} waiting`,
  ].join(", ");
}
