import { isWorkflow } from "./define_workflow.ts";
import { isEngineFailure } from "./engine_failure.ts";
import { LimitExceededError, StoreError, WorkflowConflictError, WorkflowStateError } from "./errors.ts";
import { durationMs } from "./duration.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { randomId, type RandomSource, randomUuid } from "./random.ts";
import { encodeAhead } from "./serialize.ts";
import { type Signal, SIGNAL_OPTIONS, signalName } from "./signal.ts";
import { checkInput, checkWorkflow } from "./started_with.ts";
import type { Statement } from "./store/database.ts";
import { type Mailbox, MAX_KEPT, signalTopic } from "./store/mailbox.ts";
import { hasEnded } from "./store/records.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { Store } from "./store/store.ts";
import { inputText } from "./validation.ts";
import type { TransactionStartOptions, Workflow } from "./workflow.ts";

/** What an outbox needs of its engine. */
export interface OutboxServices {
  readonly store: Store;
  readonly mailbox: Mailbox;
  readonly clock: { now(): number };
  readonly random: RandomSource;
  readonly maxValueBytes: number;
  /** Tells a workflow that it was sent something, if it is here. */
  told(workflowId: string): void;
  /** Runs a workflow that is stored, if it can be run here. */
  takeUp(workflow: Workflow, workflowId: string): void;
}

/** How many signals a transaction may send and workflows it may start, in all. */
const MAX_SENT = 10_000;

const START_OPTIONS = optionNames<TransactionStartOptions<unknown>>({ id: true, input: true, timeout: true });

/** A statement, and what must be so once it has run. */
interface Checked {
  readonly statement: Statement;
  check?(rows: number): void;
}

/**
 * The signals that a transaction sends and the workflows it starts: written with its commit, told after that.
 *
 * Owns: what is to be written. Does not own: the transaction. While that is open nobody else writes to the store, so
 * what is read of it here is so at the commit too.
 */
export class Outbox {
  readonly #checked: Checked[] = [];
  /** How many signals and starts these are of. */
  #sent = 0;
  readonly #recipients = new Set<string>();
  readonly #started = new Map<string, { workflow: Workflow; input: WorkflowInput }>();
  /** The idempotency keys of its signals. */
  readonly #keys = new Set<string>();
  #failure: StoreError | undefined;
  /** What it was asked for last: one after the other, in the order of the calls. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(private readonly services: OutboxServices) {}

  /** What the store has failed with, if it has, at something that was asked of this: the last of it. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  /** Asks the store for something. What that fails with is told from what code of users throws, such as a schema's. */
  async #ask<T>(asked: Promise<T>): Promise<T> {
    try {
      return await asked;
    } catch (error) {
      if (error instanceof StoreError) this.#failure = error;
      throw error;
    }
  }

  /** See `Transaction.signal()`. */
  signal(
    id: string,
    signal: Signal<unknown> | string,
    payload: unknown,
    options: { idempotencyKey?: string } = {},
  ): Promise<void> {
    const { store, mailbox, clock, maxValueBytes } = this.services;
    checkName(id, "a workflow id");
    const name = signalName(signal);
    checkOptions(options, SIGNAL_OPTIONS, "send signal", name);
    const { idempotencyKey: key } = options;
    if (key !== undefined) checkName(key, "an idempotency key");
    // As it is now, whatever is done before it is its turn.
    const encoded = encodeAhead(payload, `the payload of signal "${name}"`, maxValueBytes);
    return this.#next(async () => {
      const payloadJson = await encoded;
      const topic = signalTopic(name);
      if (
        key !== undefined &&
        (this.#keys.has(keyOf(id, topic, key)) || await this.#ask(mailbox.has(id, topic, key)))
      ) {
        return;
      }
      const status = (await this.#ask(store.find(id)))?.status;
      if (status !== undefined && hasEnded(status)) {
        throw new WorkflowStateError(id, `send signal "${name}" to`, "one that has not ended", status);
      }
      const message = { workflowId: id, topic, payloadJson, sentAt: clock.now() };
      const [count, send, wake] = mailbox.sending(message, { key, max: MAX_KEPT });
      const check = (rows: number) => {
        if (rows === 1) return;
        const what = `send signal "${name}" to "${id}"`;
        throw new LimitExceededError("messages kept for a workflow", MAX_KEPT, what);
      };
      this.#sent++;
      this.#checked.push({ statement: count }, { statement: send, check }, { statement: wake });
      if (key !== undefined) this.#keys.add(keyOf(id, topic, key));
      this.#recipients.add(id);
    });
  }

  /** See `Transaction.start()`. */
  start<I>(workflow: Workflow<I>, options: TransactionStartOptions<I> = {}): Promise<string> {
    const { store, clock, random, maxValueBytes } = this.services;
    if (!isWorkflow(workflow)) throw new TypeError("Cannot start: wanted what workflow() returns");
    checkOptions(options, START_OPTIONS, "start workflow", workflow.name);
    const { id = randomUuid(random), timeout, input: given } = options;
    checkName(id, "a workflow id");
    const timeoutMs = timeout === undefined
      ? workflow.timeoutMs
      : durationMs(timeout, "timeout of a workflow");
    const { name, version } = workflow;
    const starting = `workflow "${id}"`;
    const encode = () =>
      inputText(workflow, given, { starting, what: `the input of ${starting}`, maxValueBytes });
    // As it is now, whatever is done before it is its turn; one that is left out is refused only if it is needed.
    const encoded = given === undefined ? undefined : encode();
    encoded?.catch(() => {});
    return this.#next(async () => {
      const inputJson = await encoded;
      const record = await this.#ask(store.find(id));
      const known = this.#started.get(id)?.input ?? (record && await this.#ask(store.input(record)));
      if (known !== undefined) {
        checkWorkflow(known, name);
        await checkInput(known, inputJson);
        return id;
      }
      const now = clock.now();
      const input: WorkflowInput = {
        workflowId: id,
        name,
        inputJson: inputJson === undefined ? await encode() : inputJson,
        createdAt: now,
        seed: randomId(random),
        ...version !== undefined && { version },
        ...timeoutMs !== undefined && { deadlineAt: now + timeoutMs },
      };
      const check = (rows: number) => {
        if (rows !== 1) throw new WorkflowConflictError(id, "workflow", "another", `"${name}"`);
      };
      const [create, createInput] = store.starting(input) as [Statement, Statement];
      this.#sent++;
      this.#checked.push({ statement: create, check }, { statement: createInput, check });
      this.#started.set(id, { workflow, input });
      return id;
    });
  }

  #next<T>(act: () => Promise<T>): Promise<T> {
    const next = this.#last.then(() => {
      if (this.#sent < MAX_SENT) return this.#noting(act());
      throw new LimitExceededError("signals and starts of a transaction", MAX_SENT, "send or start more");
    });
    this.#last = next.catch(() => {});
    return next;
  }

  async #noting<T>(acted: Promise<T>): Promise<T> {
    try {
      return await acted;
    } catch (error) {
      if (isEngineFailure(error)) this.#failure = error;
      throw error;
    }
  }

  /** Settled once all that it was asked for has been seen to. */
  async settled(): Promise<void> {
    let last: unknown;
    while (last !== this.#last) {
      last = this.#last;
      await last;
    }
  }

  /** What is to be committed. */
  get statements(): Statement[] {
    return this.#checked.map(({ statement }) => statement);
  }

  /** Checks the results of the statements. @throws if one of them did not do what it is for */
  check(results: readonly number[]): void {
    for (const [i, { check }] of this.#checked.entries()) check?.(results[i]!);
  }

  /** All is committed: tells so. */
  committed(): void {
    for (const [id, { workflow }] of this.#started) this.services.takeUp(workflow, id);
    for (const id of this.#recipients) this.services.told(id);
  }
}

/** What tells a signal with an idempotency key from the others. */
function keyOf(...parts: string[]): string {
  return JSON.stringify(parts);
}
