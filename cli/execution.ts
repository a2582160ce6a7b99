import {
  type Engine,
  EngineClosedError,
  type EngineEvent,
  type Handle,
  type Workflow,
  type WorkflowDetail,
  type WorkflowStatus,
} from "../mod.ts";
import { Crash } from "./crash.ts";
import { type Ending, endingKind, exitStatusOf } from "./ending.ts";
import { endingLines } from "./ending_lines.ts";
import type { ExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import { onInterrupt } from "./interrupt.ts";
import { openEngine } from "./open_engine.ts";
import { stderr, stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printableCell } from "./printable.ts";
import { Progress } from "./progress.ts";
import { refuse } from "./refuse.ts";
import { reportOf } from "./report.ts";
import { RunningWorkflows } from "./running_workflows.ts";
import { StepRecord } from "./step_record.ts";
import { describeStray, tellStrayErrors } from "./stray_errors.ts";
import { UsageError } from "./usage_error.ts";

/** What is executed. */
export interface Execution {
  readonly flags: ExecutionFlags;
  readonly workflows: Workflow[];
  /** The workflow's id, where it is known beforehand. */
  readonly id?: string;
  /** The workflow's name, where it is known beforehand. */
  readonly workflow?: string;
  /** Starts, resumes or retries it. */
  readonly begin: (engine: Engine) => Promise<Handle<unknown>>;
}

/**
 * Executes a workflow to its end, shows people how it goes and how it ended, and reports it with `--json`. People read
 * the standard output, or the standard error where the report takes that.
 *
 * @throws {UsageError} if it cannot be begun in the way that was asked for
 */
export async function execute(execution: Execution): Promise<ExitStatus> {
  const { flags } = execution;
  const people = flags.json ? stderr : stdout;
  const progress = new Progress(people);
  const record = new StepRecord();
  const crash = flags.crashPoint && new Crash(flags.crashPoint, (point) => {
    progress.stop();
    stderr.write(`Killing this process at crash point "${printableCell(point.text)}"\n`);
  });

  const running = new RunningWorkflows();
  using _strays = tellStrayErrors(running, (stray) => progress.say(describeStray(stray)));
  const ending = await runToEnd(execution, progress, (event) => {
    running.observe(event);
    record.observe(event);
    progress.observe(event);
    crash?.observe(event);
  });

  const colours = palette(people.colour);
  const steps = record.steps(ending.id);
  for (const line of endingLines(ending, steps, { whereabouts: flags, colours })) people.write(line + "\n");
  if (crash !== undefined) stderr.write(crash.notReached() + "\n");
  if (flags.json) stdout.write(reportOf(ending, execution.workflow, record) + "\n");
  return exitStatusOf(ending);
}

/** Runs it until it ends or a signal stops it. */
async function runToEnd(
  execution: Execution,
  progress: Progress,
  onEvent: (event: EngineEvent) => void,
): Promise<Ending> {
  const startedAt = performance.now();
  const { flags, workflows } = execution;
  await using engine = await openEngine(flags.location, { ...flags.engine, workflows, onEvent });
  using _signals = onInterrupt(() => {
    progress.say("Stopping at the next checkpoint; a second signal stops at once");
    engine.close().catch(() => {}); // closed again at the end, where its error counts
  });
  using _drawing = { [Symbol.dispose]: () => progress.stop() };

  const { id, output, error } = await outcome(engine, execution, (reason) => progress.say(reason));
  const detail = error instanceof EngineClosedError
    ? await storedDetail(flags, id)
    : await engine.get(id).catch(() => undefined); // the outcome is what counts, and is known
  const kind = error === undefined ? "completed" : endingKind(error, detail);
  return { kind, id, output, error, detail, elapsedMs: performance.now() - startedAt };
}

/** What becomes of it: an output, or an error. */
async function outcome(
  engine: Engine,
  execution: Execution,
  say: (reason: string) => void,
): Promise<{ id: string; output?: unknown; error?: unknown }> {
  let id = execution.id;
  try {
    const handle = await execution.begin(engine).catch(refuse);
    id = handle.id;
    if (isInLine(await handle.status())) say((await engine.why(id)).reason);
    return { id, output: await handle.result() };
  } catch (error) {
    if (error instanceof UsageError || id === undefined) throw error;
    return { id, error: error ?? new Error(String(error)) };
  }
}

/** Whether a workflow that was begun just now may wait in a queue. */
function isInLine(status: WorkflowStatus): boolean {
  return status === "pending" || status === "waiting";
}

/** What is stored of a workflow whose engine is closed, if that can be read. */
async function storedDetail(flags: ExecutionFlags, id: string): Promise<WorkflowDetail | undefined> {
  if (flags.location === ":memory:") return undefined;
  try {
    await using engine = await openEngine(flags.location, flags.engine);
    return await engine.get(id);
  } catch {
    return undefined; // the workflow was stopped all the same
  }
}
