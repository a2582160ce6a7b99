import { checkReplay, type ReplayCheck, type ReplayVerdict } from "../mod.ts";
import { availableWorkflows } from "./available_workflows.ts";
import { checkDatabase, isFile } from "./database.ts";
import { describeErrorInFull } from "./describe_error.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { stdout } from "./output.ts";
import { type Palette, palette } from "./paint.ts";
import { Budgeted, toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** How many workflows that do not replay are in the report of `--json`. */
const MAX_REPORTED = 10_000;

/** `check`: which workflows that have not ended the code of these modules could not go on with; status 1 if any. */
export async function check({ flags }: Invocation): Promise<ExitStatus> {
  const location = locationOf(flags);
  if (!isFile(location)) {
    throw new UsageError(`check wants a database file, found "${printableCell(location)}"`);
  }
  await checkDatabase(location, { isThere: true });
  const workflows = await availableWorkflows(location, flags.get("module") ?? []);
  const counts: Record<ReplayVerdict, number> = {
    replays: 0,
    diverges: 0,
    stuck: 0,
    unknown: 0,
    unreadable: 0,
  };
  const colours = palette(stdout.colour);
  const json = flags.has("json");
  const reported: ReplayCheck[] = [];
  for await (const each of checkReplay(location, { workflows, sqlite: sqliteOf(flags) })) {
    counts[each.verdict]++;
    if (each.verdict === "replays") continue;
    if (!json) stdout.write(describe(each, colours) + "\n");
    else if (reported.length < MAX_REPORTED) reported.push(each);
  }
  const checked = Object.values(counts).reduce((sum, count) => sum + count);
  if (json) stdout.write(toJson({ checked, ...counts, workflows: reported.map(report) }) + "\n");
  else stdout.write(summary(checked, counts, colours) + "\n");
  return counts.replays === checked ? ExitStatus.completed : ExitStatus.failed;
}

function report({ id, workflow, version, status, verdict, replayed, error }: ReplayCheck): unknown {
  const stored = error !== undefined && "stored" in error ? error.stored : undefined;
  const asked = error !== undefined && "asked" in error ? error.asked : undefined;
  return {
    workflowId: id,
    workflow,
    version: version ?? null,
    status,
    verdict,
    replayed,
    error: new Budgeted(error ?? null),
    stored: new Budgeted(stored ?? null),
    asked: new Budgeted(asked ?? null),
  };
}

const MEANING: Record<ReplayVerdict, string> = {
  replays: "goes on",
  diverges: "diverges",
  stuck: "is stuck",
  unknown: "is not known here",
  unreadable: "cannot be read",
};

function describe(
  { id, workflow, version, status, verdict, replayed, error }: ReplayCheck,
  colours: Palette,
): string {
  const what = version === undefined ? workflow : `${workflow}, version ${version}`;
  const head = `${colours.strong(printableCell(id))} (${printableCell(what)}; ${printableCell(status)}) ${
    colours.bad(MEANING[verdict])
  }`;
  const reason = error === undefined
    ? `The code did not ask for what is stored after ${replayed} outcomes`
    : describeErrorInFull(error);
  return [head, ...reason.split("\n")].join("\n  ");
}

function summary(checked: number, counts: Record<ReplayVerdict, number>, colours: Palette): string {
  if (checked === 0) return "No workflow is under way";
  const { replays, unknown, unreadable } = counts;
  const bad = counts.diverges + counts.stuck;
  const parts = [`${replays} of ${checked} unfinished ${checked === 1 ? "workflow" : "workflows"} can go on`];
  if (bad > 0) parts.push(colours.bad(`${bad} cannot`));
  if (unknown > 0) {
    parts.push(colours.bad(`${unknown} of a name or version that is not loaded (--module FILE)`));
  }
  if (unreadable > 0) parts.push(colours.bad(`${unreadable} not readable`));
  return parts.join(", ");
}
