import type { Clock } from "./clock.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import { hasEnded, type Owned } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import type { Workflow } from "./workflow.ts";

/** How long after a commit of another process a look is taken, and then the next one, in milliseconds. */
const INTERVAL_MS = 300;
/** How many workflows are looked at at a time. */
const PAGE = 500;

/** What it takes to see to them. */
export interface ElsewhereOptions {
  readonly store: Store;
  readonly health: StorageHealth;
  readonly executors: ExecutorRegistry;
  /** This process. */
  readonly self: number;
  readonly clock: Clock;
  /** The workflows that this process has let go, with their code. */
  readonly waiting: ReadonlyMap<string, Workflow>;
  /** Whether anybody waits for a workflow here, or for its parent. */
  readonly isAwaited: (workflowId: string, parentId: string | undefined) => boolean;
  /** A workflow waits here no more. */
  readonly forget: (workflowId: string) => void;
  /** A workflow waits again that another process had taken up. */
  readonly waitFor: (workflow: Workflow, workflowId: string, dueAt: number | null) => void;
  /** Takes a workflow up that nobody runs. */
  readonly takeUp: (workflowId: string, workflow: Workflow) => void;
}

/**
 * The workflows that this process has let go while they wait, and that others may have taken up.
 *
 * Owns: those that others run. Does not own: who may run a workflow (claim.ts).
 *
 * 1. One whose process is lost, or has let it go, is this process's again, whether this engine works or not: who waits for
 *    it would wait for ever.
 * 2. One that has ended, or was blocked, in another process is forgotten.
 * 3. While no other process commits, and nobody here waits for what one runs, there is nothing to look for.
 */
export class Elsewhere {
  /** Those that others run, with their code. */
  readonly #absent = new Map<string, Workflow>();
  /** Those that are still to be looked at since the last commit of another process. */
  #left: string[] = [];
  #isNews = false;
  /** Whether anybody waited, at the last look, for what another process runs. */
  #isAwaited = false;
  #stopWatching: (() => void) | undefined;
  #cancelLook: (() => void) | undefined;
  #looking = false;
  #closed = false;

  constructor(private readonly options: ElsewhereOptions) {}

  /** Begins to look, if it has not yet. */
  start(): void {
    if (this.#closed) return;
    this.#stopWatching ??= this.options.store.watch(() => {
      this.#isNews = true;
      this.#lookLater();
    });
  }

  /** Rests while there is nothing that others might run. */
  rest(): void {
    if (this.#absent.size > 0) return;
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#cancelLook?.();
    this.#cancelLook = undefined;
    this.#left = [];
    this.#isNews = false;
  }

  /** Notes a workflow that another process runs. */
  add(workflowId: string, workflow: Workflow): void {
    if (this.#closed) return;
    this.#absent.set(workflowId, workflow);
    this.start();
    this.#isNews = true;
    this.#lookLater();
  }

  /** Somebody begins to wait for a workflow. */
  awaited(workflowId: string): void {
    if (this.#absent.has(workflowId)) this.#lookLater();
  }

  #lookLater(): void {
    if (this.#closed || this.#looking) return;
    this.#cancelLook ??= this.options.clock.setTimer(INTERVAL_MS, async () => {
      this.#cancelLook = undefined;
      this.#looking = true;
      await this.#look();
      this.#looking = false;
      const isMore = this.#left.length > 0 || this.#isNews || this.#isAwaited || this.#absent.size > PAGE;
      if (isMore && this.#stopWatching !== undefined) this.#lookLater();
    }, { background: true });
  }

  async #look(): Promise<void> {
    if (this.#left.length === 0) {
      this.#isNews = false;
      this.#left = [...this.options.waiting.keys()];
    }
    const page = [...[...this.#absent.keys()].slice(0, PAGE), ...this.#left.splice(0, PAGE)];
    this.#isAwaited = false;
    const lost = new Map<number, boolean>();
    const done = await this.options.health.attempt("look for workflows of other processes", async () => {
      const found = await this.options.store.owned(page);
      for (const id of this.#closed ? [] : page) {
        if (this.#absent.has(id)) this.#seeToAbsent(id, found.get(id), lost);
        else this.#seeToWaiting(id, found.get(id));
      }
    });
    if (!done) this.#isNews = true;
  }

  #seeToWaiting(workflowId: string, found: Owned | undefined): void {
    const { waiting, self, forget, takeUp } = this.options;
    const workflow = waiting.get(workflowId);
    if (workflow === undefined || found?.status === "waiting" || found?.executor === self) return;
    if (found?.status === "pending") return takeUp(workflowId, workflow);
    if (found?.status === "running") {
      this.#absent.set(workflowId, workflow);
      this.#isNews = true;
    }
    forget(workflowId);
  }

  /** @param lost what was found of executors in this look */
  #seeToAbsent(workflowId: string, found: Owned | undefined, lost: Map<number, boolean>): void {
    const { self, isAwaited, waitFor, takeUp } = this.options;
    const workflow = this.#absent.get(workflowId)!;
    this.#absent.delete(workflowId);
    if (found === undefined || hasEnded(found.status) || found.status === "blocked") return;
    if (found.executor === self) return;
    if (found.status === "waiting") return waitFor(workflow, workflowId, found.dueAt);
    if (found.status === "pending" || this.#isLost(found, lost)) return takeUp(workflowId, workflow);
    // To the end of the line, so that all come to be looked at.
    this.#absent.set(workflowId, workflow);
    this.#isAwaited ||= isAwaited(workflowId, found.parentId);
  }

  #isLost({ executor, leaseUntil }: Owned, lost: Map<number, boolean>): boolean {
    if (executor === null) return true;
    const { executors } = this.options;
    const known = lost.get(executor) ?? executors.isLost({ executor, leaseUntil });
    lost.set(executor, known);
    return known;
  }

  /** Looks no more. */
  close(): void {
    this.#absent.clear();
    this.rest();
    this.#closed = true;
  }
}
