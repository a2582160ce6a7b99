import { findArrivalsOf, type Waiting } from "./arrivals.ts";
import type { Clock } from "./clock.ts";
import { DueTimes } from "./due_times.ts";
import type { RunningRows } from "./running_rows.ts";
import { Scope } from "./scope.ts";
import { CANCEL_TOPIC, type Mailbox, PAUSE_TOPIC } from "./store/mailbox.ts";
import type { Checkpoint, WorkflowInput } from "./store/rows.ts";
import type { Ownership } from "./store/ownership.ts";
import type { ArrivedRow, Store } from "./store/store.ts";
import type { Turns } from "./turns.ts";

/** For how long a workflow stays in memory that does nothing but wait, in case it need not wait for long. */
const LINGER_MS = 1_000;
/** After what time the store is told that it waits: what comes sooner costs no more than its own commit. */
const REST_AFTER_MS = 10;

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
  /**
   * Makes what has come a part of the history, and has the workflow see it.
   *
   * @param rejoins whether the workflow waits as far as the store knows, and is to be taken up again in the same commit
   * @returns settled once it is committed: whether it was to be had, if it had to be taken up
   */
  arrive(arrivals: readonly ArrivedRow[], rejoins: boolean): Promise<boolean>;
  /** Whoever runs workflows may run another one in its place: it waits, as far as the store knows. */
  rested(): void;
  /** Ends the run: it is let go until then, or until a message comes. */
  parked(dueAt: number | null): void;
  /** The same, and what has become of the workflow, in whatever hands, is to be found out. */
  lostRest(dueAt: number | null): void;
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
 * 3. A run that waits for a message rests a while before it is let go: for the store, and for all others, its workflow waits
 *    already. What comes then has it go on without a replay, if nobody has had the workflow meanwhile.
 * 4. What a look, and what is added, costs does not depend on how much there is that is waited for, and has not come.
 */
export class Waits {
  /** In the order in which the workflow asked. */
  readonly #rows = new Map<string, Checkpoint>();
  /** What each of them is a part of. */
  readonly #scopes = new Map<string, Scope>();
  /** The rows by what they wait for: by the topic of a message, and by a time. */
  readonly #byTopic = new Map<string, Map<string, Checkpoint>>();
  readonly #due = new DueTimes<string>();
  /** The topics of which something may have come. */
  #news = new Set<string>();
  /** The last message whose topic was noted; undefined before the first look. */
  #readTo: number | undefined;
  #pauses: Map<string, Pause> | undefined;
  #pausesDue: DueTimes<string> | undefined;
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
  /** Whether the workflow waits as far as the store knows, though the run is still here. */
  #resting = false;
  /** Whether the run is let go if the next look has found nothing. */
  #mustGoOn = false;
  /** Whether the next look is not to go on after a rest with what has come. */
  #onlyChecks = false;
  #looked: (() => void)[] = [];
  #ended = false;
  /** What would begin while the run is being let go, and begins if it is not. */
  readonly #deferred: (() => void)[] = [];
  #stopLingering: (() => void) | undefined;
  #cancelRest: (() => void) | undefined;
  #lingersNoMore = false;

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

  /** Whether the workflow waits as far as the store knows: nothing of it can be written then. */
  get isResting(): boolean {
    return this.#resting;
  }

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
    this.#due.set(key, row.nextAttemptAt ?? Infinity);
    const { rows } = this.run;
    if (rows.get(key) === undefined) rows.begin(key, () => row);
    if (row.topic !== undefined) {
      let ofTopic = this.#byTopic.get(row.topic);
      if (ofTopic === undefined) this.#byTopic.set(row.topic, ofTopic = new Map());
      ofTopic.set(key, row);
      this.#news.add(row.topic);
      this.run.host.listen();
    }
    this.#setTimer();
    this.#lookSoon();
  }

  /** Nothing waits for it any more. @returns whether anything did */
  #remove(key: string): boolean {
    const row = this.#rows.get(key);
    if (row === undefined) return false;
    this.#rows.delete(key);
    this.#scopes.get(key)?.end();
    this.#scopes.delete(key);
    if (row.kind === "cleanup") this.#cleanups--;
    this.#due.delete(key);
    if (row.topic !== undefined) {
      const ofTopic = this.#byTopic.get(row.topic)!;
      ofTopic.delete(key);
      if (ofTopic.size === 0) this.#byTopic.delete(row.topic);
    }
    return true;
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
        this.#pausesDue!.delete(key);
        waiting.end();
        wake();
      };
      waiting.onabort = proceed;
      (this.#pauses ??= new Map()).set(key, { until, wake: proceed });
      (this.#pausesDue ??= new DueTimes()).set(key, until);
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
    this.#onlyChecks = false;
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
      if (this.#onlyChecks && this.#resting && !this.#mustGoOn && this.#deferred.length === 0) {
        this.#onlyChecks = false;
        if (await this.#rests()) continue;
        return;
      }
      const requests = this.#lookForRequests;
      this.#lookForRequests = false;
      this.#wakePauses();
      if (requests && !this.#resting && await this.isPaused()) {
        this.#looking = false;
        return await host.hold();
      }
      const arrivals = await this.#findArrivals(requests);
      // Where the function was called again meanwhile, they are looked for once it is as far as it was.
      if (!host.live) {
        this.#lookAgain = true;
        this.#lookForRequests ||= requests;
      }
      if (!host.live || this.#ended) continue;
      if (this.#resting) {
        if (!await this.#goOnAfterRest(arrivals, requests)) return;
      } else if (arrivals.length > 0) {
        this.#lookAgain = true;
        this.#take(arrivals);
        await host.arrive(arrivals, false);
      }
    }
    this.#looking = false;
    for (const looked of this.#looked.splice(0)) looked();
    if (this.#ended || !host.live) return;
    this.#setTimer();
    this.rest();
  }

  /** What has come is waited for no more. */
  #take(arrivals: readonly ArrivedRow[]): void {
    for (const { checkpoint } of arrivals) this.#remove(checkpoint.key);
  }

  /**
   * Goes on after a rest, if there is a reason to.
   *
   * @returns whether the run is not over
   */
  async #goOnAfterRest(arrivals: readonly ArrivedRow[], requests: boolean): Promise<boolean> {
    const { host } = this.run;
    if (arrivals.length === 0 && this.#deferred.length === 0) {
      return this.#mustGoOn || requests ? await this.#rests() : !this.#ended;
    }
    this.#lookAgain = true;
    this.#take(arrivals);
    if (!await host.arrive(arrivals, true)) {
      if (!this.#ended) host.lostRest(this.#dueAtOrNull);
      return false;
    }
    return !this.#ended;
  }

  /** Ends the run where its workflow does not wait any more, or is to be let go. @returns whether it is not over */
  async #rests(): Promise<boolean> {
    const { owner, host } = this.run;
    const isStill = await this.services.store.isResting(owner);
    if (this.#ended) return false;
    if (isStill && !this.#mustGoOn) return true;
    // Others have paused it, or had it meanwhile.
    if (!isStill) host.lostRest(this.#dueAtOrNull);
    else host.parked(this.#dueAtOrNull);
    return false;
  }

  /** In a rest, finds out whether the workflow waits still: what has come is left for later. */
  checkRest(): void {
    const isAsked = this.#lookAgain;
    this.#lookSoon();
    this.#onlyChecks = !isAsked;
  }

  /** The workflow is this run's again: goes on with what was put off meanwhile. */
  rejoined(): void {
    this.#resting = false;
    this.#mustGoOn = false;
    this.#stopLingering?.();
    for (const proceed of this.#deferred.splice(0)) proceed();
  }

  /** After a rest, goes on if something has come, and otherwise ends the run. @returns settled once that is decided */
  async goOn(): Promise<void> {
    if (!this.#resting || this.#ended) return;
    this.#mustGoOn = true;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#looked.push(resolve);
    this.look();
    await promise;
  }

  #wakePauses(): void {
    const now = this.services.clock.now();
    for (const key of this.#pausesDue?.dueBy(now) ?? []) this.#pauses!.get(key)?.wake();
  }

  /** Whether the workflow is to be paused: not before it has been told that it is cancelled. */
  async isPaused(): Promise<boolean> {
    const { owner: { workflowId }, host } = this.run;
    const isKept = async (topic: string) =>
      await this.services.mailbox.first(workflowId, topic) !== undefined;
    return await isKept(PAUSE_TOPIC) && !(host.interruptible && await isKept(CANCEL_TOPIC));
  }

  async #findArrivals(requests: boolean): Promise<ArrivedRow[]> {
    const { input, owner, rows, host } = this.run;
    const interruptible = host.interruptible && (requests || input.deadlineAt !== undefined);
    if (this.#rows.size === 0 && !interruptible) return [];
    await this.#readNews();
    const now = this.services.clock.now();
    const topics = new Map<string, Waiting>();
    for (const topic of this.#news) {
      const waiting = this.#byTopic.get(topic);
      if (waiting !== undefined) topics.set(topic, waiting);
    }
    this.#news = new Set();
    const due = this.#due.dueBy(now).map((key) => this.#rows.get(key)!);
    if (topics.size === 0 && due.length === 0 && !interruptible) return [];
    const options = { input, interruptible, now, run: owner.run };
    const { arrivals, left } = await findArrivalsOf(this.services, { topics, due }, options);
    for (const topic of left) this.#news.add(topic);
    // Meanwhile the workflow may have given up what it waited for, or may be where it cannot see it: another wait gets it.
    const isWanted = ({ checkpoint: { key, kind } }: ArrivedRow) =>
      kind === "cancel" ? host.interruptible : this.#rows.has(key);
    for (const arrival of arrivals) {
      const { topic } = arrival.checkpoint;
      if (topic === undefined || host.live && isWanted(arrival)) continue;
      this.#news.add(topic);
      this.#lookAgain = true;
    }
    return arrivals.filter(isWanted)
      .map((arrival) => ({ ...arrival, replacesRunning: rows.get(arrival.checkpoint.key) !== undefined }));
  }

  /** Notes the topics of the messages that have come since this was done last. */
  async #readNews(): Promise<void> {
    if (this.#byTopic.size === 0) return;
    const { mailbox } = this.services;
    if (this.#readTo === undefined) {
      // Of all that is waited for by now, it is looked for what came before.
      this.#readTo = await mailbox.last();
      return;
    }
    const { topics, last } = await mailbox.news(this.run.owner.workflowId, this.#readTo);
    this.#readTo = last;
    for (const topic of topics) if (this.#byTopic.has(topic)) this.#news.add(topic);
  }

  /** When the run has to look again at the latest. */
  get #dueAt(): number {
    const deadlineAt = this.run.host.interruptible ? this.run.input.deadlineAt ?? Infinity : Infinity;
    return Math.min(deadlineAt, this.#due.earliest, this.#pausesDue?.earliest ?? Infinity);
  }

  get #dueAtOrNull(): number | null {
    return this.#dueAt === Infinity ? null : this.#dueAt;
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
      else if (this.#hasComeToRest()) this.#rest();
    });
  }

  #hasComeToRest(): boolean {
    return this.waiting && !this.#looking && !this.#parking && !this.#resting && !this.#ended &&
      this.run.host.resting;
  }

  #rest(): void {
    const { clock, alwaysReplay } = this.services;
    if (alwaysReplay) return this.#park();
    if (this.#dueAt - clock.now() <= LINGER_MS) return;
    if (this.#stopLingering === undefined) {
      const giveBack = this.#byTopic.size > 0 ? this.run.host.linger() : undefined;
      if (giveBack === undefined) return this.#park();
      this.#linger(giveBack);
    }
    this.#cancelRest ??= clock.setTimer(REST_AFTER_MS, () => {
      this.#cancelRest = undefined;
      if (this.#hasComeToRest() && this.#dueAt - clock.now() > LINGER_MS) this.#leave();
    });
  }

  /** Stays a while, most of it in a rest. */
  #linger(giveBack: () => void): void {
    const { clock } = this.services;
    const { completions } = this.run.host;
    this.#lingersNoMore = false;
    const cancelEnd = clock.setTimer(LINGER_MS, () => {
      this.#stopLingering!();
      if (this.#resting) return void this.goOn();
      this.#lingersNoMore = this.#parking;
      if (!this.#hasComeToRest()) return;
      if (completions === this.run.host.completions) this.#park();
      else this.#rest();
    });
    this.#stopLingering = () => {
      this.#stopLingering = undefined;
      this.#cancelRest?.();
      this.#cancelRest = undefined;
      cancelEnd();
      giveBack();
    };
  }

  get #topics(): string[] {
    return [...this.#byTopic.keys()];
  }

  #park(): void {
    this.#stopLingering?.();
    this.#lingersNoMore = true;
    this.#leave();
  }

  #leave(): void {
    this.#parking = true;
    this.#parkNow().catch(this.#failed);
  }

  /** Once the run is over, it is told by its outcome alone. */
  #failed = (error: unknown): void => {
    if (this.#ended) return;
    // In a rest, the run can write nothing: whoever takes the workflow up meets what is wrong.
    if (this.#resting) this.run.host.lostRest(this.#dueAtOrNull);
    else void this.run.host.stopFor(error);
  };

  async #parkNow(): Promise<void> {
    const { owner, rows, host } = this.run;
    const { unwritten } = this;
    for (const row of unwritten) rows.stored(row);
    const dueAt = this.#dueAtOrNull;
    const topics = [...this.#topics, ...host.interruptible ? [CANCEL_TOPIC] : [], PAUSE_TOPIC];
    const now = this.services.clock.now();
    const result = await this.services.store.park(owner, { rows: unwritten, dueAt, topics, now });
    if (this.#ended) return;
    if (result === "lost") return host.loseLease("wait");
    this.#parking = false;
    if (result === "parked") {
      if (this.#lingersNoMore) return host.parked(dueAt);
      this.#resting = true;
      host.rested();
      // What came, or was asked for, since it was decided to rest.
      if (this.#deferred.length > 0 || this.#lookAgain) this.#lookSoon();
      return;
    }
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

  /** Puts off what would begin while the run is being let go, or rests. @returns whether it is: if not, it may begin at once */
  defer(proceed: () => void): boolean {
    if (!this.#parking && !this.#resting) return false;
    this.#deferred.push(proceed);
    if (this.#resting) this.#lookSoon();
    return true;
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
    this.#byTopic.clear();
    this.#due.clear();
    this.#pauses?.clear();
    this.#pausesDue?.clear();
    this.#deferred.length = 0;
    for (const looked of this.#looked.splice(0)) looked();
  }
}
