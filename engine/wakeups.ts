import { Again } from "./again.ts";
import { Alarm } from "./alarm.ts";
import type { Clock } from "./clock.ts";
import { StoreError } from "./errors.ts";
import type { Mailbox } from "./store/mailbox.ts";
import type { Store } from "./store/store.ts";

/** What the store is asked for at a time. */
const PAGE = 1_000;
/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;

/**
 * Finds out which waiting workflows are due, or have been sent something, by this process or another.
 *
 * Owns: the alarm for the next time at which one is due, and how far the messages have been looked through. Does not
 * own: which workflows this process is to wake, and how.
 *
 * 1. Nothing is polled: the alarm is set to the time at which the next workflow is due by the store; messages of other
 *    processes are looked for when the store has seen a commit of theirs.
 * 2. A workflow that is due stays so in the store until somebody has claimed it: no wake-up is lost with a process.
 */
export class Wakeups {
  #stopWatching: (() => void) | undefined;
  readonly #alarm: Alarm;
  /** The last of the messages that have been looked through. */
  #lastMessage: number | undefined;
  readonly #looking = new Again(() => this.#look());

  constructor(
    private readonly options: {
      store: Store;
      mailbox: Mailbox;
      clock: Clock;
      /** Whether a workflow that is due is to be woken here. */
      wants: (workflow: { workflowId: string; name: string }) => boolean;
      /** Takes a workflow up that is due, or was sent something. Must not reject. */
      wake: (workflowId: string) => Promise<void>;
      /** Hears of everybody who was sent something. */
      told: (workflowId: string) => void;
    },
  ) {
    this.#alarm = new Alarm(options.clock, () => this.look());
  }

  /** Begins to look, if it has not yet. */
  start(): void {
    if (this.#stopWatching !== undefined) return;
    this.#stopWatching = this.options.store.watch(() => this.look());
    this.look();
  }

  /** Looks no more. */
  stop(): void {
    this.#stopWatching?.();
    this.#stopWatching = undefined;
    this.#alarm.clear();
    this.#lastMessage = undefined;
  }

  /** Notes that a workflow waits until then. */
  expect(dueAt: number): void {
    if (this.#stopWatching !== undefined) this.#alarm.set(dueAt);
  }

  /** Looks now; if it is looking already, once more after that. */
  look(): void {
    if (this.#stopWatching !== undefined) this.#looking.ask();
  }

  async #look(): Promise<void> {
    if (this.#stopWatching === undefined) return;
    const { store, clock } = this.options;
    try {
      await this.#lookForMessages();
      const now = clock.now();
      await this.#wakeDue(now);
      const next = await store.nextDue(now);
      if (next !== undefined) this.expect(next);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (this.#stopWatching !== undefined) this.#alarm.set(clock.now() + STORE_PAUSE_MS);
    }
  }

  async #lookForMessages(): Promise<void> {
    const { mailbox, told } = this.options;
    // Whoever begins to wait, or to run, looks for what was sent before; and a workflow that waits for it is due.
    let after = this.#lastMessage ?? await mailbox.last();
    for (let more = true; more && this.#stopWatching !== undefined;) {
      const { workflowIds, last, count } = await mailbox.recipients(after, PAGE);
      more = count === PAGE;
      after = this.#lastMessage = last;
      for (const workflowId of workflowIds) told(workflowId);
    }
  }

  async #wakeDue(now: number): Promise<void> {
    const { store, wants, wake } = this.options;
    let after = { dueAt: -1, workflow: 0 };
    while (this.#stopWatching !== undefined) {
      const page = await store.due(now, after, PAGE);
      await Promise.all(page.filter(wants).map(({ workflowId }) => wake(workflowId)));
      if (page.length < PAGE) return;
      after = page.at(-1)!;
    }
  }
}
