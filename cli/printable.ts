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

/** Like {@linkcode printableLine}, for the text of JSON: such characters, which stand in strings there, are written as numbers. */
export function escapeUnprintable(json: string): string {
  return json.replace(UNPRINTABLE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Controls of ASCII and Latin-1, line separators, and marks that change the direction of text. */
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu;
