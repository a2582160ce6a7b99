import { excerpt, found, quote } from "./quote.ts";

/** A span of time: a number of milliseconds, or a string such as `"250ms"`, `"10s"`, `"5m"`, `"2h"` or `"3d"`. */
export type Duration = number | string;

const MILLISECONDS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The longest duration, some 285 years: a point in time so far ahead is still an exact integer. */
const MAX_DURATION_MS = 9_000_000_000_000;

/**
 * The milliseconds in a {@linkcode Duration}.
 *
 * @param duration milliseconds, or a number with a unit
 * @param what names the option, for the error's message
 * @throws {TypeError} if it is neither a number nor a string of that form
 * @throws {RangeError} if it is negative, not finite, or over 9,000,000,000,000 ms
 *
 * @example
 * ```ts
 * import { durationMs } from "./duration.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(durationMs("1.5h"), 5_400_000);
 * assertEquals(durationMs(250), 250);
 * ```
 */
export function durationMs(duration: Duration, what = "duration"): number {
  const ms = typeof duration === "string" ? parse(duration, what) : duration;
  if (typeof ms !== "number") {
    throw new TypeError(
      `Cannot read the ${excerpt(what)}: wanted milliseconds or a string such as "10s", found ${found(ms)}`,
    );
  }
  if (!(ms >= 0 && ms <= MAX_DURATION_MS)) {
    throw new RangeError(
      `Cannot use the ${excerpt(what)}: wanted 0 to ${MAX_DURATION_MS} ms, found ${found(duration)}`,
    );
  }
  return ms;
}

function parse(text: string, what: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text);
  if (match === null) {
    throw new TypeError(
      `Cannot read the ${
        excerpt(what)
      }: wanted a number with a unit, such as "250ms", "10s", "5m", "2h" or "3d", ` +
        `found ${quote(text)}`,
    );
  }
  return Number(match[1]) * MILLISECONDS[match[2]!]!;
}
