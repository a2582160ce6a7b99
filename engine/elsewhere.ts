import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import { hasEnded, type Owned } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import type { Workflow } from "./workflow.ts";

/** How long after a commit of another process a look is taken, and then the next one, in milliseconds. */
const INTERVAL_MS = 300;
/** How many workflows are looked at at a time. */
const PAGE = 500;

/** A workflow that another process runs. */
interface Absent {
  /** Its code. */
  readonly workflow: Workflow;
  /** Whether nobody waited for it at the last look. */
  isForgotten: boolean;
}

/** What it takes to see to them. */
export interface ElsewhereOptions {
  readonly store: Store;
  readonly executors: ExecutorRegistry;
  /** This process. */
  readonly self: number;
  readonly clock: Clock;
  /** The workflows that this process has let go, with their code. */
  readonly waiting: ReadonlyMap<string, Workflow>;
  /** Whether anybody waits for a workflow here, or for its parent. */
  readonly isAwaited: (workflowId: string, parentId: string | undefined) => boolean;
  /** A workflow waits no more, and is nothing for this process to take up. */
  readonly forget: (workflowId: string) => void;
  /** Takes a workflow up that nobody runs. */
  readonly takeUp: (workflowId: string, workflow: Workflow) => void;
}

/**
 * The workflows that this process has let go while they wait, and that others may have taken up.
 *
 * Owns: those that others run, as long as anybody waits for them here. Does not own: who may run a workflow (claim.ts).
 *
 * 1. One whose process is lost, or has let it go, is taken up here, whether this engine works or not: who waits for it
 *    would wait for ever.
 * 2. One that has ended, or was blocked, in another process is forgotten.
 * 3. While no other process commits, and none runs such a workflow, there is nothing to look for.
 */
export class Elsewhere {
  readonly #absent = new Map<string, Absent>();
  /** Those that are still to be looked at since the last commit of another process. */
  #left: string[] = [];
  #isNews = false;
  #stopWatching: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;

  constructor(private readonly options: ElsewhereOptions) {}

  /** Whether there are none. */
  get isEmpty(): boolean {
    return this.#absent.size === 0;
  }

  /** Begins to look, if it has not yet. */
  start(): void {
    this.#stopWatching ??= this.options.store.watch(() => {
      this.#isNews = true;
      this.#lookLater();
    });
  }

  /** Notes a workflow that another process runs. */
  add(workflowId: string, workflow: Workflow): void {
    this.#absent.set(workflowId, { workflow, isForgotten: false });
    this.start();
    this.#lookLater();
  }

  #lookLater(): void {
    this.#cancelLook ??= this.options.clock.setTimer(INTERVAL_MS, async () => {
      await this.#look();
      this.#cancelLook = undefined;
      const isMore = this.#left.length > 0 || this.#isNews || !this.isEmpty;
      if (isMore && this.#stopWatching !== undefined) this.#lookLater();
    }, { background: true });
  }

  async #look(): Promise<void> {
    if (this.#left.length === 0) {
      this.#isNews = false;
      this.#left = [...this.options.waiting.keys()];
    }
    const page = [...[...this.#absent.keys()].slice(0, PAGE), ...this.#left.splice(0, PAGE)];
    try {
      const found = await this.options.store.owned(page);
      for (const id of page) {
        if (this.#absent.has(id)) this.#seeToAbsent(id, found.get(id));
        else this.#seeToWaiting(id, found.get(id));
      }
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#isNews = true;
    }
  }

  #seeToWaiting(workflowId: string, found: Owned | undefined): void {
    const { waiting, self, forget, takeUp } = this.options;
    const workflow = waiting.get(workflowId);
    if (workflow === undefined || found?.status === "waiting" || found?.executor === self) return;
    if (found?.status === "pending") return takeUp(workflowId, workflow);
    if (found?.status === "running") this.#absent.set(workflowId, { workflow, isForgotten: false });
    forget(workflowId);
  }

  #seeToAbsent(workflowId: string, found: Owned | undefined): void {
    const absent = this.#absent.get(workflowId)!;
    if (found === undefined || hasEnded(found.status) || found.status === "blocked") {
      this.#absent.delete(workflowId);
    } else if (!this.options.isAwaited(workflowId, found.parentId)) {
      // Who waits may be about to look, and wait again.
      if (absent.isForgotten) this.#absent.delete(workflowId);
      absent.isForgotten = true;
    } else if (found.status !== "running" || this.#isLost(found)) {
      this.#absent.delete(workflowId);
      this.options.takeUp(workflowId, absent.workflow);
    } else {
      absent.isForgotten = false;
      // To the end of the line, so that all come to be looked at.
      this.#absent.delete(workflowId);
      this.#absent.set(workflowId, absent);
    }
  }

  #isLost({ executor, leaseUntil }: Owned): boolean {
    const { executors, clock } = this.options;
    return executor === null || executors.isLost({ executor, leaseUntil }, clock.now());
  }

  /** Looks no more. */
  stop(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#cancelLook?.();
    this.#cancelLook = undefined;
    this.#absent.clear();
    this.#left = [];
  }
}
