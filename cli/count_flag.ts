import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads a number of things.
 *
 * @returns undefined where the flag is not given
 * @throws {UsageError} if it is no number from 1 to 9999
 */
export function parseCount(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,3}$/.test(text)) return Number(text);
  throw new UsageError(`--${flag} wants a number from 1 to 9999, found "${printableCell(text)}"`);
}
