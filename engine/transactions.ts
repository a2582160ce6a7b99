import { StoreError } from "./errors.ts";
import { Outbox, type OutboxServices } from "./outbox.ts";
import type { Batch, OpenTransaction, SqlParameter } from "./store/database.ts";
import type { Signal } from "./signal.ts";
import type { Transaction, TransactionFunction, TransactionStartOptions, Workflow } from "./workflow.ts";

/** What transactions need of their engine. */
export interface TransactionServices extends OutboxServices {
  /** How long one may be open, where nothing else is said. */
  readonly transactionTimeoutMs: number;
}

/** How a transaction is begun. */
export interface BeginOptions {
  /** The run that it is of, if it is one of a workflow. */
  readonly run?: number;
  /** Its key there. */
  readonly key?: string;
  readonly timeoutMs?: number;
}

/** The transactions of an engine. */
export class Transactions {
  /** Whether the function of one is being called just now. */
  #calling = false;

  constructor(private readonly services: TransactionServices) {}

  /** Refuses a transaction in the function of another. It can be told only before that has awaited anything. */
  refuseNested(): void {
    if (!this.#calling) return;
    throw new TypeError(
      "Cannot begin a transaction in the function of another: it would wait for that one, which waits for it",
    );
  }

  /** Begins a transaction, which must be ended, by {@linkcode StartedTransaction.perform} or otherwise. */
  async begin(
    { run, key, timeoutMs = this.services.transactionTimeoutMs }: BeginOptions,
  ): Promise<StartedTransaction> {
    const open = await this.services.store.begin({ stream: run, key, timeoutMs });
    return new StartedTransaction(open, new Outbox(this.services), (call) => {
      this.#calling = true;
      try {
        return call();
      } finally {
        this.#calling = false;
      }
    });
  }

  /** Runs a transaction that is none of a workflow. @returns what its function returns, once it is committed */
  async perform<T>(fn: TransactionFunction<T>, timeoutMs: number | undefined): Promise<T> {
    const started = await this.begin({ ...timeoutMs !== undefined && { timeoutMs } });
    const value = await started.perform(fn);
    await new Promise<void>((committed, failed) =>
      started.commit({ batch: [], check() {}, committed, failed })
    );
    return value;
  }
}

/** A transaction that is open, as its function sees it and as it is ended. */
export class StartedTransaction {
  readonly #open: OpenTransaction;
  readonly #outbox: Outbox;
  #sealed = false;
  #failure: StoreError | undefined;

  /** @param call calls a function with note taken of that */
  constructor(
    open: OpenTransaction,
    outbox: Outbox,
    private readonly call: <T>(call: () => T) => T,
  ) {
    this.#open = open;
    this.#outbox = outbox;
  }

  /** What the store itself has failed with, if that is what ended its function. */
  get failure(): StoreError | undefined {
    return this.#failure;
  }

  /**
   * Runs its function.
   *
   * @returns what that returns; the transaction is open still, and must be ended
   * @throws what that throws, or what kept it from being stored; the transaction is rolled back then
   */
  async perform<T>(fn: TransactionFunction<T>): Promise<T> {
    try {
      const value = await Promise.race([this.call(() => fn(this.#handle())), this.#open.expired]);
      await Promise.race([this.#outbox.settled(), this.#open.expired]);
      this.#open.seal();
      return value;
    } catch (error) {
      this.#open.rollback();
      // Whatever the function makes of it: of a store that fails nothing is to be said but that.
      if (this.#open.failure instanceof StoreError) this.#failure = this.#open.failure;
      else if (error === this.#outbox.failure) this.#failure = this.#outbox.failure;
      throw this.#failure ?? error;
    } finally {
      this.#sealed = true;
    }
  }

  #handle(): Transaction {
    const [open, outbox] = [this.#open, this.#outbox];
    const check = () => this.#checkOpen();
    return {
      run: (sql, ...params) => open.run(sql, params),
      all: <T>(sql: string, ...params: SqlParameter[]) => open.all(sql, params) as Promise<T[]>,
      get: async <T>(sql: string, ...params: SqlParameter[]) =>
        (await open.all(sql, params))[0] as T | undefined,
      async signal(id: string, signal: Signal<unknown> | string, payload?: unknown, options?) {
        check();
        await outbox.signal(id, signal, payload, options);
      },
      // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
      async start<I, O>(workflow: Workflow<I, O, any>, options?: TransactionStartOptions<I>) {
        check();
        return await outbox.start(workflow, options);
      },
    };
  }

  #checkOpen(): void {
    if (this.#open.failure !== undefined) throw this.#open.failure;
    if (this.#sealed) throw new TypeError("Cannot use a transaction whose function has ended");
  }

  /** Commits it with what its function has sent and started, and a batch. Calls back before it returns. */
  commit(end: {
    batch: Batch;
    check(results: readonly number[]): void;
    committed(): void;
    failed(error: unknown): void;
  }): void {
    const { length } = end.batch;
    this.#open.commit({
      batch: [...end.batch, ...this.#outbox.statements],
      check: (results) => {
        end.check(results.slice(0, length));
        this.#outbox.check(results.slice(length));
      },
      committed: () => {
        end.committed();
        this.#outbox.committed();
      },
      failed: end.failed,
    });
  }

  /** Undoes it, if it is open. */
  rollback(): void {
    this.#open.rollback();
  }
}
