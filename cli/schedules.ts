import type { ScheduleSummary } from "../mod.ts";
import { nextTicks } from "../schedule.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { table } from "./table.ts";

/** How many ticks of a schedule are shown. */
const SHOWN_TICKS = 3;

/** `schedules`: the schedules and their next ticks, after pausing some, resuming others and starting workflows of others. */
export async function schedules({ flags }: Invocation): Promise<ExitStatus> {
  await using engine = await openStored(flags);
  for (const name of flags.get("pause") ?? []) await engine.pauseSchedule(name).catch(refuse);
  for (const name of flags.get("resume") ?? []) await engine.resumeSchedule(name).catch(refuse);
  const started: string[] = [];
  for (const name of flags.get("trigger") ?? []) {
    started.push((await engine.triggerSchedule(name).catch(refuse)).id);
  }
  const found = await engine.schedules();
  if (flags.has("json")) {
    stdout.write(toJson({ schedules: found.map(report), started }) + "\n");
  } else {
    for (const id of started) stdout.write(`"${printableCell(id)}" is pending\n`);
    for (const line of lines(found)) stdout.write(line + "\n");
  }
  return ExitStatus.completed;
}

function report(schedule: ScheduleSummary): Record<string, unknown> {
  return {
    name: schedule.name,
    workflow: schedule.workflow,
    cron: schedule.cron,
    timeZone: schedule.timeZone,
    missed: schedule.missed,
    overlap: schedule.overlap,
    queue: schedule.queue ?? null,
    pausedAt: schedule.pausedAt ?? null,
    nextTicks: ticksOf(schedule),
    lastTickAt: schedule.lastTickAt ?? null,
    lastWorkflowId: schedule.lastWorkflowId ?? null,
  };
}

/** The next ticks, none while it is paused. */
function ticksOf({ cron, timeZone, pausedAt }: ScheduleSummary): Date[] {
  return pausedAt === undefined ? nextTicks(cron, { timeZone, after: new Date(), count: SHOWN_TICKS }) : [];
}

function lines(found: readonly ScheduleSummary[]): string[] {
  if (found.length === 0) return ["No schedules"];
  const colours = palette(stdout.colour);
  const rows = found.map((schedule) => [
    schedule.name,
    schedule.workflow,
    `${schedule.cron}  ${schedule.timeZone}`,
    schedule.pausedAt === undefined
      ? ticksOf(schedule).map(formatMoment).join(", ")
      : `paused since ${formatMoment(schedule.pausedAt)}`,
    schedule.lastWorkflowId,
  ]);
  return table([["SCHEDULE", "WORKFLOW", "TICKS", "NEXT", "LAST WORKFLOW"], ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    return column === 3 && cell.startsWith("paused") ? colours.warning(cell) : cell;
  });
}
