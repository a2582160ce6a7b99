/**
 * Errors that nothing waits for: of a promise that a workflow's code has left alone, or of a timer. Deno ends a process with the
 * first; a process that works on many workflows logs them and goes on.
 *
 * @module
 */
import { describeErrorInFull } from "./describe_error.ts";
import { workflowNamesIn } from "./loaded_modules.ts";
import { stderr } from "./output.ts";
import { Budgeted, BUDGETS, toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import type { RunningWorkflow, RunningWorkflows } from "./running_workflows.ts";

/** Such an error, and whose it may be. */
export interface StrayError {
  readonly error: unknown;
  /** The workflow whose code it is of, where that can be told; otherwise those it may be of. */
  readonly workflows: readonly RunningWorkflow[];
}

type Tell = (error: unknown) => void;

/** How many workflows are named. */
const MAX_NAMED = 5;

let tell: Tell = tellPeople;

function tellPeople(error: unknown): void {
  stderr.write(`Nothing waits for this error: ${describeErrorInFull(error)}\n`);
}

/** Has such errors told, and not end the process, until it is disposed of. */
export function catchStrayErrors(): Disposable {
  const onError = (event: ErrorEvent) => {
    event.preventDefault();
    tell(event.error);
  };
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    tell(event.reason);
  };
  addEventListener("error", onError);
  addEventListener("unhandledrejection", onRejection);
  return {
    [Symbol.dispose]() {
      removeEventListener("error", onError);
      removeEventListener("unhandledrejection", onRejection);
    },
  };
}

/** Has them told in another way, with whose they are, until it is disposed of. */
export function tellStrayErrors(running: RunningWorkflows, say: (stray: StrayError) => void): Disposable {
  const before = tell;
  tell = (error) => say({ error, workflows: ownersOf(error, running) });
  return {
    [Symbol.dispose]() {
      tell = before;
    },
  };
}

/**
 * Whose an error may be. The modules in its stack tell of which workflows; and of those, it is one that runs. Where there is no
 * such module in it, it may be of any that runs.
 */
function ownersOf(error: unknown, running: RunningWorkflows): RunningWorkflow[] {
  const names = workflowNamesIn(stackOf(error));
  return running.of(names.size === 0 ? undefined : names);
}

function stackOf(error: unknown): string {
  try {
    const { stack } = error as Error;
    return typeof stack === "string" ? stack : "";
  } catch {
    return "";
  }
}

/** For people, in one line or more. */
export function describeStray({ error, workflows }: StrayError): string {
  return `Nothing waits for this error${whose(workflows)}: ${describeErrorInFull(error)}`;
}

function whose(workflows: readonly RunningWorkflow[]): string {
  if (workflows.length === 0) return "";
  const named = workflows.slice(0, MAX_NAMED)
    .map(({ workflow, workflowId }) => `${printableCell(workflow)} "${printableCell(workflowId)}"`);
  const more = workflows.length - named.length;
  const all = [...named, ...more > 0 ? [`${more} more`] : []].join(", ");
  return workflows.length === 1 ? ` of ${all}` : `, of one of ${all}`;
}

/** For programs: one line. */
export function strayAsJson({ error, workflows }: StrayError): string {
  const named = workflows.slice(0, MAX_NAMED);
  return toJson(
    { type: "uncaught", at: new Date(), workflows: named, error: new Budgeted(error) },
    BUDGETS.event,
  );
}
