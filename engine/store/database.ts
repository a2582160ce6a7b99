/**
 * What the engine needs of a database, so that SQLite, with either driver, and others can stand behind it.
 *
 * @module
 */

/** A value that a statement takes or gives. */
export type SqlValue = string | number | null;

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
