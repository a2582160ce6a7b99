import { Again } from "./again.ts";
import { Agenda } from "./agenda.ts";
import { type Clock, holdProcess } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { ExecutorRegistry } from "./store/executor_registry.ts";
import type { QueueRoom, Queues } from "./store/queues.ts";
import type { ReadyWorkflow } from "./store/records.ts";
import type { Store } from "./store/store.ts";
import type { CodeName } from "./store/workflow_statements.ts";

/** How often other executors are looked at while they own workflows, whether they are gone, in milliseconds. */
const RECOVERY_INTERVAL_MS = 300;
/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;
/** How many executors that own workflows are looked at. */
const MAX_OWNERS = 1_000;
/** How many claims are under way at a time: more would keep the event loop from the first of them. */
const MAX_CLAIMS = 200;
/** How many queues are looked at before it is seen whether there is enough to do. */
const QUEUES_AT_A_TIME = 25;
/** For how long a workflow is left alone after the first claim that failed, and at most: each pause is twice the last. */
const MIN_PAUSE_MS = 50;
const MAX_PAUSE_MS = 60_000;
/** How many failed claims are remembered. */
const MAX_REMEMBERED = 10_000;

/** Under what the agenda knows that nothing is claimed for a while. */
const CLAIM = "store: claim";

/** Is given what can be claimed, in the order in which it is to be; there may be more than there is room for. */
type Take = (found: readonly ReadyWorkflow[]) => void;

/** What became of a workflow that the worker was to run. */
export type Attempted =
  /** It was run, and its run is over. */
  | "ran"
  /** Its queue had no slot for it: another process was first. */
  | "noSlot"
  /** It could not be claimed, and may be later. */
  | "failed"
  /** The store does nothing just now, for this one or another. */
  | "storeFailed";

/**
 * Claims workflows that no process runs: those that have not begun or were released, those that wait and are due, those whose
 * turn it is in a queue, and those whose process is gone.
 *
 * Owns: how many it has in hand, and when it looks for more. Does not own: who may run a workflow (claim.ts), and how it is
 * run (runs.ts). What the limits of queues leave room for is a guess here, and enforced by the claim.
 *
 * 1. No more than `concurrency` are in hand at a time; one that is unloaded while it waits is not in hand.
 * 2. What no process runs stays so in the store until one has claimed it: nothing is lost with a worker.
 * 3. One workflow that cannot be claimed keeps none of the others from it, and is left alone for a while, longer each time:
 *    the same is never claimed twice without a turn of the event loop.
 * 4. What has begun before goes first; then queues, and what is in none, have their turns one after the other: a queue that
 *    is full, or long, keeps no other from its own.
 * 5. While no other executor owns a workflow, none is looked at: that one comes to own a workflow is a commit.
 * 6. Whenever something ends here, and at every time that the agenda has, it looks; what it looks at costs nothing for what
 *    is not its own, and nothing for queues in which nothing waits.
 */
export class Worker {
  readonly #agenda: Agenda;
  /** What is claimed, or being claimed, by the worker. */
  readonly #inHand = new Map<string, ReadyWorkflow>();
  /** Those of them whose claim is not stored yet: the store does not count them. */
  readonly #claiming = new Set<ReadyWorkflow>();
  /** How often the claim of a workflow has failed without a break. */
  readonly #failures = new Map<string, number>();
  /** Until when that is remembered. */
  readonly #memory: Agenda;
  readonly #stopWatching: () => void;
  readonly #release: () => void;
  #cancelRecovery: (() => void) | undefined;
  readonly #looking = new Again(() => this.#look());
  /** The queue that was looked at last: the next look begins behind it. */
  #lastQueue = 0;
  /** Whether a queue seemed to have less room than it has, for claims that the store may count already. */
  #heldBack = false;
  #stopped = false;

  constructor(
    private readonly options: {
      store: Store;
      queues: Queues;
      executors: ExecutorRegistry;
      health: StorageHealth;
      clock: Clock;
      /** This process. */
      self: number;
      /** What it has the code of: a workflow of another version is left to who has that. */
      codes: readonly CodeName[];
      /** The names of the queues that it works on, and on nothing else; undefined for all that there is. */
      queueNames: ReadonlySet<string> | undefined;
      concurrency: number;
      /** How many more workflows may run in this process, whoever has started them. */
      vacancies: () => number;
      /**
       * Runs a workflow.
       *
       * @param claimed called once its claim is stored, or has failed
       */
      run: (workflow: ReadyWorkflow, claimed: () => void) => Promise<Attempted>;
    },
  ) {
    this.#agenda = new Agenda(options.clock, () => this.look());
    this.#memory = new Agenda(options.clock, (ids) => {
      for (const id of ids) this.#failures.delete(id);
    });
    this.#stopWatching = options.store.watch(() => {
      this.look();
      this.#recoverLater();
    });
    this.#release = holdProcess(options.clock);
    this.#recoverLater();
    this.look();
  }

  /** Whether it claims every workflow of this code, whatever queue it is in. */
  finds({ name, version }: CodeName): boolean {
    const { codes, queueNames } = this.options;
    return queueNames === undefined && codes.some((code) => code.name === name && code.version === version);
  }

  /** Notes that a workflow waits until then. */
  expect(dueAt: number): void {
    this.#agenda.setLatest("expected", dueAt);
  }

  /** Looks for more to do; if it is looking already, once more after that. */
  look(): void {
    if (!this.#stopped) this.#looking.ask();
  }

  async #look(): Promise<void> {
    if (this.#stopped) return;
    const { store, queues, clock, codes } = this.options;
    const now = clock.now();
    await this.#attempt("look for delays that are over", () => queues.readyDelayed(now));
    await this.#find(now, (found) => this.#take(found));
    await this.#attempt("look for the next time", async () => {
      this.#agenda.setTime("due", await store.nextDue(codes, now));
    });
  }

  /** Finds work, part by part: where one cannot be read, the others can. */
  async #find(now: number, take: Take): Promise<void> {
    const { store, codes, queueNames } = this.options;
    if (queueNames === undefined && this.#room > 0) {
      await this.#attempt("look for workflows that are due", async () => {
        take(this.#unknown(await store.dueOf(codes, now, this.#limit)));
      });
    }
    if (this.#room > 0) {
      await this.#attempt(
        "look for workflows that can go on in queues",
        () => this.#findResumable(now, take),
      );
    }
    if (this.#room > 0) await this.#findNew(now, take);
  }

  /**
   * The ids of workflows that it would claim if it looked now: none, unless one was overlooked, or it is just about to look.
   */
  async overlooked(): Promise<string[]> {
    const ids: string[] = [];
    if (!this.#stopped) {
      await this.#find(this.options.clock.now(), (found) => {
        for (const { workflowId } of found) ids.push(workflowId);
      });
    }
    return ids;
  }

  async #attempt(doing: string, act: () => Promise<void>): Promise<void> {
    if (!await this.options.health.attempt(doing, act)) this.#agenda.pause(`store: ${doing}`, STORE_PAUSE_MS);
  }

  /** What has its slot in a queue, and is due or was stopped at a checkpoint. */
  async #findResumable(now: number, take: Take): Promise<void> {
    const { store, codes } = this.options;
    for (const queue of await store.resumableQueues(codes, now)) {
      const [room] = await this.#rooms([queue], now);
      const count = Math.min(room?.here ?? 0, this.#room);
      if (count <= 0) continue;
      const found = await store.resumableOf(queue, codes, { now, limit: count + this.#skipped });
      take(this.#unknown(found).slice(0, count));
    }
  }

  /** What has not begun, or was stopped at a checkpoint in no queue: queue by queue in turns. */
  async #findNew(now: number, take: Take): Promise<void> {
    const { store, queues, codes, queueNames } = this.options;
    let lists: ReadyWorkflow[][] = [];
    if (queueNames === undefined) {
      await this.#attempt("look for workflows that are pending", async () => {
        lists.push(this.#unknown(await store.pendingOf(codes, this.#limit)));
      });
    }
    await this.#attempt("look for workflows in queues", async () => {
      const ready = await queues.ready(codes);
      const behind = ready.findIndex((queue) => queue > this.#lastQueue);
      const order = behind <= 0 ? ready : [...ready.slice(behind), ...ready.slice(0, behind)];
      for (let from = 0; from < order.length && this.#room > 0; from += QUEUES_AT_A_TIME) {
        const some = order.slice(from, from + QUEUES_AT_A_TIME);
        for (const room of await this.#rooms(some, now)) lists.push(await this.#nextOf(room));
        if (lists.reduce((sum, list) => sum + list.length, 0) < this.#room) continue;
        take(inTurns(lists));
        lists = [];
        this.#lastQueue = some.at(-1)!;
      }
    });
    take(inTurns(lists));
  }

  /** The next of a queue, as far as it has room, and without more of a partition than that has room for. */
  async #nextOf({ queue, slots, here, opensAt }: QueueRoom): Promise<ReadyWorkflow[]> {
    const { queues, codes } = this.options;
    if (opensAt !== undefined) this.#agenda.setTime(`queue ${queue}`, opensAt);
    const count = Math.min(slots, here, this.#room);
    if (count <= 0) return [];
    const found = this.#unknown(await queues.candidates(queue, codes, count + this.#skipped));
    const left = new Map<string, number>();
    return found.filter(({ partition, partitionRoom }) => {
      if (partitionRoom === undefined || partition === null) return true;
      const claiming = this.#claimingOf({ queue, partition });
      if (claiming > 0) this.#heldBack = true;
      const room = left.get(partition) ?? partitionRoom - claiming;
      left.set(partition, room - 1);
      return room > 0;
    }).slice(0, count);
  }

  /** What queues that it works on have room for, once what is being claimed is. */
  async #rooms(some: readonly number[], now: number): Promise<QueueRoom[]> {
    const { queues, queueNames, self } = this.options;
    const rooms = await queues.room(some, self, now);
    return rooms.filter(({ name }) => queueNames?.has(name) ?? true).map((room) => {
      this.#tellWrong(room);
      const claiming = this.#claimingOf({ queue: room.queue });
      if (claiming > 0 && Math.min(room.slots, room.here) - claiming < this.#room) this.#heldBack = true;
      return { ...room, slots: room.slots - claiming, here: room.here - claiming };
    });
  }

  /** A queue whose row cannot be used keeps none of the others from their turn, and is told. */
  #tellWrong({ name, wrong }: QueueRoom): void {
    const doing = `read queue "${name}"`;
    if (wrong === undefined) this.options.health.worked(doing);
    else {
      const error = new StoreError(`Cannot use queue "${name}": it has the ${wrong}`);
      this.options.health.failed(doing, error, { ofOne: true });
    }
  }

  #claimingOf({ queue, partition }: { queue: number; partition?: string }): number {
    let count = 0;
    for (const each of this.#claiming) {
      if (each.queue === queue && (partition === undefined || each.partition === partition)) count++;
    }
    return count;
  }

  /** How many more it may claim now. */
  get #room(): number {
    if (this.#stopped || this.#agenda.isPaused(CLAIM)) return 0;
    const { concurrency, vacancies } = this.options;
    const room = Math.min(concurrency - this.#inHand.size, vacancies(), MAX_CLAIMS - this.#claiming.size);
    return Math.max(0, room);
  }

  /** How many there are that the store may give and that are not to be claimed: they are, or are left alone. */
  get #skipped(): number {
    return this.#claiming.size + this.#agenda.paused;
  }

  /** How many to ask for. */
  get #limit(): number {
    return this.#room + this.#skipped;
  }

  #unknown<T extends ReadyWorkflow>(found: readonly T[]): T[] {
    return found.filter(({ workflowId }) =>
      !this.#inHand.has(workflowId) && !this.#agenda.isPaused(pauseKey(workflowId))
    );
  }

  #take(found: readonly ReadyWorkflow[]): void {
    for (const workflow of this.#unknown(found)) {
      if (this.#room <= 0) return;
      const { workflowId } = workflow;
      this.#inHand.set(workflowId, workflow);
      this.#claiming.add(workflow);
      const claimed = () => {
        const wasFull = this.#claiming.size === MAX_CLAIMS;
        if (!this.#claiming.delete(workflow) || !(wasFull || this.#heldBack)) return;
        this.#heldBack = false;
        this.look();
      };
      this.options.run(workflow, claimed).then((attempted) => {
        claimed();
        this.#inHand.delete(workflowId);
        this.#leaveAlone(workflowId, attempted);
        this.look();
      });
    }
  }

  /** Leaves a workflow alone that could not be claimed: for longer each time. */
  #leaveAlone(workflowId: string, attempted: Attempted): void {
    if (this.#stopped) return;
    if (attempted === "ran") {
      this.#failures.delete(workflowId);
      this.#memory.endPause(workflowId);
      return;
    }
    const failures = (this.#failures.get(workflowId) ?? 0) + 1;
    // Without this, one after the other of them all would be left alone, until long after the store is back.
    if (attempted === "storeFailed") this.#agenda.pause(CLAIM, STORE_PAUSE_MS);
    const longest = attempted === "failed" ? MAX_PAUSE_MS : STORE_PAUSE_MS;
    const pauseMs = Math.min(MIN_PAUSE_MS * 2 ** Math.min(failures - 1, 16), longest);
    this.#agenda.pause(pauseKey(workflowId), pauseMs);
    if (this.#memory.paused >= MAX_REMEMBERED) return;
    this.#failures.set(workflowId, failures);
    this.#memory.pause(workflowId, Math.max(3 * pauseMs, 4 * RECOVERY_INTERVAL_MS));
  }

  // --- Workflows whose process is gone ---

  #recoverLater(): void {
    if (this.#stopped) return;
    this.#cancelRecovery ??= this.options.clock.setTimer(RECOVERY_INTERVAL_MS, async () => {
      // Whoever commits while this looks is looked at the next time.
      this.#cancelRecovery = undefined;
      let others = true;
      // The next time is soon.
      await this.options.health.attempt("look for lost processes", async () => {
        others = await this.#recover();
      });
      if (others) this.#recoverLater();
    });
  }

  /** @returns whether other executors own workflows, as far as can be told */
  async #recover(): Promise<boolean> {
    const { store, executors, self } = this.options;
    const others = (await store.owners(MAX_OWNERS)).filter(({ executor }) => executor !== self);
    for (const { executor, leaseUntil } of others) {
      if (this.#room === 0) break;
      if (executors.isLost({ executor, leaseUntil })) await this.#takeOver(executor);
    }
    return others.length > 0;
  }

  async #takeOver(executor: number): Promise<void> {
    const { store, clock, codes, queueNames } = this.options;
    for (const queue of await store.ownedQueues(executor)) {
      const [room] = queue === null ? [] : await this.#rooms([queue], clock.now());
      const here = queue === null ? queueNames === undefined ? Infinity : 0 : room?.here ?? 0;
      const count = Math.min(here, this.#room);
      if (count <= 0) continue;
      const found = await store.ownedBy(executor, queue, { codes, limit: count + this.#skipped });
      this.#take(this.#unknown(found).slice(0, count));
    }
  }

  /** Claims no more. */
  stop(): void {
    this.#stopped = true;
    this.#agenda.close();
    this.#memory.close();
    this.#stopWatching();
    this.#cancelRecovery?.();
    this.#release();
  }
}

function pauseKey(workflowId: string): string {
  return `workflow ${workflowId}`;
}

/** The first of each list, then the second of each, and so on. */
function inTurns<T>(lists: readonly (readonly T[])[]): T[] {
  const longest = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: longest }, (_, i) => lists.flatMap((list) => list.slice(i, i + 1))).flat();
}
