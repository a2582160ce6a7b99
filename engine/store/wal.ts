import type { SqliteDriver } from "./sqlite_driver.ts";

/** How many frames of one page each, some 4 MiB: what SQLite writes before it checkpoints by itself. */
const FRAMES = 1_000;

/**
 * Makes the write-ahead log of a file as large as it gets, so that commits overwrite it from the start: that takes
 * about half as long as a commit that makes it grow, since the file's length need not be made durable as well.
 *
 * Safe at any instant of a crash, of power loss too: the frames written here hold one page that does not change but
 * for a counter nobody reads, so losing any of them loses nothing; a commit after them is made durable together with
 * all before it in the file; and the checkpoint, which runs with the durability that was asked for, makes the log
 * durable before it touches the database, and the database before the log is overwritten.
 *
 * It takes some 25 ms, in which nothing else runs.
 *
 * @param durability what `PRAGMA synchronous` is set back to
 */
export function growWal(driver: SqliteDriver, durability: "full" | "normal"): void {
  driver.exec("PRAGMA wal_autocheckpoint = 0");
  driver.exec("PRAGMA synchronous = OFF");
  try {
    for (let frame = 0; frame < FRAMES; frame++) {
      driver.run("UPDATE wal_growth SET counter = counter + 1", []);
    }
  } finally {
    driver.exec(`PRAGMA synchronous = ${durability}`);
    driver.exec("PRAGMA wal_autocheckpoint = 1000");
  }
  driver.all("PRAGMA wal_checkpoint(RESTART)", []);
}
