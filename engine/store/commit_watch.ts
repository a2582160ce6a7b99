import type { Clock } from "../clock.ts";

/** How often a look is taken while somebody writes, in milliseconds: it takes microseconds, awakening the process more. */
const LOOK_INTERVAL_MS = 10;
/** After how many looks that have found nobody writing the process is awakened by a write instead. */
const QUIET_LOOKS = 20;
/** How many of them are left to go after a write that is not a commit of another connection's, or not one yet. */
const LOOKS_AFTER_WRITE = 6;
/** The first pause before the next of those, in milliseconds; each is twice as long, up to the usual one. */
const FIRST_PAUSE_MS = 1;
/** How often a look is taken while nobody writes, in case a write has not been told of, in milliseconds. */
const REST_INTERVAL_MS = 1_000;
/** And where nothing tells of writes. */
const UNTOLD_INTERVAL_MS = 30;
/** After how many commits in a row that were not told of it is taken that none is, */
const MAX_UNTOLD = 3;
/** and after how many looks in vain that they may be again: the process may only have been suspended. */
const UNTOLD_LOOKS = 2_000;

/** What is watched, and by what clock. */
export interface CommitWatchOptions {
  readonly clock: Clock;
  /** The path of the write-ahead log. */
  readonly log: string;
  /** What changes with each commit of another connection. May throw. */
  readonly version: () => unknown;
  /** How many commits this connection has made. */
  readonly ownCommits: () => number;
}

/**
 * Finds out that another connection has committed to a SQLite file.
 *
 * Owns: when a look is taken. Does not own: the connection.
 *
 * 1. While somebody writes, a look is taken at short intervals, which costs less than to be told of each write. While
 *    nobody does, the operating system tells of the first write to the log, where it can (Linux); a process that only
 *    waits is awakened once a second.
 * 2. No commit is missed in between: the last look before a rest is taken when whatever comes after it is told of.
 * 3. Nothing of this keeps a process alive.
 */
export class CommitWatch {
  readonly #listeners = new Set<() => void>();
  #stopLooking: (() => void) | undefined;
  #version: unknown;
  #ownCommits = 0;
  #quietLooks = 0;
  #pauseMs = LOOK_INTERVAL_MS;
  #untold = 0;

  constructor(private readonly options: CommitWatchOptions) {}

  /** Calls `listener` whenever another connection may have committed. @returns a function that ends it */
  listen(listener: () => void): () => void {
    this.#listeners.add(listener);
    if (this.#stopLooking === undefined) {
      this.#hasChanged();
      this.#quietLooks = 0;
      this.#lookLater();
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.stop();
    };
  }

  /** Looks no more. */
  stop(): void {
    this.#stopLooking?.();
    this.#stopLooking = undefined;
  }

  #lookLater(): void {
    if (this.#quietLooks < QUIET_LOOKS) {
      this.#lookIn(this.#pauseMs);
      this.#pauseMs = Math.min(this.#pauseMs * 2, LOOK_INTERVAL_MS);
      return;
    }
    if (this.#quietLooks >= QUIET_LOOKS + UNTOLD_LOOKS) {
      this.#quietLooks = QUIET_LOOKS;
      this.#untold = 0;
    }
    const watcher = this.#untold < MAX_UNTOLD ? watchFile(this.options.log) : undefined;
    if (watcher === undefined) this.#lookIn(UNTOLD_INTERVAL_MS);
    else this.#rest(watcher);
  }

  #lookIn(delayMs: number): void {
    this.#stopLooking = this.options.clock.setTimer(delayMs, () => {
      if (this.#hasChanged()) return this.#tell();
      const ownCommits = this.options.ownCommits();
      if (ownCommits === this.#ownCommits) this.#quietLooks++;
      this.#ownCommits = ownCommits;
      this.#lookLater();
    }, { background: true });
  }

  /** Waits for a write to the log. */
  #rest(watcher: FileWatcher): void {
    const end = () => {
      cancel();
      watcher.close();
    };
    const cancel = this.options.clock.setTimer(REST_INTERVAL_MS, () => {
      end();
      if (!this.#hasChanged()) return this.#lookLater();
      this.#untold++;
      this.#tell();
    }, { background: true });
    this.#stopLooking = end;
    watcher.isTold.then((isTold) => {
      if (!isTold) return;
      end();
      this.#untold = 0;
      if (this.#hasChanged()) return this.#tell();
      // A commit can be seen only some milliseconds after it was written, once it is durable.
      this.#quietLooks = QUIET_LOOKS - LOOKS_AFTER_WRITE;
      this.#pauseMs = FIRST_PAUSE_MS;
      this.#lookLater();
    });
    if (this.#hasChanged()) {
      end();
      this.#tell();
    }
  }

  /** Whether another connection has committed since the last look, or it cannot be told: who listens then finds out. */
  #hasChanged(): boolean {
    const before = this.#version;
    try {
      this.#version = this.options.version();
    } catch {
      return true;
    }
    return this.#version !== before;
  }

  #tell(): void {
    this.#quietLooks = 0;
    this.#lookLater();
    for (const listener of [...this.#listeners]) listener();
  }
}

/** Waits for something to be done to a file. */
interface FileWatcher {
  /** Whether something was, before it was closed. */
  readonly isTold: Promise<boolean>;
  close(): void;
}

/** Has the operating system tell of what is done to a file. @returns undefined where that cannot be relied on */
function watchFile(path: string): FileWatcher | undefined {
  // Elsewhere than on Linux a write may be told of only when the file is closed.
  if (Deno.build.os !== "linux") return undefined;
  // Nobody is to be asked for a permission because of this.
  if (Deno.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  try {
    // What keeps it from holding the process alive is not among the types, and applies to an event that is awaited.
    const watcher: Deno.FsWatcher & { unref?(): void } = Deno.watchFs(path);
    const event = watcher[Symbol.asyncIterator]().next();
    // A watcher that fails has told of nothing.
    const isTold = event.then(({ done }) => !done, () => false);
    const close = () => watcher.close();
    if (watcher.unref !== undefined) {
      watcher.unref();
      return { isTold, close };
    }
    close();
  } catch {
    // There may be no such file, or as many watchers as the system allows for.
  }
  return undefined;
}
