import { closedError, refuse } from "../engine/store/commit_queue.ts";
import type {
  Batch,
  Database,
  Liveness,
  OpenTransaction,
  Rider,
  Row,
  Statement,
  TransactionEnd,
  TransactionRequest,
  Write,
} from "../engine/store/database.ts";
import type { Executors } from "./executors.ts";
import type { JumpingClock } from "./jumping_clock.ts";

/** What a life's database needs of that life and of the world. */
export interface LifeDatabaseHost {
  /** Where the data is, through all lives. */
  readonly database: Database;
  readonly executors: Executors;
  readonly clock: JumpingClock;
  /** Settled once all is committed that earlier lives had handed over; undefined where there is none to wait for. */
  readonly ready: Promise<void> | undefined;
  /** Whether this life is over. */
  readonly dead: boolean;
  /** A batch is about to be handed over: the life may end before it is. @returns its number */
  commits(): number;
  /** It is committed, and the engine has not heard of it: the life may end before it does. */
  committed(number: number): void;
}

/**
 * The data as one life of an engine sees it: once that is over, nothing more is stored, and nobody gets an answer. What was
 * handed over before is committed, as it may be when a process is lost; a transaction that is open is rolled back.
 */
export class LifeDatabase implements Database {
  #closed = false;
  readonly #open = new Set<OpenTransaction>();

  constructor(private readonly life: LifeDatabaseHost) {}

  get location(): string {
    return this.life.database.location;
  }

  submit(write: Write): void {
    const { life } = this;
    if (life.dead) return;
    if (this.#closed) return refuse(write, closedError(this.location));
    const number = life.commits();
    if (life.dead) return;
    life.clock.stir();
    life.database.submit({
      batch: write.batch,
      stream: write.stream,
      committed: (results) => {
        life.clock.stir();
        if (!life.dead) life.committed(number);
        if (!life.dead) write.committed(results);
      },
      failed: (error) => life.dead || write.failed(error),
    });
  }

  write(batch: Batch, stream?: number): Promise<readonly number[]> {
    return new Promise((committed, failed) => this.submit({ batch, stream, committed, failed }));
  }

  rideAlong(rider: Rider): void {
    const { life } = this;
    if (life.dead || this.#closed) return;
    life.database.rideAlong({
      stream: rider.stream,
      board: () => life.dead ? [] : rider.board(),
      committed: (counts) => life.dead || rider.committed(counts),
      failed: (error) => life.dead || rider.failed(error),
    });
  }

  async begin(request: TransactionRequest): Promise<OpenTransaction> {
    const { life } = this;
    life.clock.stir();
    if (life.dead) return await never();
    if (this.#closed) throw closedError(this.location);
    const open = await life.database.begin(request);
    life.clock.stir();
    if (life.dead) {
      open.rollback();
      return await never();
    }
    this.#open.add(open);
    return {
      expired: open.expired,
      get failure() {
        return open.failure;
      },
      run: (sql, params) => life.dead ? never() : open.run(sql, params),
      all: (sql, params) => life.dead ? never() : open.all(sql, params),
      seal: () => open.seal(),
      rollback: () => {
        this.#open.delete(open);
        open.rollback();
      },
      commit: (end) => this.#commit(open, end),
    };
  }

  /** The commit of a transaction is one as that of a batch is. */
  #commit(open: OpenTransaction, end: TransactionEnd): void {
    const { life } = this;
    if (life.dead) return;
    const number = life.commits();
    if (life.dead) return;
    this.#open.delete(open);
    life.clock.stir();
    open.commit({
      ...end,
      committed: () => {
        life.committed(number);
        if (!life.dead) end.committed();
      },
    });
  }

  /** The life is over: what it holds is given back, for the sake of the next one. */
  end(): void {
    for (const open of this.#open) open.rollback();
    this.#open.clear();
  }

  async read(statement: Statement): Promise<Row[]> {
    const { life } = this;
    life.clock.stir();
    if (life.ready !== undefined) await life.ready;
    if (life.dead) return await never();
    if (this.#closed) throw closedError(this.location);
    const rows = await life.database.read(statement);
    return life.dead ? await never() : rows;
  }

  /** There is never another process that lives. */
  watch(): () => void {
    return () => {};
  }

  holdLock(executor: number): void {
    const { life } = this;
    if (!life.dead) life.executors.hold(executor, () => !life.dead);
  }

  probeLock(executor: number): Liveness {
    return this.life.executors.probe(executor);
  }

  listLocks(): number[] {
    return this.life.executors.list();
  }

  clearLock(executor: number): void {
    if (!this.life.dead) this.life.executors.clear(executor);
  }

  /** Ends the use of the data by this life; the data stays. */
  async close(): Promise<void> {
    if (this.life.dead) return await never();
    this.#closed = true;
    await this.life.database.write([]);
  }
}

/** What does not come any more. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
