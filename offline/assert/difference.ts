/** How many equal lines are shown before and after those that differ. */
const CONTEXT_LINES = 3;

/**
 * Shows a value as every assertion here does: in full, with sorted keys, so that equal values look equal.
 *
 * @param value The value.
 * @returns Its text, of one line or many.
 */
export function format(value: unknown): string {
  return Deno.inspect(value, {
    compact: false,
    depth: Infinity,
    getters: true,
    iterableLimit: Infinity,
    sorted: true,
    strAbbreviateSize: Infinity,
    trailingComma: true,
  });
}

/**
 * Shows where two values differ: the lines of the actual one marked `-`, those of the expected one `+`.
 *
 * @param actual The value that was found.
 * @param expected The value that was wanted.
 * @returns Lines for the message of an error.
 */
export function difference(actual: unknown, expected: unknown): string {
  const found = format(actual).split("\n");
  const wanted = format(expected).split("\n");
  let start = 0;
  while (start < found.length && found[start] === wanted[start]) start++;
  let end = 0;
  while (end < Math.min(found.length, wanted.length) - start && found.at(-1 - end) === wanted.at(-1 - end)) {
    end++;
  }
  const mark = (sign: string, lines: string[]) => lines.map((line) => `${sign}   ${line}`);
  return [
    "",
    "    [Diff] Actual / Expected",
    "",
    ...mark(" ", found.slice(Math.max(0, start - CONTEXT_LINES), start)),
    ...mark("-", found.slice(start, found.length - end)),
    ...mark("+", wanted.slice(start, wanted.length - end)),
    ...mark(" ", found.slice(found.length - end).slice(0, CONTEXT_LINES)),
    "",
  ].join("\n");
}
