import { findArrivals } from "./arrivals.ts";
import type { Clock } from "./clock.ts";
import type { RunningRows } from "./running_rows.ts";
import { Scope } from "./scope.ts";
import { CANCEL_TOPIC, type Mailbox, PAUSE_TOPIC } from "./store/mailbox.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import type { Ownership } from "./store/ownership.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import type { Turns } from "./turns.ts";

/** For how long a workflow stays in memory that does nothing but wait, in case it need not wait for long. */
const LINGER_MS = 1_000;

/** What the waits of a run need of it. */
export interface WaitsHost {
  /** Whether the workflow does what it has not done before, and may go on with it. */
  readonly live: boolean;
  /** Whether it does nothing but wait: nothing runs, nothing is being written, it has seen all that there is. */
  readonly resting: boolean;
  /** Whether the workflow has seen a completion in this turn. */
  readonly moved: boolean;
  /** Whether it may still be cancelled, or run out of time. */
  readonly interruptible: boolean;
  /** How many completions there have been. */
  readonly completions: number;
  /** Makes what has come a part of the history, and has the workflow see it. @returns settled once it is committed */
  arrive(arrivals: readonly ArrivedRow[]): Promise<void>;
  /** Ends the run: it is let go until then, or until a message comes. */
  parked(dueAt: number | null): void;
  /** Stops at a checkpoint: the workflow was paused. */
  hold(): Promise<void>;
  /** Ends the run for an error that is not the workflow's. */
  stopFor(error: unknown): Promise<void>;
  loseLease(doing: string): void;
  /** Has messages of other processes be looked for. */
  listen(): void;
  /** Asks to keep the run in memory. @returns a function that gives the place back; undefined if there is none */
  linger(): (() => void) | undefined;
}

/** A step that waits for its next attempt. */
interface Pause {
  readonly until: number;
  readonly wake: () => void;
}

/**
 * What a run waits for, other than its own steps: times and messages.
 *
 * Owns: which these are, the timer for the earliest, and whether the run is let go meanwhile. Does not own: what has come
 * (arrivals.ts), and in which order the workflow sees it (run.ts).
 *
 * 1. What the workflow waits for is in the store before the run is let go; that is one commit, which changes nothing
 *    where a message is there that it waits for. So no wake-up is lost.
 * 2. A time is reached when the clock says so, whatever it did meanwhile.
 */
export class Waits {
  /** In the order in which the workflow asked. */
  readonly #rows = new Map<string, Checkpoint>();
  /** What each of them is a part of. */
  readonly #scopes = new Map<string, Scope>();
  #pauses: Map<string, Pause> | undefined;
  /** How many of the rows are of cleanups: what they wait for is the end of their time, for as long as their code goes on. */
  #cleanups = 0;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  #looking = false;
  #lookAgain = false;
  /** Whether requests are to be looked for as well: somebody has sent something, or may have. */
  #lookForRequests = false;
  #restScheduled = false;
  #parking = false;
  #ended = false;
  /** What would begin while the run is being let go, and begins if it is not. */
  readonly #deferred: (() => void)[] = [];
  #stopLingering: (() => void) | undefined;

  constructor(
    private readonly services: {
      readonly store: Store;
      readonly mailbox: Mailbox;
      readonly clock: Clock;
      readonly turns: Turns;
      /** Whether a workflow is let go whenever it waits, however short that may be. */
      readonly alwaysReplay: boolean;
    },
    private readonly run: {
      readonly owner: Ownership;
      readonly input: WorkflowInput;
      readonly rows: RunningRows;
      readonly host: WaitsHost;
    },
  ) {}

  /** Whether the run waits for anything that its code waits for. */
  get waiting(): boolean {
    return this.#rows.size > this.#cleanups || (this.#pauses?.size ?? 0) > 0;
  }

  /**
   * Has the run wait for a time or a message.
   *
   * @param row what says so in the store; it rides along with the next commit if it is not there yet
   * @param onGivenUp called when the part of the workflow that waits is given up before anything has come
   */
  add(row: Checkpoint, scope: Scope, onGivenUp: (reason: unknown) => void): void {
    const { key } = row;
    if (this.#ended) return;
    if (scope.aborted) return onGivenUp(scope.reason);
    const waiting = new Scope(scope);
    waiting.onabort = () => {
      if (this.#remove(key)) onGivenUp(waiting.reason);
    };
    this.#rows.set(key, row);
    this.#scopes.set(key, waiting);
    if (row.kind === "cleanup") this.#cleanups++;
    const { rows } = this.run;
    if (rows.get(key) === undefined) rows.begin(key, () => row);
    if (row.topic !== undefined) this.run.host.listen();
    this.#setTimer();
    this.#lookSoon();
  }

  /** Nothing waits for it any more. @returns whether anything did */
  #remove(key: string): boolean {
    this.#scopes.get(key)?.end();
    this.#scopes.delete(key);
    if (this.#rows.get(key)?.kind === "cleanup") this.#cleanups--;
    return this.#rows.delete(key);
  }

  /** The rows that say what the run waits for and are not in the store yet. */
  get unwritten(): Checkpoint[] {
    return [...this.#rows.values()].filter(({ key }) => this.run.rows.get(key) === undefined);
  }

  /** Has a step wait for its next attempt. @returns settled at that time, or once the step is given up */
  async pause(key: string, until: number, scope: Scope): Promise<void> {
    await new Promise<void>((wake) => {
      const waiting = new Scope(scope);
      const proceed = () => {
        if (!this.#pauses!.delete(key)) return;
        waiting.end();
        wake();
      };
      waiting.onabort = proceed;
      (this.#pauses ??= new Map()).set(key, { until, wake: proceed });
      this.#setTimer();
      this.rest();
    });
  }

  /**
   * The workflow now does what it has not done before.
   *
   * @param look whether something may have come that nobody has looked at
   */
  goLive(look: boolean): void {
    this.#setTimer();
    if (look || this.#lookAgain) this.look();
    else this.rest();
  }

  /**
   * Looks what has come.
   *
   * @returns whether it will be seen: not if the run is over, or is being let go
   */
  look(): boolean {
    this.#lookForRequests = true;
    return this.#lookSoon();
  }

  /** Looks what has come of what is waited for. */
  #lookSoon(): boolean {
    this.#lookAgain = true;
    if (this.#ended || this.#parking) return false;
    if (this.#looking) return true;
    this.#looking = true;
    // Not at once: what the workflow asks for together is looked for together.
    queueMicrotask(() => void this.#look().catch(this.#failed));
    return true;
  }

  async #look(): Promise<void> {
    const { host } = this.run;
    while (this.#lookAgain && host.live && !this.#ended) {
      this.#lookAgain = false;
      const requests = this.#lookForRequests;
      this.#lookForRequests = false;
      this.#wakePauses();
      if (requests && await this.isPaused()) {
        this.#looking = false;
        return await host.hold();
      }
      const arrivals = await this.#findArrivals(requests);
      // Where the function was called again meanwhile, they are looked for once it is as far as it was.
      if (!host.live) {
        this.#lookAgain = true;
        this.#lookForRequests ||= requests;
      }
      if (arrivals.length === 0 || !host.live || this.#ended) continue;
      for (const { checkpoint } of arrivals) this.#remove(checkpoint.key);
      this.#lookAgain = true;
      await host.arrive(arrivals);
    }
    this.#looking = false;
    if (this.#ended || !host.live) return;
    this.#setTimer();
    this.rest();
  }

  #wakePauses(): void {
    const now = this.services.clock.now();
    for (const { until, wake } of [...this.#pauses?.values() ?? []]) if (until <= now) wake();
  }

  /** Whether the workflow is to be paused: not before it has been told that it is cancelled. */
  async isPaused(): Promise<boolean> {
    const { owner: { workflowId }, host } = this.run;
    const isKept = async (topic: string) =>
      (await this.services.mailbox.kept(workflowId, topic, 1)).length > 0;
    return await isKept(PAUSE_TOPIC) && !(host.interruptible && await isKept(CANCEL_TOPIC));
  }

  async #findArrivals(requests: boolean): Promise<ArrivedRow[]> {
    const { input, owner, rows, host } = this.run;
    const interruptible = host.interruptible && (requests || input.deadlineAt !== undefined);
    const waits = [...this.#rows.values()];
    if (waits.length === 0 && !interruptible) return [];
    const now = this.services.clock.now();
    const arrivals = await findArrivals(this.services, waits, { input, interruptible, now, run: owner.run });
    // Meanwhile the workflow may have given up what it waited for.
    return arrivals
      .filter(({ checkpoint: { key, kind } }) => kind === "cancel" ? host.interruptible : this.#rows.has(key))
      .map((arrival) => ({ ...arrival, replacesRunning: rows.get(arrival.checkpoint.key) !== undefined }));
  }

  /** When the run has to look again at the latest. */
  get #dueAt(): number {
    let dueAt = this.run.host.interruptible ? this.run.input.deadlineAt ?? Infinity : Infinity;
    for (const { nextAttemptAt } of this.#rows.values()) dueAt = Math.min(dueAt, nextAttemptAt ?? Infinity);
    for (const { until } of this.#pauses?.values() ?? []) dueAt = Math.min(dueAt, until);
    return dueAt;
  }

  #setTimer(): void {
    const at = this.#dueAt;
    if (at === this.#timerAt && this.#cancelTimer !== undefined) return;
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#timerAt = at;
    if (at === Infinity || this.#ended) return;
    const { clock } = this.services;
    this.#cancelTimer = clock.setTimer(Math.max(0, at - clock.now()), () => {
      this.#cancelTimer = undefined;
      if (at > clock.now()) this.#setTimer();
      else this.#lookSoon();
    });
  }

  // --- Letting go ---

  /** Lets the run go, once all is quiet, if all that it does is wait, and for longer than a moment. */
  rest(): void {
    if (this.#restScheduled || !this.waiting) return;
    this.#restScheduled = true;
    // The workflow's code comes to rest first.
    this.services.turns.whenQuiet(() => {
      this.#restScheduled = false;
      // A commit of this very turn has moved the workflow on, and what it makes of that is still to come.
      if (this.run.host.moved) this.rest();
      else if (this.#isResting()) this.#rest();
    });
  }

  #isResting(): boolean {
    return this.waiting && !this.#looking && !this.#parking && !this.#ended && this.run.host.resting;
  }

  #rest(): void {
    const { clock, alwaysReplay } = this.services;
    if (alwaysReplay) return this.#park();
    if (this.#dueAt - clock.now() <= LINGER_MS || this.#stopLingering !== undefined) return;
    const giveBack = this.#topics.length > 0 ? this.run.host.linger() : undefined;
    if (giveBack === undefined) return this.#park();
    const { completions } = this.run.host;
    const cancelTimer = clock.setTimer(LINGER_MS, () => {
      this.#stopLingering!();
      if (!this.#isResting()) return;
      if (completions === this.run.host.completions) this.#park();
      else this.#rest();
    });
    this.#stopLingering = () => {
      this.#stopLingering = undefined;
      cancelTimer();
      giveBack();
    };
  }

  get #topics(): string[] {
    const topics = [...this.#rows.values()].flatMap(({ topic }) => topic ?? []);
    return [...new Set(topics)];
  }

  #park(): void {
    this.#stopLingering?.();
    this.#parking = true;
    this.#parkNow().catch(this.#failed);
  }

  /** Once the run is over, it is told by its outcome alone. */
  #failed = (error: unknown): void => void (this.#ended || this.run.host.stopFor(error));

  async #parkNow(): Promise<void> {
    const { owner, rows, host } = this.run;
    const { unwritten } = this;
    for (const row of unwritten) rows.stored(row);
    const dueAt = this.#dueAt === Infinity ? null : this.#dueAt;
    const topics = [...this.#topics, ...host.interruptible ? [CANCEL_TOPIC] : [], PAUSE_TOPIC];
    const now = this.services.clock.now();
    const result = await this.services.store.park(owner, { rows: unwritten, dueAt, topics, now });
    if (this.#ended) return;
    if (result === "parked") return host.parked(dueAt);
    if (result === "lost") return host.loseLease("wait");
    this.#parking = false;
    for (const proceed of this.#deferred.splice(0)) proceed();
    this.look();
  }

  /** Lets the run go, to be taken up again at once. */
  async yield(): Promise<void> {
    const { owner, host } = this.run;
    const now = this.services.clock.now();
    const dueAt = Math.min(now, this.#dueAt);
    this.#parking = true;
    // Whatever has been sent to it is seen by who takes it up.
    const result = await this.services.store.park(owner, { rows: this.unwritten, dueAt, topics: [], now });
    if (this.#ended) return;
    if (result === "parked") host.parked(dueAt);
    else host.loseLease("begin again");
  }

  /** Puts off what would begin while the run is being let go. @returns whether it is: if not, it may begin at once */
  defer(proceed: () => void): boolean {
    if (this.#parking) this.#deferred.push(proceed);
    return this.#parking;
  }

  /** The run is over: nothing is waited for any more. */
  end(): void {
    this.#ended = true;
    this.#stopLingering?.();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#rows.clear();
    this.#cleanups = 0;
    this.#scopes.clear();
    this.#pauses?.clear();
    this.#deferred.length = 0;
  }
}
