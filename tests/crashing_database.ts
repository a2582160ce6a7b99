import { Engine, type EngineOptions } from "@stepwell/stepwell";
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
import type { EngineSettings } from "../engine/options.ts";
import type { Turns } from "../engine/turns.ts";
import type { ManualClock } from "./manual_clock.ts";

/** A call of the store, as it is about to be made or has just been answered. */
export interface StoreCall {
  /** Its number, from 1. */
  readonly number: number;
  readonly name:
    | "write"
    | "rideAlong"
    | "begin"
    | "run"
    | "all"
    | "commit"
    | "read"
    | "watch"
    | "holdLock"
    | "probeLock"
    | "listLocks"
    | "clearLock";
  readonly when: "before" | "after";
}

/**
 * A database whose process seems to die at one of its calls: it is closed, so that its lock is dropped, and nobody
 * ever gets an answer from it again. What the dead process does after that must have no effect: the functions of a
 * test's steps ask `dead` before they do anything, and nobody moves its clock.
 */
export class CrashingDatabase implements Database {
  /** How many calls there have been. */
  calls = 0;
  readonly #crash = Promise.withResolvers<void>();
  readonly #opened: () => Promise<Database>;
  #database: Database | undefined;
  /** What is open is rolled back when its process dies. */
  readonly #open = new Set<OpenTransaction>();
  #dead = false;

  constructor(
    readonly location: string,
    settings: EngineSettings,
    turns: Turns,
    private readonly crashesAt: (call: StoreCall, database: Database) => boolean,
  ) {
    this.#opened = () => openSqliteDatabase(location, { ...settings, turns });
  }

  /** Opens the file; before that nothing else may be called. */
  async open(): Promise<void> {
    this.#database = await this.#opened();
  }

  get dead(): boolean {
    return this.#dead;
  }

  /** Resolves after death, once the file is closed. */
  get crashed(): Promise<void> {
    return this.#crash.promise;
  }

  submit(write: Write): void {
    this.write(write.batch, write.stream).then(
      (results) => write.committed(results),
      (error) => write.failed(error),
    );
  }

  write(batch: Batch, stream?: number): Promise<readonly number[]> {
    return this.#call("write", (database) => database.write(batch, stream));
  }

  async begin(request: TransactionRequest): Promise<OpenTransaction> {
    return await this.#call("begin", async (database) => {
      const open = await database.begin(request);
      if (this.#dead) open.rollback();
      else this.#open.add(open);
      return this.#mortal(open);
    });
  }

  #mortal(open: OpenTransaction): OpenTransaction {
    return {
      expired: open.expired,
      get failure() {
        return open.failure;
      },
      run: (sql, params) => this.#call("run", () => open.run(sql, params)),
      all: (sql, params) => this.#call("all", () => open.all(sql, params)),
      seal: () => open.seal(),
      rollback: () => this.#dead || open.rollback(),
      commit: (end) => {
        const number = ++this.calls;
        this.#dieAt({ number, name: "commit", when: "before" });
        if (this.#dead) return;
        open.commit({
          ...end,
          committed: () => {
            this.#dieAt({ number, name: "commit", when: "after" });
            if (!this.#dead) end.committed();
          },
        });
      },
    };
  }

  read(statement: Statement): Promise<Row[]> {
    return this.#call("read", (database) => database.read(statement));
  }

  rideAlong(rider: Rider): void {
    this.#callNow("rideAlong", (database) =>
      database.rideAlong({
        stream: rider.stream,
        board: () => this.#dead ? [] : rider.board(),
        committed: (counts) => this.#dead || rider.committed(counts),
        failed: (error) => this.#dead || rider.failed(error),
      }));
  }

  watch(listener: () => void): () => void {
    return this.#callNow("watch", (database) => database.watch(() => this.#dead || listener())) ?? (() => {});
  }

  holdLock(executor: number): void {
    this.#callNow("holdLock", (database) => database.holdLock(executor));
  }

  probeLock(executor: number): Liveness {
    return this.#callNow("probeLock", (database) => database.probeLock(executor)) ?? "unknown";
  }

  listLocks(): number[] {
    return this.#callNow("listLocks", (database) => database.listLocks()) ?? [];
  }

  clearLock(executor: number): void {
    this.#callNow("clearLock", (database) => database.clearLock(executor));
  }

  async close(): Promise<void> {
    if (!this.#dead) await this.#database!.close();
  }

  #die(): void {
    this.#dead = true;
    for (const open of this.#open) open.rollback();
    this.#database!.close().then(this.#crash.resolve, this.#crash.reject);
  }

  async #call<T>(name: StoreCall["name"], act: (database: Database) => Promise<T>): Promise<T> {
    const number = ++this.calls;
    this.#dieAt({ number, name, when: "before" });
    if (this.#dead) return await never();
    try {
      return await act(this.#database!);
    } finally {
      this.#dieAt({ number, name, when: "after" });
      if (this.#dead) await never();
    }
  }

  /** A call that is answered at once; to a dead process the answer does not matter, as it can do nothing with it. */
  #callNow<T>(name: StoreCall["name"], act: (database: Database) => T): T | undefined {
    const number = ++this.calls;
    this.#dieAt({ number, name, when: "before" });
    if (this.#dead) return undefined;
    const answer = act(this.#database!);
    this.#dieAt({ number, name, when: "after" });
    return answer;
  }

  #dieAt(call: StoreCall): void {
    if (!this.#dead && this.crashesAt(call, this.#database!)) this.#die();
  }
}

function never(): Promise<never> {
  return new Promise(() => {});
}

/**
 * Opens an engine on a {@linkcode CrashingDatabase}.
 *
 * @param crashesAt whether the process dies at this call; it may do other things to the database as well
 */
export async function openCrashing(
  location: string,
  options: EngineOptions & { clock: ManualClock },
  crashesAt: (call: StoreCall, database: Database) => boolean,
): Promise<{ engine: Engine; database: CrashingDatabase }> {
  let database: CrashingDatabase;
  const engine = Engine.openOn((settings, turns) => {
    return database = new CrashingDatabase(location, settings, turns, crashesAt);
  }, options);
  await database!.open();
  return { engine, database: database! };
}
