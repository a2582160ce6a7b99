import type { Explanation, Wait } from "../mod.ts";
import { ExitStatus } from "./exit_status.ts";
import { type Fact, factLines, Text } from "./facts.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printReport } from "./print_report.ts";
import { leavingOut, printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { statusColour } from "./status_colour.ts";

/** How much of a reason is shown: it quotes the error of a workflow. */
const MAX_REASON_LENGTH = 10_000;

/** `why ID`: what a workflow waits for, since when and until when, who holds it, and what would move it on. */
export async function why({ operands: [id], flags }: Invocation): Promise<ExitStatus> {
  await using engine = await openStored(flags);
  const explanation = await engine.why(id!).catch(refuse);
  printReport(flags, { json: report(explanation), lines: () => lines(explanation) });
  return ExitStatus.completed;
}

function report({ id, heldBy, queue, error, ...rest }: Explanation): Record<string, unknown> {
  return { workflowId: id, ...rest, heldBy: heldBy ?? null, queue: queue ?? null, error: error ?? null };
}

function lines({ id, status, since, reason, waitsFor, heldBy, queue, movesOn }: Explanation): string[] {
  const colours = palette(stdout.colour);
  const facts: Fact[] = [
    ["status", status, (text) => `${statusColour(status, colours)(text)} since ${formatMoment(since)}`],
    ["because", new Text(leavingOut(reason, MAX_REASON_LENGTH))],
    ...waitsFor.map((wait): Fact => ["waits for", describe(wait)]),
  ];
  if (heldBy !== undefined) {
    const until = heldBy.leaseUntil === undefined ? "" : `, lease until ${formatMoment(heldBy.leaseUntil)}`;
    facts.push(["held by", `${heldBy.executorId}, ${heldBy.state}${until}`]);
  }
  if (queue?.ahead !== undefined) facts.push(["in queue", `${queue.name}, ${queue.ahead} before it`]);
  else if (queue !== undefined) facts.push(["in queue", queue.name]);
  for (const way of movesOn) facts.push(["moves on", new Text(way)]);
  return [colours.strong(printableCell(id)), ...factLines(facts, colours, 10)];
}

function describe({ kind, name, key, since, until }: Wait): string {
  const what = [kind, name ?? key ?? ""].join(" ").trimEnd();
  const end = until === undefined ? "" : `, until ${formatMoment(until)}`;
  return `${what}, since ${formatMoment(since)}${end}`;
}
