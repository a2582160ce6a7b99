/**
 * Text from outside (ids, names, error messages) made safe to print: characters that a terminal acts on instead of
 * showing them, such as the escape that starts a colour or moves the cursor, and those that turn the direction of
 * what follows, become `�`.
 *
 * @param text what to print
 * @returns one line, without tabs
 */
export function printableLine(text: string): string {
  return text.replace(UNPRINTABLE, "\ufffd");
}

/** Like {@linkcode printableLine}, but line feeds and tabs stay. */
export function printableText(text: string): string {
  return text.replace(/\r\n/g, "\n").split(/([\n\t])/).map((part, i) => i % 2 ? part : printableLine(part))
    .join("");
}

/** The longest cell of a table, or fact: longer than any name or id may be. */
const MAX_CELL_LENGTH = 300;

/**
 * What people see of anything, in one line: of a name, a number or a status as of what a file has in their place. It
 * is short, whatever it is of. This is the one form in which values get into tables, facts and sentences.
 */
export function printableCell(value: unknown): string {
  if (value === undefined || value === null) return "";
  if (typeof value === "object" || typeof value === "function") return "[Object]";
  return printableLine(shortened(String(value), MAX_CELL_LENGTH));
}

/** Text with so many characters at most, the last of which says that there were more. */
export function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).replace(HALF_AT_END, "")}…`;
}

/** Text with about so many characters, and how many were left out. */
export function leavingOut(text: string, length: number): string {
  if (text.length <= length) return text;
  const kept = text.slice(0, Math.max(0, length)).replace(HALF_AT_END, "");
  return `${kept}… [Left out: ${text.length - kept.length} characters]`;
}

/** The first half of a character that takes two places, of which the second is cut off. */
const HALF_AT_END = /[\ud800-\udbff]$/;

/** Like {@linkcode printableLine}, for the text of JSON: such characters, which stand in strings there, are written as numbers. */
export function escapeUnprintable(json: string): string {
  return json.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Controls of ASCII and Latin-1, line separators, and marks that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu;
