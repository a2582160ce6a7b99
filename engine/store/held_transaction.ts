import type { Clock } from "../clock.ts";
import { StatementError, StoreError, TransactionTimeoutError } from "../errors.ts";
import type {
  Batch,
  OpenTransaction,
  Row,
  SqlParameter,
  TransactionEnd,
  TransactionRequest,
} from "./database.ts";
import { isStoreFailure, type SqliteDriver, storeError, type UserStatement } from "./sqlite_driver.ts";
import { OwnObjectError, OwnObjects } from "./own_objects.ts";
import { checkParameters, checkUserSql, shown, type UserSql } from "./user_sql.ts";
import * as values from "./user_values.ts";

/** A connection that is held while a transaction is open. */
export interface HeldConnection {
  readonly driver: SqliteDriver;
  readonly clock: Clock;
  /** The file, for messages. */
  readonly location: string;
  /** Runs what waits of the same stream, and then this. @returns the results of this */
  runInStream(batch: Batch): readonly number[];
  /** The transaction has ended. */
  release(isCommitted: boolean): void;
}

/** Marks a transaction as the one that was begun here: it is gone with it. */
const MARK = "stepwell_transaction";
/** How many statements a transaction keeps prepared. */
const MAX_STATEMENTS = 128;

/** Begins a transaction. @throws what SQLite throws; none is open then */
export function beginMarked(driver: SqliteDriver): void {
  driver.run("BEGIN IMMEDIATE", []);
  driver.exec(`SAVEPOINT ${MARK}`);
}

/**
 * A transaction with statements of a user's own, on a connection that has begun one.
 *
 * Owns: the connection, until it has ended. Does not own: when it is begun (commit_queue.ts).
 *
 * 1. It is committed only as it was begun: an error that has SQLite end it by itself (a full disk, a constraint `OR
 *    ROLLBACK`) is found at the statement that meets it, and nothing runs after that.
 * 2. The store's own rows are written together with the commit, in one turn: reads through this connection never see
 *    some of them.
 * 3. It ends within its time, unless JavaScript itself does not get to run; then it is rolled back when it does, before
 *    another statement is run.
 */
export class HeldTransaction implements OpenTransaction {
  readonly expired: Promise<never>;
  #expire!: (error: Error) => void;
  #failure: Error | undefined;
  #state: "open" | "sealed" | "ended" = "open";
  readonly #beganAt: number;
  #cancelTimer: (() => void) | undefined;
  readonly #statements = new Map<string, { checked: UserSql; statement: UserStatement }>();
  readonly #own: OwnObjects;

  constructor(private readonly held: HeldConnection, private readonly request: TransactionRequest) {
    this.expired = new Promise((_, reject) => this.#expire = reject);
    this.expired.catch(() => {});
    this.#own = new OwnObjects(held.driver);
    this.#beganAt = held.clock.now();
    this.#cancelTimer = held.clock.setTimer(request.timeoutMs, () => this.#timeOut());
  }

  get failure(): Error | undefined {
    return this.#failure;
  }

  // deno-lint-ignore require-await -- a database elsewhere has to wait, and errors are to reject
  async run(sql: string, params: readonly SqlParameter[]): Promise<number> {
    return this.#runUser(sql, params, ({ changesRows }, statement, bound) => {
      const rows = statement.run(bound);
      // SQLite's number is that of the last statement which did change rows.
      return changesRows ? rows : 0;
    });
  }

  // deno-lint-ignore require-await -- likewise
  async all(sql: string, params: readonly SqlParameter[]): Promise<Row[]> {
    return this.#runUser(sql, params, ({ changesRows }, statement, bound) => {
      const rows = statement.all(bound);
      if (!changesRows) this.#checkTexts(sql, bound, rows);
      return rows;
    });
  }

  /**
   * Refuses rows with a text that is not what the query gives: the drivers read a text up to a NUL, and mend what is none.
   * Most come in as parameters, and are refused there; others are what SQL itself makes, or another program has written.
   * What rows that a statement has changed give back is not looked at: it cannot be asked for again.
   */
  #checkTexts(sql: string, bound: readonly SqlParameter[], rows: readonly Row[]): void {
    const columns = values.textColumns(rows);
    if (columns.length === 0) return;
    const ask = (query: string) => this.#askAgain(query, bound);
    const found = ask(values.findsCutText(sql, columns)).length > 0
      ? "a NUL"
      : values.mayBeMended(rows, columns) &&
          ask(values.givesBytes(sql, columns)).some((row) => !Object.values(row).every(values.isText))
      ? "bytes that are no characters"
      : undefined;
    if (found === undefined) return;
    throw new Error(
      `it gives a text with ${found}, which would not come back as it is: read it with CAST(… AS BLOB)`,
    );
  }

  /** The rows of a query about a query; none where that cannot be asked about. */
  #askAgain(query: string, bound: readonly SqlParameter[]): Row[] {
    let checked: UserSql;
    try {
      checked = this.#statements.get(query)?.checked ?? checkUserSql(query);
      return this.#prepare(query, checked).all(bound);
    } catch (error) {
      if (isStoreFailure(error)) throw error;
      return [];
    }
  }

  #runUser<T>(
    sql: string,
    params: readonly SqlParameter[],
    act: (checked: UserSql, statement: UserStatement, bound: readonly SqlParameter[]) => T,
  ): T {
    // Where JavaScript did not get to run, this may come before the timer.
    if (this.#isLate()) this.#timeOut();
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#state !== "open") throw new TypeError("Cannot use a transaction whose function has ended");
    const checked = this.#statements.get(sql)?.checked ?? checkUserSql(sql);
    checkParameters(sql, checked.parameters, params);
    const bound = values.boundParameters(params);
    try {
      if (!checked.changesSchema) return act(checked, this.#prepare(sql, checked), bound);
      const result = this.#own.changingSchema(() => act(checked, this.#prepare(sql, checked), bound));
      this.#finalize();
      return result;
    } catch (error) {
      if (error instanceof OwnObjectError) throw this.#refusal(sql, error);
      throw this.#explain(sql, error);
    }
  }

  #prepare(sql: string, checked: UserSql): UserStatement {
    const prepared = this.#statements.get(sql);
    if (prepared !== undefined) return prepared.statement;
    if (this.#statements.size >= MAX_STATEMENTS) this.#finalize();
    if (checked.changesRows || checked.changesSchema) this.#own.check(sql);
    const statement = this.held.driver.prepare(sql);
    this.#statements.set(sql, { checked, statement });
    return statement;
  }

  #refusal(sql: string, { message }: OwnObjectError): TypeError {
    return new TypeError(
      `Cannot run ${shown(sql)} in a transaction: ${message}, and what is Stepwell's own can only be read`,
    );
  }

  /** What a statement has met, and whether the transaction has outlived it. */
  #explain(sql: string, error: unknown): Error {
    const isStore = isStoreFailure(error);
    const explained = isStore
      ? storeError(error, this.held.location)
      : new StatementError(sql, error instanceof Error ? error.message : String(error), { cause: error });
    if (isStore || !this.#isMarked()) this.#failure ??= explained;
    return explained;
  }

  /** Whether the transaction is the one that was begun. */
  #isMarked(): boolean {
    const { driver } = this.held;
    try {
      driver.exec(`RELEASE ${MARK}`);
      driver.exec(`SAVEPOINT ${MARK}`);
      return true;
    } catch {
      return false;
    }
  }

  seal(): void {
    if (this.#isLate()) this.#timeOut();
    if (this.#failure !== undefined) throw this.#failure;
    this.#stopTimer();
    if (this.#state === "open") this.#state = "sealed";
  }

  commit({ batch, check, committed, failed }: TransactionEnd): void {
    if (this.#state === "ended") return failed(this.#failure ?? new StoreError("The transaction has ended"));
    try {
      if (this.#failure !== undefined) throw this.#failure;
      if (!this.#isMarked()) {
        throw new StoreError("Cannot commit a transaction: it is not the one that was begun");
      }
      check(this.#runOwn(batch));
      this.#commitNow();
    } catch (error) {
      this.#rollBack();
      this.#end(false);
      return failed(error);
    }
    this.#end(true);
    committed();
  }

  /** Runs what is the store's own: whatever goes wrong with that is no fault of the user's. */
  #runOwn(batch: Batch): readonly number[] {
    try {
      return this.held.runInStream(batch);
    } catch (error) {
      throw storeError(error, this.held.location);
    }
  }

  #commitNow(): void {
    this.#finalize();
    try {
      this.held.driver.run("COMMIT", []);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if (/constraint failed/.test(message)) throw new StatementError("COMMIT", message, { cause: error });
      throw storeError(error, this.held.location);
    }
  }

  rollback(): void {
    if (this.#state === "ended") return;
    this.#rollBack();
    this.#end(false);
  }

  #rollBack(): void {
    this.#finalize();
    try {
      this.held.driver.exec("ROLLBACK");
    } catch {
      // SQLite has already rolled back by itself; the first error says why.
    }
  }

  #isLate(): boolean {
    return this.held.clock.now() - this.#beganAt > this.request.timeoutMs;
  }

  #timeOut(): void {
    if (this.#state !== "open") return;
    const { key, timeoutMs } = this.request;
    this.#failure ??= new TransactionTimeoutError(key, timeoutMs);
    this.rollback();
    this.#expire(this.#failure);
  }

  #end(isCommitted: boolean): void {
    this.#state = "ended";
    this.#stopTimer();
    this.held.release(isCommitted);
  }

  #stopTimer(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #finalize(): void {
    for (const { statement } of this.#statements.values()) statement.finalize();
    this.#statements.clear();
  }
}
