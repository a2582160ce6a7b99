import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Reads a duration: a number with a unit, or of milliseconds.
 *
 * @throws {UsageError} if it is neither
 */
export function parseDuration(flag: string, text: string): string | number {
  if (/^\d{1,12}(\.\d+)?(ms|s|m|h|d)$/.test(text)) return text;
  if (/^\d{1,12}$/.test(text)) return Number(text);
  throw new UsageError(
    `--${flag} wants a duration, such as "250ms", "10s" or "5m", found "${printableCell(text)}"`,
  );
}
