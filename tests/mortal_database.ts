import { Engine } from "../engine/engine.ts";
import { type Clock, systemClock } from "../engine/clock.ts";
import type { EngineOptions, EngineSettings } from "../engine/options.ts";
import type {
  Batch,
  Database,
  Liveness,
  OpenTransaction,
  Rider,
  Row,
  Statement,
  TransactionRequest,
  Write,
} from "../engine/store/database.ts";
import { openSqliteDatabase } from "../engine/store/sqlite_database.ts";
import type { Turns } from "../engine/turns.ts";
import { LifeClock } from "../testing/life_clock.ts";

/** The instant at which a {@linkcode Mortal} dies: before or after one of its writes, which are counted from 1. */
export interface Death {
  readonly write: number;
  /** `"before"`: nothing of that write is stored. `"after"`: all of it is, and the engine does not hear of it. */
  readonly when: "before" | "after";
}

/** An engine on a file, that can die as a process does. */
export interface Mortal {
  readonly engine: Engine;
  /** The engine's clock. No timer of it rings after death. */
  readonly clock: Clock;
  /** Resolved after death, once nothing is written any more and others can see that it is gone. */
  readonly died: Promise<void>;
  readonly dead: boolean;
  /** How many writes it has been asked for. */
  readonly writes: number;
  /** Dies now. @returns {@linkcode Mortal.died} */
  kill(): Promise<void>;
}

/**
 * Opens an engine that dies at one of its writes: from then on its store does not answer, its timers do not ring, and
 * the lock by which others know it to be alive is dropped. Nothing is thrown and nothing is released.
 *
 * The file is a real one. What was handed to the store before is committed, as it may be when a process dies.
 *
 * @param death when it dies by itself; never by default
 */
export async function openMortal(path: string, options: EngineOptions = {}, death?: Death): Promise<Mortal> {
  const immortal = options.clock ?? systemClock;
  const clock = new LifeClock(immortal);
  const database = new MortalDatabase(path, immortal, clock, death);
  let opened: Promise<void> | undefined;
  const engine = Engine.openOn((settings, turns) => {
    opened = database.open(settings, turns);
    return database;
  }, { ...options, clock });
  await opened;
  return {
    engine,
    clock,
    died: database.died,
    get dead() {
      return database.dead;
    },
    get writes() {
      return database.writes;
    },
    kill: () => database.kill(),
  };
}

/** A database that passes everything on, until it is dead. */
class MortalDatabase implements Database {
  readonly #died = Promise.withResolvers<void>();
  #database!: Database;
  /** What is open is rolled back by death. */
  readonly #open = new Set<OpenTransaction>();
  #dead = false;
  #writes = 0;

  constructor(
    readonly location: string,
    private readonly immortal: Clock,
    private readonly clock: LifeClock,
    private readonly death: Death | undefined,
  ) {}

  async open(settings: EngineSettings, turns: Turns): Promise<void> {
    this.#database = await openSqliteDatabase(this.location, {
      ...settings,
      clock: this.immortal,
      turns,
    });
  }

  get died(): Promise<void> {
    return this.#died.promise;
  }

  get dead(): boolean {
    return this.#dead;
  }

  get writes(): number {
    return this.#writes;
  }

  kill(): Promise<void> {
    if (!this.#dead) {
      this.#dead = true;
      this.clock.end();
      for (const open of this.#open) open.rollback();
      this.#database.close().then(this.#died.resolve, this.#died.reject);
    }
    return this.#died.promise;
  }

  submit(write: Write): void {
    this.write(write.batch, write.stream).then(
      (results) => write.committed(results),
      (error) => write.failed(error),
    );
  }

  write(batch: Batch, stream?: number): Promise<readonly number[]> {
    if (this.#dead) return never();
    const last = ++this.#writes === this.death?.write;
    if (last && this.death.when === "before") {
      this.kill();
      return never();
    }
    const written = this.#untilDeath(this.#database.write(batch, stream));
    if (last) this.kill();
    return written;
  }

  /** A transaction is one write, at its commit. */
  async begin(request: TransactionRequest): Promise<OpenTransaction> {
    if (this.#dead) return await never();
    const open = await this.#database.begin(request);
    if (this.#dead) {
      open.rollback();
      return await never();
    }
    this.#open.add(open);
    return {
      expired: open.expired,
      get failure() {
        return open.failure;
      },
      run: (sql, params) => this.#dead ? never() : open.run(sql, params),
      all: (sql, params) => this.#dead ? never() : open.all(sql, params),
      seal: () => open.seal(),
      rollback: () => this.#dead || open.rollback(),
      commit: (end) => {
        if (this.#dead) return;
        const last = ++this.#writes === this.death?.write;
        if (last && this.death.when === "before") return void this.kill();
        open.commit({
          ...end,
          committed: () => {
            if (last) this.kill();
            else end.committed();
          },
        });
      },
    };
  }

  rideAlong(rider: Rider): void {
    if (this.#dead) return;
    this.#database.rideAlong({
      stream: rider.stream,
      board: () => this.#dead ? [] : rider.board(),
      committed: (counts) => this.#dead || rider.committed(counts),
      failed: (error) => this.#dead || rider.failed(error),
    });
  }

  read(statement: Statement): Promise<Row[]> {
    return this.#dead ? never() : this.#untilDeath(this.#database.read(statement));
  }

  watch(listener: () => void): () => void {
    return this.#dead ? () => {} : this.#database.watch(listener);
  }

  holdLock(executor: number): void {
    if (!this.#dead) this.#database.holdLock(executor);
  }

  probeLock(executor: number): Liveness {
    return this.#dead ? "unknown" : this.#database.probeLock(executor);
  }

  listLocks(): number[] {
    return this.#dead ? [] : this.#database.listLocks();
  }

  clearLock(executor: number): void {
    if (!this.#dead) this.#database.clearLock(executor);
  }

  close(): Promise<void> {
    return this.#dead ? never() : this.#database.close();
  }

  /** What an answer is worth to the dead. */
  #untilDeath<T>(answer: Promise<T>): Promise<T> {
    return answer.then(
      (value) => this.#dead ? never() : value,
      (error) => {
        if (this.#dead) return never<T>();
        throw error;
      },
    );
  }
}

/** What does not come any more. */
function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
