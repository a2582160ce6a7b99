/**
 * What the engine needs of a database, so that SQLite, with either driver, and others can stand behind it.
 *
 * @module
 */

/** A value that a statement takes or gives. */
export type SqlValue = string | number | null;

/** A value that a statement of a user's own may take. */
export type SqlParameter = string | number | bigint | null | Uint8Array;

/** A row of a result, by column name. */
export type Row = Record<string, unknown>;

/** One SQL statement with its parameters, in the order of their question marks. */
export interface Statement {
  readonly sql: string;
  readonly params: readonly SqlValue[];
  /** Whether its result is not the number of rows it changed but the key of the row it inserted, 0 if none. */
  readonly givesKey?: boolean;
  /**
   * For one that changes one row at most: the SQL that does as much as several of them, given all their parameters. It is
   * the same function for statements that may be made into one.
   */
  readonly several?: (count: number) => string;
}

/** Statements that are committed together or not at all. What each may change, it says in its own `WHERE`. */
export type Batch = readonly Statement[];

/** A batch, and who hears what has become of it: called, not promised, for the sake of those that write often. */
export interface Write {
  readonly batch: Batch;
  /** If given, the batch is one of a sequence: when one of a stream fails, those that wait behind it fail too. */
  readonly stream: number | undefined;
  /** The batch is committed; `results` has that of each statement: the number of rows it changed. Must not throw. */
  committed(results: readonly number[]): void;
  /** The batch could not be committed. Must not throw. */
  failed(error: Error): void;
}

/** A batch that is worth a place in somebody else's commit, but not one of its own until some time has passed. */
export interface Rider {
  /** See {@linkcode Write.stream}. */
  readonly stream: number;
  /** The batch, when a commit is about to happen; it may be empty by then. It is asked for once. */
  board(): Batch;
  /** The batch is committed; `counts` has the number of rows that each statement changed. */
  committed(counts: readonly number[]): void;
  /** The batch could not be committed. */
  failed(error: Error): void;
}

/** How a transaction is begun. */
export interface TransactionRequest {
  /** See {@linkcode Write.stream}. */
  readonly stream: number | undefined;
  /** How long it may be open. */
  readonly timeoutMs: number;
  /** Which transaction of a workflow it is, for the error when its time is over. */
  readonly key: string | undefined;
}

/** What is to be committed at the end of a transaction, and who hears what has become of that. */
export interface TransactionEnd {
  readonly batch: Batch;
  /** Is given the results of the batch before anything is committed. Throws to have nothing committed. */
  check(results: readonly number[]): void;
  /** All is committed. Must not throw. */
  committed(): void;
  /**
   * Nothing is: for what `check()` has thrown, a `StatementError` (a constraint that is checked at the end) or a
   * `StoreError`. Must not throw.
   */
  failed(error: unknown): void;
}

/**
 * A transaction with statements of a user's own. While it is open, nobody else writes to the database, and nothing of
 * it can be seen but by its own statements and, of the user's tables, by this connection.
 */
export interface OpenTransaction {
  /** Rejects when its time is over; it is rolled back then. */
  readonly expired: Promise<never>;
  /** What has ended it, or kept something of it from being stored, if something has. */
  readonly failure: Error | undefined;
  /**
   * Runs a statement. @returns the number of rows it changed
   *
   * @throws {TypeError} for one that is none of a transaction's business, or parameters that cannot be bound
   * @throws {StatementError} if the database refuses it
   */
  run(sql: string, params: readonly SqlParameter[]): Promise<number>;
  /** Runs a statement. @returns its rows @throws as {@linkcode OpenTransaction.run} */
  all(sql: string, params: readonly SqlParameter[]): Promise<Row[]>;
  /** No more statements are to come, and the time does not run any more. @throws if it has failed, or its time is over */
  seal(): void;
  /**
   * Commits it, and before the batch, in the same commit, what waits to be committed of its stream: so the order of a
   * stream is that in which its batches were handed over. Calls back before it returns.
   */
  commit(end: TransactionEnd): void;
  /** Undoes it, if it is open. */
  rollback(): void;
}

/** Whether the process of an executor lives, as far as its lock tells. */
export type Liveness = "alive" | "gone" | "unknown";

/** An open database. Everything it throws or rejects with is a `StoreError`. */
export interface Database {
  /** Where it is, for messages: a file's path or `:memory:`. */
  readonly location: string;
  /**
   * Commits a batch: alone, or in one transaction with others that are waiting; it stands or falls alone, but for
   * its stream. Who wrote it is told in a later turn of the event loop.
   */
  submit(write: Write): void;
  /** {@linkcode Database.submit}, as a promise of the results. @param stream see {@linkcode Write.stream} */
  write(batch: Batch, stream?: number): Promise<readonly number[]>;
  /** Lets a batch ride along with the next commit, or be committed alone after a while. */
  rideAlong(rider: Rider): void;
  /**
   * Begins a transaction in its turn among what waits to be committed. Until it has ended, nothing else is: whoever
   * begins one must end it.
   */
  begin(request: TransactionRequest): Promise<OpenTransaction>;
  /** The rows of a query, as of the last commit. */
  read(statement: Statement): Promise<Row[]>;
  /** Calls `listener` whenever another process may have changed the database. @returns a function that ends it */
  watch(listener: () => void): () => void;
  /** Takes the lock that tells others that this executor's process is alive; the operating system drops it with it. */
  holdLock(executor: number): void;
  /** Whether the executor's process lives. */
  probeLock(executor: number): Liveness;
  /** The executors that have, or had, a lock here. */
  listLocks(): number[];
  /** Removes what the lock of an executor that is gone has left behind. */
  clearLock(executor: number): void;
  /** Commits what is waiting, and closes the database. */
  close(): Promise<void>;
}
