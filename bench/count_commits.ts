import { DatabaseSync } from "node:sqlite";

/** The sizes of a write-ahead log's header and of a frame's, in bytes: https://sqlite.org/fileformat2.html#walformat */
const LOG_HEADER = 32;
const FRAME_HEADER = 24;

/**
 * How many transactions are committed to a file in WAL mode while something is done, by whoever it may be: read from the
 * log itself, which a reader holds on to meanwhile, so that nothing of it is overwritten.
 */
export async function countCommits(file: string, act: () => Promise<unknown>): Promise<number> {
  const reader = new DatabaseSync(file);
  try {
    // Into the database with what is in the log, so that the log begins anew with what follows.
    reader.exec("PRAGMA wal_checkpoint(RESTART); BEGIN; SELECT count(*) FROM sqlite_schema");
    await act();
    return commitsIn(await Deno.readFile(`${file}-wal`));
  } finally {
    reader.close();
  }
}

function commitsIn(bytes: Uint8Array): number {
  const log = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pageSize = log.getUint32(8);
  let commits = 0;
  for (let at = LOG_HEADER; at + FRAME_HEADER + pageSize <= bytes.length; at += FRAME_HEADER + pageSize) {
    // A frame of an earlier round has other salts; the last frame of a commit says how large the database then is.
    if (log.getUint32(at + 8) !== log.getUint32(16) || log.getUint32(at + 12) !== log.getUint32(20)) break;
    if (log.getUint32(at + 4) !== 0) commits++;
  }
  return commits;
}
