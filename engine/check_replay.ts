import { type Duration, durationMs } from "./duration.ts";
import { CorruptCheckpointError, NonDeterminismError, StoreError, WorkflowBlockedError } from "./errors.ts";
import { Events } from "./events.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { type EngineOptions, type EngineSettings, engineSettings } from "./options.ts";
import { found } from "./quote.ts";
import { Run, type RunServices } from "./run.ts";
import { RunContext } from "./run_context.ts";
import { decodeStored } from "./serialize.ts";
import { Mailbox } from "./store/mailbox.ts";
import { openReadOnly } from "./store/open.ts";
import { PAGE_LIMITS, type PageLimits } from "./store/pages.ts";
import type { ListedWorkflow } from "./store/records.ts";
import type { WorkflowInput, WorkflowStatus } from "./store/rows.ts";
import { Store } from "./store/store.ts";
import { Turns } from "./turns.ts";
import { isCode, Versions } from "./versions.ts";
import type { Workflow } from "./workflow.ts";

/** How replays are checked. */
export interface CheckOptions extends Pick<EngineOptions, "sqlite" | "clock" | "maxSteps"> {
  /** The code to check, with as many versions of a name as the engine will be given. */
  workflows: readonly Workflow[];
  /** How many workflows are replayed at a time. 16 by default. */
  concurrency?: number;
  /** How long a replay may take from one stored completion to the next. `"10s"` by default. */
  timeout?: Duration;
}

/**
 * What becomes of a stored workflow under the code that was checked.
 *
 * - `replays`: the code asks for all that is stored.
 * - `diverges`: it does not; an engine would block the workflow with the `error`, a `NonDeterminismError`.
 * - `stuck`: it did not ask for what is stored in the time that it had.
 * - `unknown`: its name or its version is not among the code.
 * - `unreadable`: something that is stored of it is not as it was written.
 */
export type ReplayVerdict = "replays" | "diverges" | "stuck" | "unknown" | "unreadable";

/** A workflow that has not ended, and whether the code can go on with it. */
export interface ReplayCheck {
  /** The caller's name for it. */
  readonly id: string;
  /** The workflow's name. */
  readonly workflow: string;
  /** The version of the code that it was started with, if that had one. */
  readonly version?: string;
  /** What is stored as its status. */
  readonly status: WorkflowStatus;
  /** What becomes of it. */
  readonly verdict: ReplayVerdict;
  /** How many stored outcomes the code was given. */
  readonly replayed: number;
  /** Why it would be blocked. */
  readonly error?: WorkflowBlockedError;
}

const OPTIONS = optionNames<CheckOptions>({
  workflows: true,
  concurrency: true,
  timeout: true,
  sqlite: true,
  clock: true,
  maxSteps: true,
});
const UNFINISHED: readonly WorkflowStatus[] = ["pending", "running", "waiting", "blocked"];
const DEFAULT_CONCURRENCY = 16;
/** How many bytes of all histories that are replayed at a time are in memory, and of each one at least. */
const HISTORY_BYTES = 16 << 20;
const LEAST_HISTORY_BYTES = 64 << 10;
/** The number of a run that is none: all that is stored is of others. */
const NO_RUN = 0;
/** How many workflows are listed at a time. */
const PAGE = 1_000;

/**
 * Checks code against the workflows of a store that have not ended, before it is deployed: replays each of them up to the
 * end of its history, and tells which would be blocked. No step runs, and nothing is written to the file, which may be in
 * use: it is read as it was when the check began. A large store is better checked as a copy (`VACUUM INTO`), since
 * SQLite cannot begin its write-ahead log anew while somebody reads.
 *
 * @param location a file's path
 * @returns each workflow that has not ended, the newest first
 * @throws {TypeError | RangeError} if an option is not as {@linkcode CheckOptions} says
 * @throws {StoreError} while it is read, if the file cannot be read, or is no store of this version
 *
 * @example
 * ```ts
 * import { checkReplay, Engine, workflow } from "@stepwell/stepwell";
 * import { assertEquals } from "@std/assert";
 *
 * const folder = await Deno.makeTempDir();
 * const before = workflow("order", async (ctx) => {
 *   await ctx.step("charge", () => "paid");
 *   await ctx.waitForSignal("collected");
 * });
 * {
 *   await using engine = await Engine.open(`${folder}/shop.db`, { alwaysReplay: true });
 *   const handle = await engine.start(before, { id: "order-17" });
 *   while (await handle.status() !== "waiting") await new Promise((resolve) => setTimeout(resolve, 1));
 * }
 *
 * const after = workflow("order", (ctx) => ctx.step("pay", () => "paid"));
 * for await (const { id, verdict, error } of checkReplay(`${folder}/shop.db`, { workflows: [after] })) {
 *   assertEquals([id, verdict, error?.name], ["order-17", "diverges", "NonDeterminismError"]);
 * }
 * await Deno.remove(folder, { recursive: true });
 * ```
 */
export function checkReplay(location: string, options: CheckOptions): AsyncIterableIterator<ReplayCheck> {
  checkOptions(options, OPTIONS, "check replays");
  const { workflows, sqlite, clock, maxSteps, concurrency = DEFAULT_CONCURRENCY, timeout = "10s" } = options;
  const settings = engineSettings({ workflows, sqlite, clock, maxSteps });
  if (!(Number.isSafeInteger(concurrency) && concurrency >= 1)) {
    throw new RangeError(
      `Cannot check replays: wanted a concurrency of 1 or more, found ${found(concurrency)}`,
    );
  }
  return check(location, settings, { concurrency, timeoutMs: durationMs(timeout, "option timeout") });
}

async function* check(
  location: string,
  settings: EngineSettings,
  { concurrency, timeoutMs }: { concurrency: number; timeoutMs: number },
): AsyncIterableIterator<ReplayCheck> {
  const database = await openReadOnly(location, settings);
  const store = new Store(database);
  const bytes = Math.max(LEAST_HISTORY_BYTES, Math.min(PAGE_LIMITS.bytes, HISTORY_BYTES / concurrency));
  const historyPage = { ...PAGE_LIMITS, bytes };
  const replays = new Replays(store, new Mailbox(database), { ...settings, historyPage }, timeoutMs);
  const underWay: Promise<ReplayCheck>[] = [];
  try {
    for await (const record of unfinished(store)) {
      const replay = replays.replay(record);
      // It is waited for in its place; until then nobody need hear of its failure.
      replay.catch(() => {});
      underWay.push(replay);
      if (underWay.length >= concurrency) yield await underWay.shift()!;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    replays.stop();
    await Promise.allSettled(underWay);
    await database.close();
  }
}

async function* unfinished(store: Store): AsyncIterableIterator<ListedWorkflow> {
  let beforeId: string | undefined;
  while (true) {
    const page = await store.list({ statuses: UNFINISHED, name: undefined, limit: PAGE, beforeId });
    yield* page;
    if (page.length < PAGE) return;
    beforeId = page.at(-1)!.workflowId;
  }
}

/** Replays workflows, and no more than that. */
class Replays {
  readonly #services: RunServices;
  readonly #versions: Versions;
  /** How many outcomes each of those under way was given. */
  readonly #replayed = new Map<string, number>();
  readonly #runs = new Set<Run>();

  constructor(
    private readonly store: Store,
    mailbox: Mailbox,
    settings: EngineSettings & { historyPage: PageLimits },
    private readonly timeoutMs: number,
  ) {
    this.#versions = new Versions(settings.workflows);
    const events = new Events();
    events.observe(({ type, workflowId }) => {
      if (type === "replayed") this.#replayed.set(workflowId, (this.#replayed.get(workflowId) ?? 0) + 1);
    });
    const turns = new Turns(settings.clock);
    const transactions = () => Promise.reject(new StoreError("Cannot begin a transaction in a replay"));
    this.#services = {
      ...settings,
      store,
      mailbox,
      events,
      turns,
      transactions,
      host: NO_HOST,
      replayOnly: true,
    };
  }

  async replay(record: ListedWorkflow): Promise<ReplayCheck> {
    const { workflowId: id, name: workflow, status } = record;
    const about = { id, workflow, status, replayed: 0 };
    let input: WorkflowInput;
    let value: unknown;
    try {
      input = await this.store.input(record);
      value = await decodeStored(
        input.inputJson,
        (found, cause) => this.store.corrupt(id, "input", found, cause),
      );
    } catch (error) {
      if (error instanceof CorruptCheckpointError) return { ...about, verdict: "unreadable", error };
      throw error;
    }
    const { version } = input;
    const known = { ...about, ...version !== undefined && { version } };
    const code = this.#versions.codeFor(input);
    if (!isCode(code)) return { ...known, verdict: "unknown", error: code };
    const owner = { workflowId: id, workflow: record.workflow, run: NO_RUN };
    const start = { owner, input, record, recovered: false };
    const run: Run = new Run(
      this.#services,
      start,
      (execution) => code.run(new RunContext(run, execution), value),
    );
    const end = await this.#toTheEnd(run);
    const replayed = this.#replayed.get(id) ?? 0;
    this.#replayed.delete(id);
    return { ...known, ...end, replayed };
  }

  async #toTheEnd(run: Run): Promise<Pick<ReplayCheck, "verdict" | "error">> {
    let stuck = false;
    const stopWatching = this.#watch(run, () => {
      stuck = true;
      void run.stop(0);
    });
    this.#runs.add(run);
    try {
      this.#services.turns.next(() => void run.begin());
      await run.result;
      return { verdict: "replays" };
    } catch (error) {
      if (stuck) return { verdict: "stuck" };
      if (error instanceof NonDeterminismError) return { verdict: "diverges", error };
      if (error instanceof WorkflowBlockedError) return { verdict: "unreadable", error };
      throw error;
    } finally {
      stopWatching();
      this.#runs.delete(run);
    }
  }

  /** Calls back when the workflow was given nothing for too long. @returns a function that ends it */
  #watch({ workflowId }: Run, onStuck: () => void): () => void {
    const { clock } = this.#services;
    let before = -1;
    let cancelTimer = () => {};
    const look = () => {
      const replayed = this.#replayed.get(workflowId) ?? 0;
      if (replayed === before) return onStuck();
      before = replayed;
      cancelTimer = clock.setTimer(this.timeoutMs, look);
    };
    look();
    return () => cancelTimer();
  }

  /** Stops what is under way. */
  stop(): void {
    for (const run of this.#runs) void run.stop(0);
  }
}

/** A replay asks nothing of other workflows. */
const NO_HOST: RunServices["host"] = {
  told() {},
  published() {},
  runChild() {},
  listen() {},
  executor: 0,
  linger: () => undefined,
};
