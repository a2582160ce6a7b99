/**
 * Batches of statements, run with as few of them as it takes: those that are the same in batches that follow each other are
 * made into one for several rows.
 *
 * @module
 */

import type { Batch, SqlValue, Statement } from "./database.ts";
import type { SqliteDriver } from "./sqlite_driver.ts";

/** The results of a batch's statements: how many rows each has changed, or the key of the one that it made. */
export type Results = readonly number[];

/** How many statements that can be made into one are, of the largest number there is: a row then takes half the time. */
const MERGED = [40, 8];
const LEAST_MERGED = MERGED.at(-1)!;

/** Whether there are so many batches that some may be made into one. */
export function isWorthMerging(batches: number): boolean {
  return batches >= LEAST_MERGED;
}

/** Runs the statements of a batch. @throws what SQLite throws */
export function runBatch(driver: SqliteDriver, batch: Batch): Results {
  const results: number[] = [];
  for (const { sql, params, givesKey } of batch) {
    const rows = driver.run(sql, params);
    results.push(givesKey && rows > 0 ? driver.lastKey() : rows);
  }
  return results;
}

/**
 * Runs several batches.
 *
 * @returns the results of each; undefined if it has to be told which row was not changed, or which key is whose: then all is to be
 *   rolled back, and each batch to be run by itself
 * @throws what SQLite throws
 */
export function runMerged(driver: SqliteDriver, batches: readonly Batch[]): Results[] | undefined {
  const results: Results[] = [];
  for (let i = 0; i < batches.length;) {
    const count = countMergeable(batches, i);
    if (count === 1) {
      results.push(runBatch(driver, batches[i++]!));
      continue;
    }
    const together = runTogether(driver, batches, { from: i, count });
    if (together === undefined) return undefined;
    for (const each of together) results.push(each);
    i += count;
  }
  return results;
}

/** A part of the batches. */
interface Part {
  readonly from: number;
  readonly count: number;
}

/** Runs batches as one. @returns undefined if one of their statements has changed nothing, or gives keys that cannot be counted */
function runTogether(
  driver: SqliteDriver,
  batches: readonly Batch[],
  part: Part,
): Results[] | undefined {
  const { from, count } = part;
  const results = Array.from({ length: count }, (): number[] => []);
  const batch = batches[from]!;
  for (let place = 0; place < batch.length; place++) {
    const { sql, params } = merged(batches, place, part);
    if (driver.run(sql, params) !== count) return undefined;
    const { givesKey } = batch[place]!;
    const lastKey = givesKey ? driver.lastKey() : 0;
    // Beyond what JavaScript can count, keys may follow in no order.
    if (typeof lastKey !== "number") return undefined;
    // Rows that are inserted one after the other in a transaction get keys that follow each other.
    const firstKey = lastKey - count + 1;
    for (let i = 0; i < count; i++) results[i]!.push(givesKey ? firstKey + i : 1);
  }
  return results;
}

/** How many of the next batches can be made into one, being of the same statements. */
function countMergeable(batches: readonly Batch[], from: number): number {
  const first = batches[from]!;
  if (first.length === 0) return 1;
  let alike = 0;
  for (let i = from; i < batches.length && alike < MERGED[0]!; i++, alike++) {
    if (!isMergeable(first, batches[i]!)) break;
  }
  return MERGED.find((count) => count <= alike) ?? 1;
}

function isMergeable(one: Batch, other: Batch): boolean {
  if (one.length !== other.length) return false;
  for (let i = 0; i < one.length; i++) {
    if (one[i]!.several === undefined || one[i]!.several !== other[i]!.several) return false;
  }
  return true;
}

/** One statement that does as much as those in the same place of the next batches. */
function merged(batches: readonly Batch[], place: number, { from, count }: Part): Statement {
  const { several, params: { length } } = batches[from]![place]!;
  const params: SqlValue[] = new Array(count * length);
  for (let i = 0; i < count; i++) {
    const ofOne = batches[from + i]![place]!.params;
    for (let j = 0; j < length; j++) params[i * length + j] = ofOne[j]!;
  }
  return { sql: several!(count), params };
}
