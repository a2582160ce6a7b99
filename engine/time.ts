import { found } from "./quote.ts";

/** The last time that there is: that of a `Date`. */
const MAX_TIME_MS = 8_640_000_000_000_000;

/**
 * A point in time, in milliseconds since 1970.
 *
 * @param time a `Date`, or milliseconds since 1970
 * @param act what cannot be done with anything else, for the error's message
 * @throws {TypeError} if it is neither, or no time that a `Date` can have
 *
 * @example
 * ```ts
 * import { timeMs } from "./time.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(timeMs(new Date(7), "sleep"), 7);
 * assertEquals(timeMs(7, "sleep"), 7);
 * ```
 */
export function timeMs(time: Date | number, act: string): number {
  const ms = time instanceof Date ? time.getTime() : time;
  if (typeof ms === "number" && Math.abs(ms) <= MAX_TIME_MS) return ms;
  throw new TypeError(`Cannot ${act}: wanted a Date or milliseconds since 1970, found ${found(time)}`);
}
