import type { Clock } from "../clock.ts";

/** What stands behind a database's path in the names of the files that its writers lock. */
const TURN_SUFFIX = "-writer";
const NEXT_SUFFIX = "-writer-next";
/**
 * How long a turn is waited for, in milliseconds. A turn is over within one commit, unless its process is stopped, or waits
 * for a program that knows of no turns.
 */
const TURN_PATIENCE_MS = 1_000;
/** After how many turns it is looked whether the file that is locked is still the one that others lock. */
const TURNS_PER_LOOK = 64;

/** A turn to write: no other member of the line writes before it has ended. */
export interface WriterTurn {
  /** Whether others were in the line when it was asked for. */
  readonly isContended: boolean;
  end(): void;
}

/** The lines of this process, by the paths of their databases. */
const lines = new Map<string, WriterLine>();

/**
 * The line in which the processes that write to one SQLite file wait for their turns. SQLite itself has none: a process
 * that finds its lock taken can only try again, and the process that has just had it is the likeliest to get it next.
 *
 * Owns: two locks of the operating system, on empty files beside the database. It drops them together with the process that
 * holds them. Does not own: SQLite's lock, which alone keeps the file whole.
 *
 * 1. A turn is advice: where there can be no line, or a turn does not come in time, its members write as if there were
 *    none.
 * 2. The one lock is the turn, the other belongs to the process that is next: so a process that has just had a turn does not
 *    get another one while others wait, however soon it asks.
 * 3. All databases of one process on one file are one member: one lock at a time is asked for, which takes one thread.
 * 4. A turn lasts for one transaction.
 * 5. A lock that was asked for cannot be called off: the process ends by itself only once it was given. That takes longer
 *    than some commits only where a process is stopped in its turn.
 */
export class WriterLine {
  /** How long a turn is waited for at most. */
  readonly patienceMs = TURN_PATIENCE_MS;
  readonly #waiting = new Set<(turn: WriterTurn | undefined) => void>();
  #turnLock: LockFile | undefined;
  #nextLock: LockFile | undefined;
  #state: "free" | "asked" | "given" | "unusable" = "free";
  /** Whether a turn was waited for in vain: until what was asked for is given, no other is. */
  #isStuck = false;
  #turns = 0;
  #members = 0;

  private constructor(private readonly path: string) {}

  /**
   * Joins the line of a database.
   *
   * @param path its real path
   * @returns undefined where there can be none: on Windows, before Deno 2.7, without the permission for its files
   */
  static join(path: string): WriterLine | undefined {
    if (!canLock(path + TURN_SUFFIX) || !canLock(path + NEXT_SUFFIX)) return undefined;
    const line = lines.get(path) ?? new WriterLine(path);
    line.#members++;
    lines.set(path, line);
    return line;
  }

  /**
   * Leaves the line.
   *
   * @param isLast whether no other process has the database open: the files are in nobody's use then
   */
  leave(isLast: boolean): void {
    if (--this.#members > 0) return;
    lines.delete(this.path);
    // What was asked for is still to come: it is closed once it has.
    if (this.#state === "asked") return;
    const isUsed = this.#turnLock !== undefined;
    this.#close();
    if (isUsed && isLast) {
      for (const suffix of [TURN_SUFFIX, NEXT_SUFFIX]) {
        removeIfThere(this.path + suffix);
      }
    }
  }

  /** Waits for a turn. @returns undefined if there is none within `patienceMs` */
  turn(clock: Clock, patienceMs: number): Promise<WriterTurn | undefined> {
    if (this.#isStuck || this.#state === "unusable") return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const give = (turn: WriterTurn | undefined) => {
        cancel();
        resolve(turn);
      };
      const cancel = clock.setTimer(patienceMs, () => {
        this.#waiting.delete(give);
        this.#isStuck = this.#state === "asked";
        resolve(undefined);
      }, { background: true });
      this.#waiting.add(give);
      this.#ask();
    });
  }

  #ask(): void {
    if (this.#state !== "free" || this.#waiting.size === 0) return;
    this.#state = "asked";
    try {
      if (this.#turns++ % TURNS_PER_LOOK === 0) {
        this.#nextLock = openLock(this.path + NEXT_SUFFIX, this.#nextLock);
        this.#turnLock = openLock(this.path + TURN_SUFFIX, this.#turnLock);
      }
      if (this.#nextLock!.tryLockSync(true)) this.#askAsNext(false);
      else this.#nextLock!.lock(true).then(() => this.#askAsNext(true)).catch(this.#giveUp);
    } catch {
      this.#giveUp();
    }
  }

  /** Asks for the turn, as the one that is next. */
  #askAsNext(isContended: boolean): void {
    if (this.#turnLock!.tryLockSync(true)) return this.#give(isContended);
    this.#turnLock!.lock(true).then(() => this.#give(true)).catch(this.#giveUp);
  }

  #give(isContended: boolean): void {
    this.#nextLock!.unlockSync();
    this.#isStuck = false;
    this.#state = "given";
    const [next] = this.#waiting;
    if (next === undefined) return this.#release();
    this.#waiting.delete(next);
    let isOver = false;
    const end = () => {
      if (!isOver) this.#release();
      isOver = true;
    };
    next({ isContended, end });
  }

  #release(): void {
    if (this.#state !== "given") return;
    if (this.#members === 0) return this.#close();
    this.#state = "free";
    try {
      this.#turnLock!.unlockSync();
    } catch {
      return this.#giveUp();
    }
    this.#ask();
  }

  /** Closes the files, which drops the locks as well. */
  #close(): void {
    this.#state = "unusable";
    this.#turnLock?.close();
    this.#nextLock?.close();
    this.#turnLock = this.#nextLock = undefined;
  }

  /** No file can be locked here. */
  #giveUp = (): void => {
    this.#close();
    for (const give of this.#waiting) give(undefined);
    this.#waiting.clear();
  };
}

/** A file that can be locked. Newer than Deno 2.4 is the attempt to. */
type LockFile = Deno.FsFile & { tryLockSync(exclusive: boolean): boolean };

/** Whether a file may be locked, and no permission has to be asked for. */
function canLock(path: string): boolean {
  if (Deno.build.os === "windows" || !("tryLockSync" in Deno.FsFile.prototype)) return false;
  return (["read", "write"] as const).every((name) =>
    Deno.permissions.querySync({ name, path }).state === "granted"
  );
}

/**
 * Opens a file to be locked, which is made where it is missing; anew where another process has removed it meanwhile.
 *
 * @param opened the file as it was opened before
 * @throws if there can be no such file
 */
function openLock(path: string, opened: LockFile | undefined): LockFile {
  const found = lstat(path);
  // To close a file that is a link to a database would drop the locks that SQLite has on that in this process.
  if (found !== undefined && !(found.isFile && found.size === 0 && (found.nlink ?? 1) === 1)) {
    throw new TypeError(`Cannot lock "${path}": wanted an empty file`);
  }
  if (opened !== undefined && found !== undefined && found.ino === opened.statSync().ino) return opened;
  opened?.close();
  return Deno.openSync(path, { create: true, read: true, write: true }) as LockFile;
}

function lstat(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It does no harm where it is.
  }
}
