/**
 * Refuses options that are no object, or have names that nobody knows: a limit that is misspelt would be none.
 *
 * @param act what they are for, for the message
 * @throws {TypeError} if they are not as they should be
 */
export function refuseUnknown(options: unknown, known: readonly string[], act: string): void {
  if (typeof options !== "object" || options === null) {
    throw new TypeError(`Cannot ${act}: wanted an object with options, found ${options}`);
  }
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new TypeError(
    `Cannot ${act}: wanted options of the names ${known.join(", ")}, found ${JSON.stringify(unknown)}`,
  );
}
