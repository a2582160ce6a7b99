import type { Explanation, Wait } from "../mod.ts";
import { ExitStatus } from "./exit_status.ts";
import { formatMoment } from "./format_time.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_stored.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printReport } from "./print_report.ts";
import { printableLine, printableText } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { statusColour } from "./status_colour.ts";

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
  const facts: [string, string][] = [
    ["status", `${statusColour(status, colours)(status)} since ${formatMoment(since)}`],
    ["because", printableText(reason).replaceAll("\n", "\n              ")],
    ...waitsFor.map((wait): [string, string] => ["waits for", printableLine(describe(wait))]),
  ];
  if (heldBy !== undefined) {
    const until = heldBy.leaseUntil === undefined ? "" : `, lease until ${formatMoment(heldBy.leaseUntil)}`;
    facts.push(["held by", `${heldBy.executorId}, ${heldBy.state}${until}`]);
  }
  if (queue?.ahead !== undefined) {
    facts.push(["in queue", printableLine(`${queue.name}, ${queue.ahead} before it`)]);
  } else if (queue !== undefined) {
    facts.push(["in queue", printableLine(queue.name)]);
  }
  for (const way of movesOn) facts.push(["moves on", printableLine(way)]);
  return [
    colours.strong(printableLine(id)),
    ...facts.map(([name, value]) => `  ${colours.faint(name.padEnd(10))}  ${value}`),
  ];
}

function describe({ kind, name, key, since, until }: Wait): string {
  const what = [kind, name ?? key ?? ""].join(" ").trimEnd();
  const end = until === undefined ? "" : `, until ${formatMoment(until)}`;
  return `${what}, since ${formatMoment(since)}${end}`;
}
