import { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";
import type { StoreEvent } from "./events.ts";
import type { StorageHealth } from "./storage_health.ts";
import { type ExecutorRegistry, hasCode } from "./store/executor_registry.ts";
import type { Store } from "./store/store.ts";
import type { CodeName } from "./store/workflow_statements.ts";
import type { Worker } from "./worker.ts";

/** How often a working process sweeps, in milliseconds; and how soon after it has begun to work. */
const INTERVAL_MS = 60_000;
const FIRST_MS = 5_000;
/** How long work that could be done must have been left before it counts as overlooked, in milliseconds. */
const CONFIRM_MS = 5_000;
/** How many codes are looked at. */
const MAX_CODES = 200;

/** Whether the safety net is there. The tests run without it: it would hide what they are to find. */
export const safetyNet: { isOn: boolean } = { isOn: true };

/**
 * Looks, once in a while, at what no commit and no timer would show.
 *
 * Owns: when it looks, and what it has told. Does not own: what can be claimed (worker.ts).
 *
 * 1. The safety net: what this process could run, and has left for some seconds, is a mistake of the engine's. It is told,
 *    and run.
 * 2. Workflows whose code no process that lives has are told of, each code once while that is so.
 * 3. A workflow whose name or status is not as it was written is in none of the places where work is looked for. One of each
 *    code that no process has is looked at, and what has a status that there is not: such a one is blocked.
 */
export class Sweep {
  readonly #agenda: Agenda;
  /** What was found at the last look. */
  #suspects: ReadonlySet<string> = new Set();
  /** The codes that were told to be missing. */
  #missing = new Set<string>();
  #stopped = false;

  constructor(
    private readonly options: {
      readonly store: Store;
      readonly executors: ExecutorRegistry;
      readonly health: StorageHealth;
      readonly clock: Clock;
      readonly worker: Pick<Worker, "overlooked" | "look">;
      readonly codes: readonly CodeName[];
      readonly emit: (event: StoreEvent) => void;
      /** Blocks a workflow that no process runs, if its row is not as it was written. */
      readonly inspect: (workflowId: string) => Promise<void>;
      /** Finds what is stored as run by this process and is not. */
      readonly dropStrays: () => Promise<void>;
    },
  ) {
    this.#agenda = new Agenda(
      options.clock,
      ([key]) => void (key === "confirm" ? this.#confirm() : this.#look()),
    );
    this.#agenda.pause("look", FIRST_MS);
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    const { health, worker, dropStrays } = this.options;
    await health.attempt("look for code that is missing", () => this.#lookForCode());
    await health.attempt("look for statuses that there are not", async () => {
      for (const id of await this.options.store.oddStatuses(MAX_CODES)) await this.options.inspect(id);
    });
    if (safetyNet.isOn) {
      await dropStrays();
      this.#suspects = new Set(await worker.overlooked());
    }
    if (this.#stopped) return;
    if (this.#suspects.size > 0) this.#agenda.pause("confirm", CONFIRM_MS);
    this.#agenda.pause("look", INTERVAL_MS);
  }

  async #confirm(): Promise<void> {
    const { worker, clock, emit } = this.options;
    const workflowIds = (await worker.overlooked()).filter((id) => this.#suspects.has(id));
    this.#suspects = new Set();
    if (this.#stopped || workflowIds.length === 0) return;
    emit({ type: "overlooked", at: new Date(clock.now()), workflowIds });
    worker.look();
  }

  async #lookForCode(): Promise<void> {
    const { store, executors, codes, clock, emit, inspect } = this.options;
    const own = new Set(codes.map(keyOf));
    const foreign = (await store.claimableCodes(MAX_CODES)).filter((code) => !own.has(keyOf(code)));
    if (foreign.length === 0) return this.#missing.clear();
    const living = (await executors.list()).filter(({ liveness }) => liveness !== "gone");
    const missing = new Set<string>();
    for (const code of foreign) {
      if (this.#stopped) return;
      if (hasCode(living, code)) continue;
      await inspect(code.workflowId);
      const key = keyOf(code);
      missing.add(key);
      const { name: workflow, version } = code;
      if (this.#missing.has(key)) continue;
      emit({
        type: "codeMissing",
        at: new Date(clock.now()),
        workflow,
        ...version !== undefined && { version },
      });
    }
    this.#missing = missing;
  }

  /** Looks no more. */
  stop(): void {
    this.#stopped = true;
    this.#agenda.close();
  }
}

function keyOf({ name, version }: CodeName): string {
  return JSON.stringify([name, version ?? null]);
}
