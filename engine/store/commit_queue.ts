import type { Clock } from "../clock.ts";
import { LimitExceededError, StoreBusyError, StoreError } from "../errors.ts";
import { randomFraction, type RandomSource } from "../random.ts";
import type { Turns } from "../turns.ts";
import type { OpenTransaction, Rider, TransactionRequest, Write } from "./database.ts";
import type { HeldConnection } from "./held_transaction.ts";
import { isWorthMerging, type Results, runBatch, runMerged } from "./merged_batches.ts";
import { isBusy, type SqliteDriver, storeError } from "./sqlite_driver.ts";
import type { StoreFiles } from "./store_files.ts";
import type { WriterLine, WriterTurn } from "./writer_line.ts";

/** How many batches may wait. */
const MAX_WAITING = 200_000;
/** How many batches share a transaction: more would not make it cheaper, and would hold the lock for longer. */
const MAX_BATCHES_PER_COMMIT = 2_000;
/** How long it is taken for granted that the files are still those that were opened, in milliseconds. */
const FILE_CHECK_INTERVAL_MS = 20;
/** How long a rider waits for somebody else's commit before it gets one of its own, in milliseconds. */
const RIDER_PATIENCE_MS = 100;
/** The first and the longest pause before a locked file is tried again, in milliseconds. */
const MIN_BUSY_PAUSE_MS = 1;
const MAX_BUSY_PAUSE_MS = 50;

/** How many commits are made in turns after one for which others were in the way: so a lone process takes none. */
const COMMITS_IN_LINE = 64;

/** What a commit queue works with. */
export interface CommitQueueOptions {
  readonly location: string;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly random: RandomSource;
  /** The files that are written to; undefined of a database in memory. */
  readonly files: Pick<StoreFiles, "check" | "boundLog"> | undefined;
  /** Joins the line of those that write to the file; undefined where there is none. */
  readonly joinLine: () => WriterLine | undefined;
  /** How long a locked file is tried again, in milliseconds, before the batches fail with `StoreBusyError`. */
  readonly busyTimeoutMs: number;
}

/**
 * The one way by which a process writes to a SQLite file: group commit (DeWitt et al., 1984).
 *
 * Owns: the batches that wait for a commit, and the transaction they share. Does not own: what is in them.
 *
 * 1. Batches are committed in the order in which they came, and settled in that order.
 * 2. A batch is settled once it is durable, or once it is certain that nothing of it is stored, with the exception
 *    that SQLite itself knows: a commit that failed while it was written may be found whole after a crash.
 * 3. A batch that fails takes no other with it but those that wait behind it in its stream: what follows from something
 *    that was not stored is not stored either.
 * 4. A file that is locked by another process is waited for in line with the others, or else tried again later; the event
 *    loop goes on meanwhile. That is over when `busyTimeoutMs` has passed, whatever the clock says.
 * 5. A transaction with a user's statements has the connection for itself from its turn on until it has ended; no batch
 *    is committed meanwhile but those of its stream, together with it.
 */
export class CommitQueue {
  #waiting: Write[] = [];
  #riders = new Set<Rider>();
  /** The transactions that wait for their turn, or have it, by the places that they have among the batches. */
  readonly #transactions = new Map<Write, WaitingTransaction>();
  #flushing = false;
  #fileCheckedAt = 0;
  #commits = 0;
  #busyPauseMs = MIN_BUSY_PAUSE_MS;
  /** Calls the next try of a locked file off. */
  #cancelPause: (() => void) | undefined;
  /** Calls the end of the time for which a locked file is tried off. */
  #cancelDeadline: (() => void) | undefined;
  #isOutOfTime = false;
  #line: WriterLine | undefined;
  #turn: WriterTurn | undefined;
  /** How many of the next commits are made in turns, unless others are in the line. */
  #commitsInLine = 0;
  /** Whether this commit does without a turn, since none came. */
  #isImpatient = false;
  #cancelPatience: (() => void) | undefined;

  constructor(private readonly driver: SqliteDriver, private readonly options: CommitQueueOptions) {}

  /** How many commits have been made, or tried. */
  get commits(): number {
    return this.#commits;
  }

  submit(write: Write): void {
    if (this.#waiting.length >= MAX_WAITING) {
      const cause = new LimitExceededError("waiting batches", MAX_WAITING, "write to the store");
      this.#transactions.delete(write);
      return refuse(write, new StoreError(cause.message, { cause }));
    }
    this.#waiting.push(write);
    this.#flushSoon();
  }

  /** Begins a transaction in its turn. @returns it; or rejects with a `StoreError` */
  async begin(request: TransactionRequest): Promise<OpenTransaction> {
    // Most programs have none, so what it takes is loaded with the first.
    const { beginMarked, HeldTransaction } = await import("./held_transaction.ts");
    return await new Promise((begun, failed) => {
      const place: Write = { batch: [], stream: request.stream, committed() {}, failed };
      const hold = (connection: HeldConnection) => begun(new HeldTransaction(connection, request));
      this.#transactions.set(place, { begin: () => beginMarked(this.driver), hold });
      this.submit(place);
    });
  }

  rideAlong(rider: Rider): void {
    this.#riders.add(rider);
    if (this.#cancelPatience !== undefined) return;
    this.#cancelPatience = this.options.clock.setTimer(RIDER_PATIENCE_MS, () => {
      this.#cancelPatience = undefined;
      if (this.#riders.size > 0) this.#flushSoon();
    }, { background: true });
  }

  /** Settles everything that waits. */
  async drain(): Promise<void> {
    while (this.#waiting.length > 0) {
      await new Promise<void>((settled) => {
        this.#waiting.push({
          batch: [],
          stream: undefined,
          committed: () => settled(),
          failed: () => settled(),
        });
        this.#flushSoon();
      });
    }
    this.#cancelPatience?.();
    this.#cancelPatience = undefined;
    this.#riders.clear();
  }

  /** Leaves the line of writers. @param isLast whether no other process has the file open */
  leaveLine(isLast: () => boolean): void {
    this.#line?.leave(isLast());
    this.#line = undefined;
  }

  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    this.options.turns.whenQuiet(this.#flush);
  }

  #flush = (): void => {
    this.#flushing = false;
    this.#cancelPause = undefined;
    const mustWait = this.#commitsInLine > 0 && this.#turn === undefined && !this.#isImpatient;
    if (mustWait && this.#waiting.length + this.#riders.size > 0) return this.#waitForTurn();
    if (this.#transactions.size > 0) {
      const first = this.#transactions.get(this.#waiting[0]!);
      if (first !== undefined) return this.#giveTurn(this.#waiting[0]!, first);
    }
    const riders = [...this.#riders];
    this.#riders.clear();
    for (const rider of riders) {
      const batch = rider.board();
      if (batch.length === 0) continue;
      this.#waiting.push({
        batch,
        stream: rider.stream,
        committed: (counts) => rider.committed(counts),
        failed: (error) => rider.failed(error),
      });
    }
    if (this.#waiting.length === 0) return this.#goOn();

    const group = this.#waiting.slice(
      0,
      this.#transactions.size > 0 ? this.#batchesAhead() : MAX_BATCHES_PER_COMMIT,
    );
    let counts: Results[] | undefined;
    try {
      counts = this.#commit(group);
    } catch (error) {
      if (isBusy(error) && this.#waitForLock()) return;
      if (!this.#commitOneByOne(group.length, error)) return;
    }
    if (counts !== undefined) {
      this.options.files?.boundLog();
      this.#endTurn();
      this.#waiting.splice(0, group.length);
      for (let i = 0; i < group.length; i++) group[i]!.committed(counts[i]!);
    }
    this.#goOn();
  };

  #goOn(): void {
    this.#endTurn();
    this.#isImpatient = false;
    this.#cancelDeadline?.();
    this.#cancelDeadline = undefined;
    this.#isOutOfTime = false;
    this.#busyPauseMs = MIN_BUSY_PAUSE_MS;
    if (this.#waiting.length > 0) this.#flushSoon();
  }

  /** How many batches may be committed together before a transaction has its turn. */
  #batchesAhead(): number {
    const ahead = this.#waiting.findIndex((waiting) => this.#transactions.has(waiting));
    return ahead === -1 ? MAX_BATCHES_PER_COMMIT : Math.min(ahead, MAX_BATCHES_PER_COMMIT);
  }

  /** Begins a transaction. Until it has ended, nothing is flushed. */
  #giveTurn(place: Write, { begin, hold }: WaitingTransaction): void {
    const { location, clock } = this.options;
    try {
      this.#checkFile();
      begin();
    } catch (error) {
      if (isBusy(error) && this.#waitForLock()) return;
      this.#leave(place);
      this.#fail(place, isBusy(error) ? this.#busyError() : storeError(error, location));
      return this.#goOn();
    }
    this.#commits++;
    this.#flushing = true;
    let along: Along[] = [];
    hold({
      driver: this.driver,
      clock,
      location,
      runInStream: (batch) => {
        along = this.#inStream(place).map((write) => ({
          write,
          results: runBatch(this.driver, write.batch),
        }));
        return runBatch(this.driver, batch);
      },
      release: (isCommitted) => {
        this.#leave(place);
        if (isCommitted) this.#settle(along);
        this.#flushing = false;
        this.#goOn();
        if (this.#riders.size > 0 && this.#cancelPatience === undefined) this.#flushSoon();
      },
    });
  }

  /** The batches that wait of a transaction's stream: it is to be committed after all that came before its end. */
  #inStream(place: Write): Write[] {
    if (place.stream === undefined) return [];
    return this.#waiting.filter((waiting) =>
      waiting.stream === place.stream && !this.#transactions.has(waiting)
    );
  }

  #settle(along: readonly Along[]): void {
    if (along.length === 0) return;
    const committed = new Set(along.map(({ write }) => write));
    this.#waiting = this.#waiting.filter((waiting) => !committed.has(waiting));
    for (const { write, results } of along) write.committed(results);
  }

  /** Takes a transaction's place away. */
  #leave(place: Write): void {
    this.#transactions.delete(place);
    this.#waiting = this.#waiting.filter((waiting) => waiting !== place);
  }

  /** Commits a group in one transaction. @throws what SQLite throws; nothing is committed then */
  #commit(group: readonly Write[], merge = isWorthMerging(group.length)): Results[] {
    const { driver } = this;
    this.#checkFile();
    this.#commits++;
    const [first] = group;
    if (group.length === 1 && first!.batch.length === 1) return [runBatch(driver, first!.batch)];
    driver.run("BEGIN IMMEDIATE", []);
    try {
      const batches = group.map(({ batch }) => batch);
      const counts = merge ? runMerged(driver, batches) : batches.map((batch) => runBatch(driver, batch));
      if (counts !== undefined) {
        driver.run("COMMIT", []);
        return counts;
      }
      driver.exec("ROLLBACK");
    } catch (error) {
      try {
        driver.exec("ROLLBACK");
      } catch {
        // SQLite has already rolled back by itself, as it does when the disk is full; the first error says why.
      }
      throw error;
    }
    return this.#commit(group, false);
  }

  /** Looks, now and then, whether the files are there still: SQLite would go on writing to those that were removed. */
  #checkFile(): void {
    const now = this.options.clock.now();
    if (Math.abs(now - this.#fileCheckedAt) < FILE_CHECK_INTERVAL_MS) return;
    this.options.files?.check();
    this.#fileCheckedAt = now;
  }

  /**
   * Commits the first batches that wait each by itself, after their common transaction has failed.
   *
   * @returns whether that is done; if not, the rest waits for the file's lock
   */
  #commitOneByOne(count: number, groupError: unknown): boolean {
    for (let i = 0; i < count && this.#waiting.length > 0; i++) {
      // Those before it may have taken others with them.
      if (this.#transactions.has(this.#waiting[0]!)) return true;
      const waiting = this.#waiting.shift()!;
      try {
        if (isBusy(groupError)) throw this.#busyError();
        const [counts] = this.#commit([waiting]);
        waiting.committed(counts!);
      } catch (error) {
        if (isBusy(error) && !isBusy(groupError) && this.#waitForLock()) {
          this.#waiting.unshift(waiting);
          return false;
        }
        this.#fail(waiting, storeError(error, this.options.location));
      }
    }
    return true;
  }

  /** Fails a batch, and all that wait behind it in its stream. */
  #fail(waiting: Write, error: StoreError): void {
    waiting.failed(error);
    const { stream } = waiting;
    if (stream === undefined) return;
    for (const later of this.#waiting) {
      if (later.stream !== stream) continue;
      this.#transactions.delete(later);
      later.failed(error);
    }
    this.#waiting = this.#waiting.filter((later) => later.stream !== stream);
  }

  #busyError(): StoreBusyError {
    const { location, busyTimeoutMs } = this.options;
    return new StoreBusyError(
      `Cannot write to "${location}": other processes had it locked for ${busyTimeoutMs} ms`,
    );
  }

  /**
   * Arranges for another try of a locked file: in turn with the others that write to it, the first time, and then after
   * pauses that become longer.
   *
   * @returns whether there is time left for one
   */
  #waitForLock(): boolean {
    const { clock, random, turns, busyTimeoutMs } = this.options;
    if (this.#isOutOfTime || busyTimeoutMs === 0) return false;
    this.#cancelDeadline ??= clock.setTimer(busyTimeoutMs, this.#runOutOfTime, { background: true });
    this.#flushing = true;
    if (this.#turn === undefined && !this.#isImpatient) {
      this.#line ??= this.options.joinLine();
      if (this.#line !== undefined) {
        this.#commitsInLine = COMMITS_IN_LINE;
        this.#waitForTurn();
        return true;
      }
    }
    this.#cancelPause = clock.setTimer(
      this.#busyPauseMs * randomFraction(random),
      () => turns.whenQuiet(this.#flush),
    );
    this.#busyPauseMs = Math.min(this.#busyPauseMs * 2, MAX_BUSY_PAUSE_MS);
    return true;
  }

  /** Waits in line. The turn is used at once: whoever is next waits for its end. */
  #waitForTurn(): void {
    const { clock, busyTimeoutMs } = this.options;
    this.#flushing = true;
    this.#line!.turn(clock, Math.min(this.#line!.patienceMs, busyTimeoutMs)).then((turn) => {
      this.#turn = turn;
      this.#isImpatient = turn === undefined;
      this.#flush();
    });
  }

  /** A turn is over when the commit is, before any of what follows from that. */
  #endTurn(): void {
    if (this.#turn === undefined) return;
    this.#commitsInLine = this.#turn.isContended ? COMMITS_IN_LINE : this.#commitsInLine - 1;
    this.#turn.end();
    this.#turn = undefined;
  }

  /** The time is over: what waits for the lock is tried once more, at once. */
  #runOutOfTime = (): void => {
    this.#isOutOfTime = true;
    if (this.#cancelPause === undefined) return;
    this.#cancelPause();
    this.#cancelPause = undefined;
    this.options.turns.whenQuiet(this.#flush);
  };
}

/** A transaction that waits for its turn. */
interface WaitingTransaction {
  /** Begins it. @throws what SQLite throws */
  begin(): void;
  /** It is begun, and has the connection. */
  hold(connection: HeldConnection): void;
}

/** A batch that goes with the commit of a transaction. */
interface Along {
  readonly write: Write;
  readonly results: Results;
}

/** Tells that a batch cannot even wait: later, as with one that fails. */
export function refuse(write: Write, error: StoreError): void {
  queueMicrotask(() => write.failed(error));
}

/** Rejects what comes after the database was closed. */
export function closedError(location: string): StoreError {
  return new StoreError(`Cannot use "${location}": it is closed`);
}
