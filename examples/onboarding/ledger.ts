/** One effect, as a line of the ledger has it. */
export interface LedgerEntry<T = unknown> {
  /** The idempotency key it was asked for with; no two entries have the same. */
  readonly key: string;
  /** What was done, such as `"laptop"`. */
  readonly kind: string;
  /** When, in ISO 8601. */
  readonly at: string;
  /** The result, given again to whoever asks with the same key. */
  readonly result: T;
}

/**
 * An append-only file of effects, one JSON object a line: the outside world of this example. An effect has happened
 * once its line is in the file, and a line is in the file once its newline is: that is the last byte written.
 *
 * - A process killed in the middle of its write leaves a line without an end, a torn tail. The next to write cuts
 *   it off; its effect has not happened, and is done again by whoever resumes.
 * - Reading, deciding and writing happen under a lock of the operating system, which dies with its process. So the
 *   ledger holds where several processes write to it.
 * - Those who wait for that lock in one process do so one after the other: each that waits holds a thread, and
 *   the one who has the lock needs a thread, too, to write.
 */
export class Ledger {
  #last: Promise<unknown> = Promise.resolve();

  /** @param path the file; it and its folder are made when the first effect happens */
  constructor(readonly path: string) {}

  /**
   * Does an effect once for its key, and syncs it to the disk.
   *
   * @param key the idempotency key
   * @param kind what is done
   * @param effect gives the result, from the effects of all kinds so far; it is not called where the key has one
   * @returns the result of the effect, now or as it was the first time
   */
  once<T>(key: string, kind: string, effect: (earlier: readonly LedgerEntry[]) => T): Promise<T> {
    const done = this.#last.then(() => this.#once(key, kind, effect));
    this.#last = done.catch(() => {}); // whoever asked for it is told
    return done;
  }

  /** All effects so far, oldest first, without a torn tail. */
  async entries(): Promise<LedgerEntry[]> {
    try {
      return parse(await Deno.readFile(this.path), this.path).entries;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }

  async #once<T>(key: string, kind: string, effect: (earlier: readonly LedgerEntry[]) => T): Promise<T> {
    await Deno.mkdir(parentOf(this.path), { recursive: true });
    using file = await Deno.open(this.path, { read: true, write: true, create: true });
    await file.lock(true);
    const { entries, length } = parse(await readAll(file), this.path);
    const earlier = entries.find((entry) => entry.key === key);
    if (earlier !== undefined) return earlier.result as T;

    const entry: LedgerEntry<T> = { key, kind, at: new Date().toISOString(), result: effect(entries) };
    await file.truncate(length);
    await file.seek(length, Deno.SeekMode.Start);
    await writeAll(file, new TextEncoder().encode(JSON.stringify(entry) + "\n"));
    await file.sync();
    return entry.result;
  }
}

const NEWLINE = 0x0a;

/** The entries of whole lines, and how many bytes those are. */
function parse(bytes: Uint8Array, path: string): { entries: LedgerEntry[]; length: number } {
  const length = bytes.lastIndexOf(NEWLINE) + 1;
  const lines = new TextDecoder().decode(bytes.subarray(0, length)).split("\n").slice(0, -1);
  const entries = lines.map((line, index) => {
    try {
      return JSON.parse(line) as LedgerEntry;
    } catch (cause) {
      throw new Error(
        `Cannot read line ${index + 1} of "${path}": wanted JSON, found "${line.slice(0, 80)}"`,
        { cause },
      );
    }
  });
  return { entries, length };
}

async function readAll(file: Deno.FsFile): Promise<Uint8Array> {
  const bytes = new Uint8Array((await file.stat()).size);
  let filled = 0;
  while (filled < bytes.length) {
    const count = await file.read(bytes.subarray(filled));
    if (count === null) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
}

function parentOf(path: string): string {
  return path.replace(/[^/\\]*$/, "") || ".";
}
