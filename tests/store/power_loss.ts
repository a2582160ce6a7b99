/**
 * What a disk may hold after the power has failed: of all that was written since the last thing known to be durable,
 * any part may be there, and any other part not.
 *
 * @module
 */
import { readFrames } from "../write_ahead_log.ts";

/** The two files of a SQLite database; the log is empty where there is none. */
export interface Disk {
  readonly db: Uint8Array<ArrayBuffer>;
  readonly wal: Uint8Array<ArrayBuffer>;
}

/** What may be on a disk, and how it came to be. */
export interface State extends Disk {
  readonly name: string;
}

/** Reads what is on the disk now. */
export function readDisk(file: string): Disk {
  return { db: Deno.readFileSync(file), wal: readIfThere(`${file}-wal`) };
}

/** Puts a state onto the disk, as the next process finds it. The index beside the log does not survive power loss. */
export function writeDisk(file: string, { db, wal }: Disk): void {
  Deno.writeFileSync(file, db);
  Deno.writeFileSync(`${file}-wal`, wal);
}

/**
 * States in which the power may have failed between two disks, where the log is made durable before the database is
 * written to: the log cut at every frame, and within it; or the log whole and the database partly written.
 *
 * @param before what is known to be durable
 * @param after what was written by then
 * @param most how many of the frames that differ are cut at, and how many of the pages, at most
 */
export function* statesBetween(before: Disk, after: Disk, most = Infinity): Generator<State> {
  for (const cut of cuts(before.wal, after.wal, most)) {
    const early = splice(after.wal, before.wal, cut);
    yield { name: `the log has what was written up to byte ${cut}`, db: before.db, wal: early };
    if (before.wal.length < cut) {
      yield { name: `the log ends at byte ${cut}`, db: before.db, wal: after.wal.slice(0, cut) };
    }
    const late = splice(before.wal, after.wal, cut);
    yield { name: `the log has what was written from byte ${cut} on`, db: before.db, wal: late };
    const garbled = garble(before.wal, after.wal, cut);
    yield { name: `the log has a sector garbled at byte ${cut}`, db: before.db, wal: garbled };
  }
  for (const page of some(changedPages(before.db, after.db), most)) {
    const early = splice(after.db, before.db, page * PAGE);
    yield { name: `the database has the pages before ${page}`, db: early, wal: after.wal };
    const late = splice(before.db, after.db, page * PAGE);
    yield { name: `the database has the pages from ${page} on`, db: late, wal: after.wal };
  }
}

const SECTOR = 512;
const PAGE = 4_096;

/** Where the log may be cut: at the ends of the frames that differ, in their headers and in their pages. */
function cuts(before: Uint8Array<ArrayBuffer>, after: Uint8Array<ArrayBuffer>, most: number): number[] {
  const first = firstDifference(before, after);
  if (first === undefined) return [];
  const frames = readFrames(after).filter(({ end, begin }) =>
    end > first && differs(before, after, begin, end)
  );
  const places = some(frames, most).flatMap(({ begin }) => [begin, begin + 12, begin + 2_000]);
  return [...first < 32 ? [0, 16] : [], ...places, frames.at(-1)?.end ?? 0].filter((cut) =>
    cut <= after.length
  );
}

/** The first, the last and some between them, evenly. */
function some<T>(all: readonly T[], most: number): T[] {
  if (all.length <= most) return [...all];
  return Array.from({ length: most }, (_, i) => all[Math.round(i * (all.length - 1) / (most - 1))]!);
}

/** The first `at` bytes of one content and then the other's; what neither has is zero, as in a file that grew. */
function splice(
  first: Uint8Array<ArrayBuffer>,
  then: Uint8Array<ArrayBuffer>,
  at: number,
): Uint8Array<ArrayBuffer> {
  const result = new Uint8Array(Math.max(then.length, Math.min(first.length, at)));
  result.set(first.subarray(0, at));
  if (at < then.length) result.set(then.subarray(at), at);
  return result;
}

/** The log with a sector that was written in part; bytes that were not written to are as they were. */
function garble(
  before: Uint8Array<ArrayBuffer>,
  after: Uint8Array<ArrayBuffer>,
  at: number,
): Uint8Array<ArrayBuffer> {
  const result = after.slice();
  for (let i = at; i < Math.min(at + SECTOR, after.length); i++) if (before[i] !== after[i]) result[i] = 0xa5;
  return result;
}

function changedPages(before: Uint8Array<ArrayBuffer>, after: Uint8Array<ArrayBuffer>): number[] {
  const pages = Array.from({ length: Math.ceil(after.length / PAGE) }, (_, page) => page);
  return pages.filter((page) => differs(before, after, page * PAGE, (page + 1) * PAGE));
}

function firstDifference(a: Uint8Array<ArrayBuffer>, b: Uint8Array<ArrayBuffer>): number | undefined {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return i;
  return undefined;
}

function differs(
  a: Uint8Array<ArrayBuffer>,
  b: Uint8Array<ArrayBuffer>,
  begin: number,
  end: number,
): boolean {
  for (let i = begin; i < end; i++) if (a[i] !== b[i]) return true;
  return false;
}

function readIfThere(path: string): Uint8Array<ArrayBuffer> {
  try {
    return Deno.readFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Uint8Array();
    throw error;
  }
}
