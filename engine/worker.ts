import { Again } from "./again.ts";
import { Alarm } from "./alarm.ts";
import { type Clock, holdProcess } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { QueueRoom, Queues } from "./store/queues.ts";
import type { ReadyWorkflow } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import type { CodeName, Serving } from "./store/workflow_statements.ts";

/** How often other executors are looked at while they own workflows, whether they are gone, in milliseconds. */
const RECOVERY_INTERVAL_MS = 300;
/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;
/** How many executors that own workflows are looked at. */
const MAX_OWNERS = 1_000;

/**
 * Takes up workflows that nobody runs: those that have not begun or were released, those that wait and are due, those whose
 * turn it is in a queue, and those whose process is gone.
 *
 * Owns: how many it has in hand, and when it looks for more. Does not own: who may run a workflow (claim.ts), and how it is
 * run (runs.ts). What the limits of queues leave room for is a guess here, and enforced by the claim.
 *
 * 1. No more than `concurrency` are in hand at a time; one that is let go while it waits is not in hand.
 * 2. What nobody runs stays so in the store until somebody has claimed it: nothing is lost with a worker.
 * 3. One workflow that cannot be taken up keeps none of the others from it.
 * 4. What has begun before goes first; then queues, and what is in none, have their turns one after the other: a queue that
 *    is full, or long, keeps no other from its own.
 * 5. While no other executor owns a workflow, nobody is looked at: that they come to own one is a commit.
 */
export class Worker {
  readonly #alarm: Alarm;
  readonly #inHand = new Set<string>();
  /** Those that could not be taken up, and until when they are left alone. */
  readonly #passedOver = new Map<string, number>();
  readonly #stopWatching: () => void;
  readonly #release: () => void;
  #cancelRecovery: (() => void) | undefined;
  readonly #looking = new Again(() => this.#look());
  #stopped = false;

  constructor(
    private readonly options: {
      store: Store;
      queues: Queues;
      executors: ExecutorRegistry;
      clock: Clock;
      /** This process. */
      self: number;
      /** What it has the code of: a workflow of another version is left to who has that. */
      codes: readonly CodeName[];
      /** The names of the queues that it sees to, and to nothing else; undefined for all that there is. */
      queueNames: ReadonlySet<string> | undefined;
      concurrency: number;
      /**
       * Runs a workflow.
       *
       * @returns settled once its run is over, or it has turned out that it is not to be run here: how long it is to be
       *   left alone then, in milliseconds
       */
      run: (workflow: ReadyWorkflow) => Promise<number>;
    },
  ) {
    this.#alarm = new Alarm(options.clock, () => this.look());
    this.#stopWatching = options.store.watch(() => {
      this.look();
      this.#recoverLater();
    });
    this.#release = holdProcess(options.clock);
    this.#recoverLater();
    this.look();
  }

  /** Whether it takes up every workflow of this code, whatever queue it is in. */
  finds({ name, version }: CodeName): boolean {
    const { codes, queueNames } = this.options;
    return queueNames === undefined && codes.some((code) => code.name === name && code.version === version);
  }

  /** Notes that a workflow waits until then. */
  expect(dueAt: number): void {
    if (!this.#stopped) this.#alarm.set(dueAt);
  }

  /** Looks for more to do; if it is looking already, once more after that. */
  look(): void {
    if (!this.#stopped) this.#looking.ask();
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    const { store, queues, clock } = this.options;
    const now = clock.now();
    try {
      await queues.readyDelayed(now);
      const rooms = await this.#rooms(now);
      const serving = this.#serving(rooms);
      if (this.#room > 0) this.#take(await store.dueOf(serving, now, this.#room));
      if (this.#room > 0 && rooms.length > 0) this.#take(await store.releasedOf(serving, this.#room));
      if (this.#room > 0) this.#take(await this.#next(rooms));
      const next = await store.nextDue(now);
      if (next !== undefined) this.expect(next);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.expect(clock.now() + STORE_PAUSE_MS);
    }
  }

  /** What the queues that it sees to have room for. */
  async #rooms(now: number): Promise<QueueRoom[]> {
    const { queues, queueNames, self } = this.options;
    const rooms = await queues.room(self, now);
    return queueNames === undefined ? rooms : rooms.filter(({ name }) => queueNames.has(name));
  }

  /** Which workflows it may run that have begun before. */
  #serving(rooms: readonly QueueRoom[]): Serving {
    const { codes, queueNames } = this.options;
    const queues = rooms.filter(({ here }) => here > 0).map(({ queue }) => queue);
    return { codes, unqueued: queueNames === undefined, queues };
  }

  /** The workflows that are next, queue by queue in turns. */
  async #next(rooms: readonly QueueRoom[]): Promise<ReadyWorkflow[]> {
    const { store, queues, codes, queueNames } = this.options;
    const lists: (readonly ReadyWorkflow[])[] = [];
    if (queueNames === undefined) lists.push(await store.pendingOf(codes, this.#room));
    for (const { queue, places, here, opensAt } of rooms) {
      if (opensAt !== undefined) this.expect(opensAt);
      const count = Math.min(places, here, this.#room);
      if (count <= 0) continue;
      const found = await queues.candidates(queue, codes, count + this.#known);
      lists.push(found.filter(({ workflowId }) => !this.#isKnown(workflowId)).slice(0, count));
    }
    return inTurns(lists);
  }

  /** How many to ask for: those that are in hand, or passed over, may be found again. */
  get #room(): number {
    const { concurrency } = this.options;
    return concurrency - this.#inHand.size <= 0 ? 0 : concurrency + this.#passedOver.size;
  }

  /** How many there are that may be found again. */
  get #known(): number {
    return this.#inHand.size + this.#passedOver.size;
  }

  #isKnown(workflowId: string): boolean {
    return this.#inHand.has(workflowId) || this.#passedOver.has(workflowId);
  }

  #take(found: readonly ReadyWorkflow[]): void {
    const { concurrency, clock } = this.options;
    const now = clock.now();
    for (const [workflowId, until] of this.#passedOver) {
      if (until <= now) this.#passedOver.delete(workflowId);
    }
    for (const workflow of found) {
      if (this.#inHand.size >= concurrency || this.#stopped) return;
      const { workflowId } = workflow;
      if (this.#isKnown(workflowId)) continue;
      this.#inHand.add(workflowId);
      this.options.run(workflow).then((leaveMs) => {
        this.#inHand.delete(workflowId);
        if (leaveMs > 0) {
          this.#passedOver.set(workflowId, clock.now() + leaveMs);
          this.expect(clock.now() + leaveMs);
        }
        this.look();
      });
    }
  }

  // --- Workflows whose process is gone ---

  #recoverLater(): void {
    this.#cancelRecovery ??= this.options.clock.setTimer(RECOVERY_INTERVAL_MS, async () => {
      // Whoever commits while this looks is looked at the next time.
      this.#cancelRecovery = undefined;
      if (await this.#recover() && !this.#stopped) this.#recoverLater();
    });
  }

  /** @returns whether other executors own workflows, as far as can be told */
  async #recover(): Promise<boolean> {
    const { store, executors, clock, self } = this.options;
    try {
      const serving = this.#serving(await this.#rooms(clock.now()));
      const others = (await store.owners(MAX_OWNERS)).filter(({ executor }) => executor !== self);
      for (const { executor, leaseUntil } of others) {
        if (this.#room === 0) break;
        if (!executors.isLost({ executor, leaseUntil }, clock.now())) continue;
        const found = await store.ownedBy(executor, serving, this.#room);
        // One may have been passed over because its process was alive then.
        for (const { workflowId } of found) this.#passedOver.delete(workflowId);
        this.#take(found);
      }
      return others.length > 0;
    } catch (error) {
      // The next time is soon.
      if (error instanceof StoreError) return true;
      throw error;
    }
  }

  /** Takes up no more. */
  stop(): void {
    this.#stopped = true;
    this.#alarm.clear();
    this.#stopWatching();
    this.#cancelRecovery?.();
    this.#release();
  }
}

/** The first of each list, then the second of each, and so on. */
function inTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}
