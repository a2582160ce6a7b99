import type { StepDetail, WorkflowDetail } from "../mod.ts";
import { describeError, describeErrorInFull } from "./describe_error.ts";
import { locationOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatDuration, formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_stored.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { toJson } from "./plain_json.ts";
import { printReport } from "./print_report.ts";
import { printableLine } from "./printable.ts";
import { statusColour } from "./status_colour.ts";
import { durationOf } from "./step_record.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage_error.ts";
import { waysOut } from "./ways_out.ts";

/** The longest result of a step that is shown to people. */
const EXCERPT_LENGTH = 60;

/** `show ID`: a workflow with its steps, and what can be done with it. */
export async function show({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const location = locationOf(flags);
  await using engine = await openStored(flags);
  const detail = await engine.get(id);
  if (detail === undefined) {
    throw new UsageError(
      `There is no workflow with the id "${printableLine(id)}" in "${printableLine(location)}"`,
    );
  }
  const ways = waysOut(detail, { location, modules: [] });
  printReport(flags, { json: report(detail, ways), lines: () => lines(detail, ways) });
  return ExitStatus.completed;
}

function report(detail: WorkflowDetail, ways: readonly string[]): Record<string, unknown> {
  const { id, workflow, status, createdAt, updatedAt, completedAt, dueAt, runId, recoveries } = detail;
  const { input, output, error } = detail;
  return {
    workflowId: id,
    workflow,
    version: detail.version ?? null,
    forkedFrom: detail.forkedFrom ?? null,
    status,
    createdAt,
    updatedAt,
    completedAt: completedAt ?? null,
    dueAt: dueAt ?? null,
    queue: detail.queue ?? null,
    partition: detail.partition ?? null,
    runId: runId ?? null,
    recoveries,
    input: input ?? null,
    output: output ?? null,
    error: error ?? null,
    waysOut: ways,
    steps: detail.steps.map((step) => ({
      key: step.key,
      kind: step.kind,
      status: step.status,
      attempt: step.attempt,
      runId: step.runId,
      startedAt: step.startedAt,
      completedAt: step.completedAt ?? null,
      nextAttemptAt: step.nextAttemptAt ?? null,
      durationMs: durationOf(step),
      output: step.output ?? null,
      error: step.error ?? null,
    })),
  };
}

function lines(detail: WorkflowDetail, ways: readonly string[]): string[] {
  const colours = palette(stdout.colour);
  const { status, completedAt, runId, recoveries, input, output, error } = detail;
  const facts: [string, string][] = [
    ["workflow", printableLine(detail.workflow)],
    ...detail.version === undefined ? [] : [["version", printableLine(detail.version)] as [string, string]],
    ["status", statusColour(status, colours)(status)],
    ["created", formatMoment(detail.createdAt)],
    ["updated", formatMoment(detail.updatedAt)],
  ];
  if (detail.queue !== undefined) facts.push(["queue", printableLine(queueOf(detail))]);
  if (detail.forkedFrom !== undefined) facts.push(["fork of", printableLine(detail.forkedFrom)]);
  if (completedAt !== undefined) facts.push(["ended", formatMoment(completedAt)]);
  if (status === "waiting") facts.push(["waits", waitsFor(detail)]);
  if (runId !== undefined) facts.push(["run", printableLine(runId)]);
  if (recoveries > 0) facts.push(["recovered", `${recoveries} ${recoveries === 1 ? "time" : "times"}`]);
  if (input !== undefined) facts.push(["input", toJson(input)]);
  if (status === "completed") facts.push(["output", toJson(output)]);
  if (error !== undefined) {
    facts.push(["error", describeErrorInFull(error).replaceAll("\n", "\n             ")]);
  }
  return [
    colours.strong(printableLine(detail.id)),
    ...facts.map(([name, value]) => `  ${colours.faint(name.padEnd(9))}  ${value}`),
    ...ways.map((way) => `  ${colours.faint("way out".padEnd(9))}  ${way}`),
    "",
    ...stepLines(detail.steps),
  ];
}

function queueOf({ queue, partition }: WorkflowDetail): string {
  return partition === undefined ? queue! : `${queue}, partition ${partition}`;
}

/** What a workflow waits for, and until when. */
function waitsFor({ steps, dueAt, runId }: WorkflowDetail): string {
  if (runId === undefined && dueAt !== undefined) return `to begin, until ${formatMoment(dueAt)}`;
  const running = steps.filter(({ status }) => status === "running");
  const what = running.map(({ key, topic }) => printableLine(topic ?? key)).join(", ");
  return `for ${what}${dueAt === undefined ? "" : `, until ${formatMoment(dueAt)}`}`;
}

function stepLines(steps: readonly StepDetail[]): string[] {
  if (steps.length === 0) return ["No steps"];
  const colours = palette(stdout.colour);
  const rows = steps.map((step) => {
    const ms = durationOf(step);
    return [
      printableLine(step.key),
      step.status,
      String(step.attempt),
      ms === null ? "" : formatDuration(ms),
      formatMoment(step.startedAt),
      resultOf(step),
    ];
  });
  return table([["STEP", "STATUS", "ATTEMPT", "TIME", "STARTED", "RESULT"], ...rows], (cell, row, column) => {
    if (row === 0) return colours.faint(cell);
    return column === 1 ? statusColour(cell.trim(), colours)(cell) : cell;
  });
}

/** What a step gave, or why it did not, or when it is tried again. */
function resultOf(step: StepDetail): string {
  if (step.error !== undefined) {
    const next = step.nextAttemptAt === undefined
      ? ""
      : `, the next attempt at ${formatMoment(step.nextAttemptAt)}`;
    return describeError(step.error) + next;
  }
  if (step.nextAttemptAt !== undefined) return `until ${formatMoment(step.nextAttemptAt)}`;
  if (step.status !== "completed") return "";
  const json = toJson(step.output);
  return json.length <= EXCERPT_LENGTH ? json : json.slice(0, EXCERPT_LENGTH - 1) + "…";
}
