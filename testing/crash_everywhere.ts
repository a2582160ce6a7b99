import { isWorkflow } from "../engine/define_workflow.ts";
import type { Engine } from "../engine/engine.ts";
import { type Duration, durationMs } from "../engine/duration.ts";
import { LimitExceededError, StepwellError, WorkflowStateError } from "../engine/errors.ts";
import { checkOptions, optionNames } from "../engine/known_options.ts";
import { found } from "../engine/quote.ts";
import { encodeValue, isSameValue } from "../engine/serialize.ts";
import { hasEnded, type WorkflowRecord } from "../engine/store/records.ts";
import type { StoredError } from "../engine/stored_error.ts";
import type { Workflow } from "../engine/workflow.ts";
import {
  type CrashDifference,
  type CrashPoint,
  type CrashReport,
  crashReport,
  describeEnding,
  describePoint,
  type RepeatedStep,
  shown,
  type WorkflowEnding,
} from "./crash_report.ts";
import type { Fault } from "./faults.ts";
import type { Life } from "./life.ts";
import type { StepCall } from "./step_calls.ts";
import { World, WORLD_OPTIONS, type WorldOptions } from "./world.ts";

/** How {@linkcode crashEverywhere} runs a workflow. */
export interface CrashEverywhereOptions<I> extends WorldOptions {
  /** The workflow's id. Its name and `-1` by default. */
  id?: string;
  /** What its function is given. */
  input?: I;
  /** Called before each run: it puts the world outside back to how it was at first, and makes tables, say, in the new one. */
  prepare?: (engine: Engine) => void | Promise<void>;
  /**
   * Called in each life, once the workflow is started or resumed: it sends signals, say. It is called again after a crash, in
   * which all that it waits for is lost. So what it sends should have an idempotency key.
   */
  drive?: (engine: Engine, id: string) => void | Promise<void>;
  /** Called after each run: what it returns of the world outside, or of tables, must be the same as without a crash. */
  observe?: (engine: Engine) => unknown;
  /** How many points there may be, before it is given up. 1,000 by default. */
  maxPoints?: number;
  /** How long a run may take, in real time, before it is taken for one that does not end. `"10s"` by default. */
  timeout?: Duration;
}

const OPTIONS = optionNames<CrashEverywhereOptions<unknown>>({
  ...WORLD_OPTIONS,
  id: true,
  input: true,
  prepare: true,
  drive: true,
  observe: true,
  maxPoints: true,
  timeout: true,
});

/** How many runs may fail to end before no further point is tried: each takes its full time. */
const MAX_HANGS = 3;

/**
 * Loses a workflow's process wherever it can be lost, and has it resumed each time: before and after each commit, and
 * before and after the function of each step. Whatever the point, the workflow must come to the same end as without a crash.
 *
 * It runs once, and once more, for reference; then once for each point, each time in a new world of its own.
 *
 * @param options `observe` has more compared than the end: what the steps have done outside
 * @returns what differs, and which steps ran more than once
 * @throws {LimitExceededError} if there are more than `maxPoints`
 * @throws {TypeError | RangeError} if an option is not as {@linkcode CrashEverywhereOptions} says
 * @throws what `prepare`, `drive` and `observe` throw; an error of the workflow is a part of its end
 *
 * @example
 * ```ts
 * import { workflow } from "@stepwell/stepwell";
 * import { crashEverywhere } from "@stepwell/stepwell/testing";
 * import { assertEquals } from "@std/assert";
 *
 * let mails = 0;
 * const welcome = workflow("welcome", async (ctx) => {
 *   await ctx.step("mail", () => void mails++); // Whoever sends it again sends a second one.
 * });
 *
 * const report = await crashEverywhere(welcome, { prepare: () => void (mails = 0), observe: () => mails });
 * assertEquals(report.differences[0]?.wanted, "1");
 * assertEquals(report.differences[0]?.found, "2");
 * assertEquals(report.repeated.map(({ key }) => key), ["mail#000001"]);
 * ```
 */
export async function crashEverywhere<I, O>(
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  workflow: Workflow<I, O, any>,
  options: CrashEverywhereOptions<I> = {},
): Promise<CrashReport> {
  if (!isWorkflow(workflow)) throw new TypeError("Cannot crash a workflow: wanted what workflow() returns");
  checkOptions(options, OPTIONS, "crash workflow", workflow.name);
  const { maxPoints = 1_000, timeout = "10s" } = options;
  if (!(Number.isSafeInteger(maxPoints) && maxPoints >= 1)) {
    throw new RangeError(
      `Cannot crash a workflow: wanted maxPoints to be an integer from 1, found ${found(maxPoints)}`,
    );
  }
  const timeoutMs = durationMs(timeout, "timeout of a run");
  const lose = (point: CrashPoint) => runOnce(workflow, { ...options, timeoutMs }, point);
  const reference = await lose({ at: "nowhere" });
  const { ending } = reference;
  if (ending === undefined) throw new StepwellError(hangMessage(workflow.name, timeoutMs));
  const points = pointsOf(reference);
  if (points.length > maxPoints) {
    throw new LimitExceededError("maxPoints", maxPoints, `crash workflow "${workflow.name}" everywhere`);
  }
  const differences: CrashDifference[] = [];
  const runs: LostRun[] = [];
  let hangs = 0;
  for (const point of [{ at: "nowhere" } as const, ...points]) {
    const run = await lose(point);
    runs.push(run);
    differences.push(...await compare({ ...reference, ending }, run, timeoutMs));
    if (run.ending === undefined && ++hangs === MAX_HANGS) break;
  }
  return crashReport({
    workflow: workflow.name,
    ending,
    points: runs.slice(1).map(({ point }) => point),
    differences,
    repeated: repeatedSteps(runs),
    unreached: runs.filter(({ reached }) => !reached).map(({ point }) => point),
  });
}

/** A run, and what came out of it. */
interface LostRun {
  readonly point: CrashPoint;
  readonly reached: boolean;
  /** Undefined where it did not end. */
  readonly ending: WorkflowEnding | undefined;
  /** What `observe()` saw, as the store would keep it. */
  readonly world: string | null;
  readonly calls: readonly StepCall[];
  readonly commits: number;
  readonly repeated: readonly { readonly workflowId: string; readonly key: string; readonly times: number }[];
}

/** Runs a workflow to its end in a world of its own. */
async function runOnce<I, O>(
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  workflow: Workflow<I, O, any>,
  options: CrashEverywhereOptions<I> & { timeoutMs: number },
  point: CrashPoint,
): Promise<LostRun> {
  const { id = `${workflow.name}-1`, input, prepare, drive, observe, timeoutMs, ...given } = options;
  const { maxPoints: _, timeout: __, ...rest } = given;
  const faults = [...rest.faults ?? [], ...faultOf(point)];
  const world = await World.open({ ...rest, workflows: [workflow, ...others(workflow, rest)], faults });
  try {
    await world.undisturbed((engine) => prepare?.(engine));
    const living = async (engine: Engine, life: Life) => {
      const ignore = (error: unknown) => ignoreStored(world, id, error);
      const handle = await engine.start(workflow, { id, ...input !== undefined && { input } }).catch(ignore);
      // One that an earlier life has blocked is not gone on with.
      if (handle !== undefined) {
        await Promise.all([handle.result().catch(ignore), driveWhileRunning(life, { id, drive })]);
      }
      return await world.record(id);
    };
    const record = await withinTime(world.outlive(living), timeoutMs);
    const observed = await world.undisturbed((engine) => observe?.(engine));
    const { commitCount: commits, calls } = world;
    return {
      point,
      reached: world.plan.left.every((fault) => !("crash" in fault)),
      ending: record && endingOf(record),
      world: await encodeValue(observed, "what observe() returned", Infinity),
      calls: [...calls.all],
      commits,
      repeated: calls.repeated(),
    };
  } finally {
    await world.end();
  }
}

/** The further workflows that the engine is to know. */
function others(workflow: Workflow, { workflows = [] }: WorldOptions): Workflow[] {
  return workflows.filter(({ name, version }) => name !== workflow.name || version !== workflow.version);
}

async function driveWhileRunning(
  life: Life,
  { id, drive }: { id: string; drive: CrashEverywhereOptions<unknown>["drive"] },
): Promise<void> {
  // The clock should not jump over what it is about to do.
  const ended = life.begin();
  try {
    await drive?.(life.engine, id);
  } catch (error) {
    // A life that came late: what was to be sent is not wanted any more.
    if (!(error instanceof WorkflowStateError)) throw error;
  } finally {
    ended();
  }
}

/** An error that is the workflow's end is looked at there. */
async function ignoreStored(world: World, id: string, error: unknown): Promise<undefined> {
  const status = (await world.record(id))?.status;
  if (status === undefined || !(hasEnded(status) || status === "blocked")) throw error;
  return undefined;
}

/** @returns undefined when the time is over before it has settled */
async function withinTime<T>(result: Promise<T>, timeoutMs: number): Promise<T | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const over = new Promise<undefined>((resolve) => timer = setTimeout(() => resolve(undefined), timeoutMs));
  try {
    return await Promise.race([result, over]);
  } finally {
    clearTimeout(timer);
  }
}

function endingOf({ status, outputJson, errorJson }: WorkflowRecord): WorkflowEnding {
  const error = errorJson === null ? undefined : withoutPlace(JSON.parse(errorJson) as StoredError);
  return { status, outputJson, ...error !== undefined && { error } };
}

/** An error without where it was thrown, in the source and in the history. */
function withoutPlace({ stack: _, completion: __, cause, errors, ...rest }: StoredError): StoredError {
  return {
    ...rest,
    ...cause !== undefined && { cause: withoutPlace(cause) },
    ...errors !== undefined && { errors: errors.map(withoutPlace) },
  };
}

// --- Where it can be lost ---

function pointsOf({ commits, calls }: LostRun): CrashPoint[] {
  const points: CrashPoint[] = [];
  for (let commit = 1; commit <= commits; commit++) {
    points.push({ at: "commit", when: "before", commit }, { at: "commit", when: "after", commit });
  }
  for (const { workflowId, key: step, attempt } of calls) {
    for (const when of ["before", "during"] as const) {
      points.push({ at: "step", when, workflowId, step, attempt });
    }
  }
  return points;
}

function faultOf(point: CrashPoint): Fault[] {
  if (point.at === "nowhere") return [];
  if (point.at === "commit") return [{ crash: point.when, commit: point.commit }];
  const { when: crash, workflowId, step, attempt } = point;
  return [{ crash, step, workflowId, attempt }];
}

// --- What comes of it ---

async function compare(
  reference: LostRun & { readonly ending: WorkflowEnding },
  run: LostRun,
  timeoutMs: number,
): Promise<CrashDifference[]> {
  const { point, ending } = run;
  const wanted = describeEnding(reference.ending);
  if (ending === undefined) return [{ point, what: "hang", wanted, found: `no end within ${timeoutMs} ms` }];
  const differences: CrashDifference[] = [];
  if (!await isSameEnding(reference.ending, ending)) {
    differences.push({ point, what: "ending", wanted, found: describeEnding(ending) });
  }
  if (!await isSameValue(reference.world, run.world)) {
    const [wanted, found] = [reference.world, run.world].map((text) => shown(text ?? "undefined"));
    differences.push({ point, what: "world", wanted: wanted!, found: found! });
  }
  for (const { workflowId, key, hadCheckpoint, life } of run.calls) {
    if (!hadCheckpoint) continue;
    const wanted = "its stored result";
    differences.push({
      point,
      what: "checkpoint",
      wanted,
      found: `${key} of "${workflowId}" in life ${life}`,
    });
  }
  return differences;
}

async function isSameEnding(one: WorkflowEnding, other: WorkflowEnding): Promise<boolean> {
  return one.status === other.status && JSON.stringify(one.error) === JSON.stringify(other.error) &&
    await isSameValue(one.outputJson, other.outputJson);
}

function repeatedSteps(runs: readonly LostRun[]): RepeatedStep[] {
  const steps = new Map<string, RepeatedStep & { times: number; points: CrashPoint[] }>();
  for (const { point, repeated } of runs) {
    for (const { workflowId, key, times } of repeated) {
      const name = JSON.stringify([workflowId, key]);
      const step = steps.get(name) ?? { workflowId, key, times: 0, points: [] };
      steps.set(name, { ...step, times: Math.max(step.times, times), points: [...step.points, point] });
    }
  }
  return [...steps.values()];
}

function hangMessage(name: string, timeoutMs: number): string {
  const point = describePoint({ at: "nowhere" });
  return `Cannot crash workflow "${name}" everywhere: wanted it to end ${point}, found no end within ${timeoutMs} ms`;
}
