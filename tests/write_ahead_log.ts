/** A frame of a write-ahead log: a page as a commit has left it. */
export interface Frame {
  /** Where it begins and ends in the log, in bytes. */
  readonly begin: number;
  readonly end: number;
  /** Whether a commit ends with it. */
  readonly commits: boolean;
}

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;

/**
 * The frames of the log beside a SQLite file that are in force: those since it was last begun anew. See "WAL-mode File
 * Format" in SQLite's documentation.
 *
 * @param file the database, not the log
 */
export function framesInForce(file: string): Frame[] {
  return readFrames(Deno.readFileSync(`${file}-wal`));
}

/** The frames in force of a log with this content. */
export function readFrames(content: Uint8Array<ArrayBuffer>): Frame[] {
  if (content.length < HEADER_BYTES) return [];
  const view = new DataView(content.buffer, content.byteOffset, content.length);
  const frameBytes = FRAME_HEADER_BYTES + view.getUint32(8);
  const frames: Frame[] = [];
  for (let begin = HEADER_BYTES; begin + frameBytes <= content.length; begin += frameBytes) {
    const inForce = view.getUint32(begin + 8) === view.getUint32(16) &&
      view.getUint32(begin + 12) === view.getUint32(20);
    if (!inForce) break;
    frames.push({ begin, end: begin + frameBytes, commits: view.getUint32(begin + 4) !== 0 });
  }
  return frames;
}

/** How many commits there are in the log beside a SQLite file. */
export function countCommits(file: string): number {
  return framesInForce(file).filter(({ commits }) => commits).length;
}
