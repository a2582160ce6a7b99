/**
 * A point in time as text, for people: as ISO 8601 has it. What is no point in time, as a damaged file may have it, is said to
 * be none, and stops nothing.
 *
 * @example
 * ```ts
 * import { timeText } from "./time_text.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(timeText(new Date(0)), "1970-01-01T00:00:00.000Z");
 * assertEquals(timeText(new Date(NaN)), "an unreadable time");
 * ```
 */
export function timeText(time: Date): string {
  return Number.isNaN(time.getTime()) ? "an unreadable time" : time.toISOString();
}
