import { Again } from "./again.ts";
import { Agenda } from "./agenda.ts";
import type { Clock } from "./clock.ts";
import type { StorageHealth } from "./storage_health.ts";
import type { Mailbox } from "./store/mailbox.ts";
import type { Store } from "./store/store.ts";

/** What the store is asked for at a time. */
const PAGE = 1_000;
/** How long after an error of the store it is tried again, in milliseconds. */
const STORE_PAUSE_MS = 1_000;

/**
 * Finds out which of the workflows that wait here are due, or have been sent something, by this process or another.
 *
 * Owns: when each of them is due, and how far the messages have been looked through. Does not own: which workflows wait
 * here, and how one is woken.
 *
 * 1. Nothing is polled: a workflow is woken at its own time; messages of other processes are looked for when the store has
 *    seen a commit of theirs.
 * 2. A workflow that is due stays so in the store until a process has claimed it: no wake-up is lost with this one.
 * 3. What waits in other processes, and is due there, is not looked at, however much of it there is.
 */
export class Wakeups {
  #stopWatching: (() => void) | undefined;
  /** When each is due. */
  readonly #agenda: Agenda;
  readonly #retries: Agenda;
  /** The last of the messages that have been looked through. */
  #lastMessage: number | undefined;
  readonly #looking = new Again(() => this.#look());

  constructor(
    private readonly options: {
      store: Store;
      mailbox: Mailbox;
      health: StorageHealth;
      clock: Clock;
      /** Claims a workflow that is due, or was sent something. Must not reject. */
      wake: (workflowId: string) => Promise<void>;
      /** Called once messages are looked for: who waited or ran before has to look for what was sent by then. */
      began: () => void;
      /** Is told of every workflow that was sent something. */
      told: (workflowId: string) => void;
    },
  ) {
    this.#agenda = new Agenda(options.clock, (due) => {
      for (const workflowId of due) void options.wake(workflowId);
    });
    this.#retries = new Agenda(options.clock, () => this.look());
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
    this.#agenda.clear();
    this.#retries.clear();
    this.#lastMessage = undefined;
  }

  /** Notes until when a workflow waits here; null for only until a message comes. */
  expect(workflowId: string, dueAt: number | null): void {
    this.#agenda.setTime(workflowId, dueAt ?? undefined);
  }

  /** A workflow does not wait here any more. */
  forget(workflowId: string): void {
    this.#agenda.setTime(workflowId, undefined);
  }

  /** Looks now; if it is looking already, once more after that. */
  look(): void {
    if (this.#stopWatching !== undefined) this.#looking.ask();
  }

  async #look(): Promise<void> {
    if (this.#stopWatching === undefined) return;
    const done = await this.options.health.attempt("look for messages", () => this.#lookForMessages());
    if (!done && this.#stopWatching !== undefined) this.#retries.pause("store", STORE_PAUSE_MS);
  }

  async #lookForMessages(): Promise<void> {
    const { mailbox, told, began } = this.options;
    let after = this.#lastMessage;
    if (after === undefined) {
      // Whoever begins to wait, or to run, after this looks for what was sent before it.
      after = this.#lastMessage = await mailbox.last();
      if (this.#stopWatching === undefined) return void (this.#lastMessage = undefined);
      began();
    }
    for (let more = true; more && this.#stopWatching !== undefined;) {
      const { workflowIds, last, count } = await mailbox.recipients(after, PAGE);
      more = count === PAGE;
      after = this.#lastMessage = last;
      for (const workflowId of workflowIds) told(workflowId);
    }
  }
}
