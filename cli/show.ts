import type { Engine, StepDetail, WorkflowDetail } from "../mod.ts";
import { parseCount } from "./count_flag.ts";
import { describeError, describeErrorInFull } from "./describe_error.ts";
import { locationOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatDuration, formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { type Fact, factLines, Text } from "./facts.ts";
import { Budgeted, BUDGETS, toJson } from "./plain_json.ts";
import { printReport } from "./print_report.ts";
import { printableCell, shortened } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { statusColour } from "./status_colour.ts";
import { durationOf } from "./step_record.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage_error.ts";
import { waysOut } from "./ways_out.ts";

/** The longest result of a step that is shown to people. */
const EXCERPT_LENGTH = 60;
/** How many of the things that a workflow waits for are shown to people. */
const MAX_WAITS = 20;

/** `show ID`: a workflow with its steps, and what can be done with it. */
export async function show({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const location = locationOf(flags);
  await using engine = await openStored(flags);
  const detail = await engine.get(id).catch(refuse);
  if (detail === undefined) {
    throw new UsageError(
      `There is no workflow with the id "${printableCell(id)}" in "${printableCell(location)}"`,
    );
  }
  const ways = waysOut(detail, { location, modules: [] });
  const shown = await findSteps(engine, detail, {
    limit: parseCount("limit", flags.get("limit")?.[0]),
    after: flags.get("after")?.[0],
  });
  printReport(flags, { json: report(detail, shown, ways), lines: () => lines(detail, shown, ways) });
  return ExitStatus.completed;
}

/** The steps that are shown. */
interface ShownSteps {
  readonly steps: readonly StepDetail[];
  /** The others, if there are any: where they begin, and how many there are, where that is known. */
  readonly more?: { readonly after: string; readonly count?: number };
}

/** How many steps are asked for at a time, at most. */
const PAGE = 1_000;

/** The first steps of a workflow; or so many, or those after a place. */
async function findSteps(
  engine: Engine,
  { id, steps, moreSteps }: WorkflowDetail,
  { limit, after }: { limit: number | undefined; after: string | undefined },
): Promise<ShownSteps> {
  if (limit === undefined && after === undefined) return { steps, more: moreSteps };
  const found: StepDetail[] = [];
  let from = after;
  do {
    const left = limit === undefined ? PAGE : limit - found.length;
    const page = await askForSteps(engine, id, { after: from, limit: Math.min(PAGE, left) });
    found.push(...page.steps);
    from = page.next;
  } while (from !== undefined && limit !== undefined && found.length < limit);
  return { steps: found, ...from !== undefined && { more: { after: from } } };
}

async function askForSteps(engine: Engine, id: string, page: { after: string | undefined; limit: number }) {
  try {
    return await engine.steps(id, page);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    throw new UsageError(
      `--after wants a place among the steps, as show gives it, found "${printableCell(page.after!)}"`,
    );
  }
}

function report(
  detail: WorkflowDetail,
  { steps, more }: ShownSteps,
  ways: readonly string[],
): Record<string, unknown> {
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
    input: new Budgeted(input ?? null),
    output: new Budgeted(output ?? null),
    error: new Budgeted(error ?? null),
    waysOut: ways,
    steps: steps.map((step) => ({
      key: step.key,
      kind: step.kind,
      status: step.status,
      attempt: step.attempt,
      runId: step.runId,
      startedAt: step.startedAt,
      completedAt: step.completedAt ?? null,
      nextAttemptAt: step.nextAttemptAt ?? null,
      durationMs: durationOf(step),
      output: new Budgeted(step.output ?? null),
      error: new Budgeted(step.error ?? null),
    })),
    moreSteps: more ?? null,
  };
}

function lines(detail: WorkflowDetail, { steps, more }: ShownSteps, ways: readonly string[]): string[] {
  const colours = palette(stdout.colour);
  const { status, completedAt, runId, recoveries, input, output, error } = detail;
  const facts: Fact[] = [["workflow", detail.workflow]];
  if (detail.version !== undefined) facts.push(["version", detail.version]);
  facts.push(["status", status, statusColour(status, colours)]);
  facts.push(["created", formatMoment(detail.createdAt)], ["updated", formatMoment(detail.updatedAt)]);
  if (detail.queue !== undefined) facts.push(["queue", queueOf(detail)]);
  if (detail.forkedFrom !== undefined) facts.push(["fork of", detail.forkedFrom]);
  if (completedAt !== undefined) facts.push(["ended", formatMoment(completedAt)]);
  if (status === "waiting") facts.push(["waits", new Text(waitsFor(detail))]);
  if (runId !== undefined) facts.push(["run", runId]);
  if (recoveries > 0) facts.push(["recovered", `${recoveries} ${recoveries === 1 ? "time" : "times"}`]);
  if (input !== undefined) facts.push(["input", new Text(toJson(input, BUDGETS.people))]);
  if (status === "completed") facts.push(["output", new Text(toJson(output, BUDGETS.people))]);
  if (error !== undefined) facts.push(["error", new Text(describeErrorInFull(error))]);
  for (const way of ways) facts.push(["way out", new Text(way)]);
  return [
    colours.strong(printableCell(detail.id)),
    ...factLines(facts, colours),
    "",
    ...stepLines(steps),
    ...more === undefined ? [] : [moreLine(more)],
  ];
}

function moreLine({ after, count }: { after: string; count?: number }): string {
  const many = count === undefined
    ? "There are more steps"
    : `${count} more ${count === 1 ? "step" : "steps"}`;
  return `${many}; --after '${printableCell(after)}' shows them`;
}

function queueOf({ queue, partition }: WorkflowDetail): string {
  return partition === undefined ? queue! : `${queue}, partition ${partition}`;
}

/** What a workflow waits for, and until when. */
function waitsFor({ steps, dueAt, runId }: WorkflowDetail): string {
  if (runId === undefined && dueAt !== undefined) return `to begin, until ${formatMoment(dueAt)}`;
  const running = steps.filter(({ status }) => status === "running");
  const shown = running.slice(0, MAX_WAITS).map(({ key, topic }) => printableCell(topic ?? key));
  const more = running.length - shown.length;
  const what = [...shown, ...more > 0 ? [`${more} more`] : []].join(", ");
  return `for ${what}${dueAt === undefined ? "" : `, until ${formatMoment(dueAt)}`}`;
}

function stepLines(steps: readonly StepDetail[]): string[] {
  if (steps.length === 0) return ["No steps"];
  const colours = palette(stdout.colour);
  const rows = steps.map((step) => {
    const ms = durationOf(step);
    return [
      step.key,
      step.status,
      step.attempt,
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
  return shortened(toJson(step.output, BUDGETS.line), EXCERPT_LENGTH);
}
