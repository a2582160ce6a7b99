/**
 * Texts and values as messages quote them: short, whatever they are, and without an error of their own.
 *
 * @module
 */

/** The longest excerpt of a text that goes into a message, in characters. */
const MAX_QUOTED = 200;
/** The largest bigint that is written out: of a larger one even that would take time. */
const MAX_BIGINT = 10n ** 30n;

/**
 * A text in quotation marks; of a long one its beginning and its length.
 *
 * @param max the longest that is quoted as a whole, in characters
 *
 * @example
 * ```ts
 * import { quote } from "./quote.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(quote("order-17"), '"order-17"');
 * assertEquals(quote("x".repeat(5000), 3), '"xxx…" (5000 characters)');
 * ```
 */
export function quote(text: string, max = MAX_QUOTED): string {
  if (text.length <= max) return JSON.stringify(text);
  return `${JSON.stringify(`${text.slice(0, max).toWellFormed()}…`)} (${text.length} characters)`;
}

/** A text as it is; of a long one its beginning and its length. @param max the longest that stays whole, in characters */
export function excerpt(text: string, max = MAX_QUOTED): string {
  if (text.length <= max) return text;
  return `${text.slice(0, max).toWellFormed()}… (${text.length} characters)`;
}

/** The first names of a list, in quotation marks, and how many more there are. */
export function quoteSome(names: readonly string[], max = 20): string {
  const shown = names.slice(0, max).map((name) => quote(name)).join(", ");
  return names.length <= max ? shown : `${shown} and ${names.length - max} more`;
}

/**
 * What was found in the place of what was wanted: a plain value as one would write it, of anything else what it is.
 *
 * @example
 * ```ts
 * import { found } from "./quote.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const values = ["soon", NaN, null, [1], () => 1, new Date(0), Object.create(null)];
 * assertEquals(
 *   values.map(found),
 *   ['"soon"', "NaN", "null", "an array", "a function", "an instance of Date", "an object"],
 * );
 * ```
 */
export function found(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quote(value);
    case "function":
      return "a function";
    case "bigint":
      return value > MAX_BIGINT || value < -MAX_BIGINT ? "a large bigint" : `${value}n`;
    case "object":
      return value === null ? "null" : foundObject(value);
    case "symbol":
      return excerpt(String(value));
    default:
      return Object.is(value, -0) ? "-0" : String(value);
  }
}

/** Proxies and getters may throw, whatever is asked of them. */
function foundObject(value: object): string {
  try {
    if (Array.isArray(value)) return "an array";
    if (typeof (value as PromiseLike<unknown>).then === "function") return "a promise";
    const name = value.constructor?.name;
    return typeof name !== "string" || name === "" || name === "Object"
      ? "an object"
      : `an instance of ${excerpt(name)}`;
  } catch {
    return "an object";
  }
}
