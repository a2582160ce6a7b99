import type { EngineEvent } from "../mod.ts";
import { describeError } from "./describe_error.ts";
import { formatDuration, formatMoment } from "./format_time.ts";
import { logText } from "./log_text.ts";
import type { Output } from "./output.ts";
import { type Paint, type Palette, palette } from "./paint.ts";
import { BUDGETS, toJson } from "./plain_json.ts";
import { printableLine, shortened } from "./printable.ts";
import { describeStray, strayAsJson, type StrayError } from "./stray_errors.ts";

/** How a workflow's time here ends. */
const ENDS = ["completed", "failed", "cancelled", "blocked", "waiting", "suspended"] as const;

/** How many workflows came to each end, by its name. */
export type Ends = Record<typeof ENDS[number], number>;

/**
 * Tells what a process does that works on many workflows: a line an event, as an object with `--json`. What single
 * steps do is left out, but for failures.
 *
 * Owns: when each workflow was taken up, and how many came to which end.
 */
export class WorkerLog {
  readonly ends = Object.fromEntries(ENDS.map((end) => [end, 0])) as Ends;
  readonly #begun = new Map<string, number>();
  readonly #colours: Palette;

  constructor(private readonly output: Output, private readonly json: boolean) {
    this.#colours = palette(output.colour);
  }

  observe(event: EngineEvent): void {
    const { type, workflowId = "" } = event;
    if (type === "started") this.#begun.set(workflowId, performance.now());
    if (isEnd(type)) this.ends[type]++;
    const line = this.json ? asJson(event) : this.#line(event);
    if (line !== undefined) this.output.write(line + "\n");
    if (isEnd(type)) this.#begun.delete(workflowId);
  }

  /** Tells of an error that nothing waits for. */
  stray(stray: StrayError): void {
    this.output.write((this.json ? strayAsJson(stray) : this.#strayLine(stray)) + "\n");
  }

  #strayLine(stray: StrayError): string {
    const { faint, bad } = this.#colours;
    const what = bad("uncaught".padEnd(11));
    return `${faint(formatMoment(new Date()))}  ${what}  ${
      printableLine(shortened(describeStray(stray), 1_000))
    }`;
  }

  #line(event: EngineEvent): string | undefined {
    const { good, bad, warning, busy, faint } = this.#colours;
    switch (event.type) {
      case "started":
        return this.#say(busy, event, event.recovered ? "its last run is gone" : "");
      case "completed":
        return this.#say(good, event, this.#time(event));
      case "waiting":
        return this.#say(faint, event, `until ${event.until ? formatMoment(event.until) : "a message"}`);
      case "cancelled":
        return this.#say(warning, event, this.#time(event));
      case "suspended":
        return this.#say(warning, event, describeError(event.error));
      case "failed":
      case "blocked":
        return this.#say(bad, event, describeError(event.error));
      case "stepFailed":
        return this.#say(bad, event, `${event.key}  ${describeError(event.error)}`);
      case "stepRetried":
        return this.#say(
          warning,
          event,
          `${event.key}  attempt ${event.attempt} of ${event.maxAttempts}  ${describeError(event.error)}`,
        );
      case "stepAbandoned":
        return this.#say(warning, event, `${event.key}  its workflow ended before it did`);
      case "contextMisused":
        return this.#say(warning, event, describeError(event.error));
      case "log":
        return this.#say(faint, event, logText(event));
      case "storageFailed":
        return this.#say(bad, event, `cannot ${event.doing}: ${describeError(event.error)}`);
      case "storageRecovered":
        return this.#say(
          good,
          event,
          `can ${event.doing} again, for the first time since ${formatMoment(event.since)}`,
        );
      case "codeMissing":
        return this.#say(warning, event, `${event.version ?? ""}  waits, and no process has its code`);
      case "overlooked":
        return this.#say(
          warning,
          event,
          `${event.workflowIds.length} workflows, which are run now: please report this`,
        );
    }
    return undefined;
  }

  #say(paint: Paint, event: EngineEvent, detail: string): string {
    const what = event.type === "log" ? event.level : WORDS[event.type] ?? event.type;
    const { workflowId, workflow, at } = event;
    const parts = [workflow, workflowId, detail].filter((part) => part !== undefined);
    return `${this.#colours.faint(formatMoment(at))}  ${paint(what.padEnd(11))}  ` +
      printableLine(parts.join("  ")).trimEnd();
  }

  #time({ workflowId = "" }: EngineEvent): string {
    const begun = this.#begun.get(workflowId);
    return begun === undefined ? "" : formatDuration(performance.now() - begun);
  }
}

/** What an event is called where its type is no word. */
const WORDS: Partial<Record<EngineEvent["type"], string>> = {
  stepFailed: "step failed",
  stepRetried: "retrying",
  suspended: "stopped",
  stepAbandoned: "abandoned",
  contextMisused: "misused",
  storageFailed: "no storage",
  storageRecovered: "storage",
  codeMissing: "no code",
};

function isEnd(type: string): type is keyof Ends {
  return (ENDS as readonly string[]).includes(type);
}

/** What `--json` prints of an event; nothing of steps that go well. */
function asJson(event: EngineEvent): string | undefined {
  const { type } = event;
  if (type === "replayed" || type === "stepStarted" || type === "stepReturned" || type === "stepCompleted") {
    return undefined;
  }
  return toJson(event, BUDGETS.event);
}
