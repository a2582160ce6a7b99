/** The longest name of a workflow, id of a workflow or id of a step, in characters. */
const MAX_NAME_LENGTH = 256;

/**
 * Checks a name or an id.
 *
 * @param what it is, for the message
 * @throws {TypeError} if it is not a string, or has characters that a text cannot keep or a person cannot see
 * @throws {RangeError} if it is empty or over 256 characters long
 */
export function checkName(name: unknown, what: string): asserts name is string {
  if (typeof name !== "string") {
    throw new TypeError(`Cannot use ${what}: wanted a string, found ${name === null ? "null" : typeof name}`);
  }
  if (name.length === 0 || name.length > MAX_NAME_LENGTH) {
    throw new RangeError(
      `Cannot use ${what}: wanted 1 to ${MAX_NAME_LENGTH} characters, found ${name.length}`,
    );
  }
  // As /\p{Cc}/u, which takes half a millisecond the first time.
  // deno-lint-ignore no-control-regex -- it is these that are looked for
  if (/[\x00-\x1f\x7f-\x9f]/.test(name) || !name.isWellFormed()) {
    throw new TypeError(
      `Cannot use ${what}: wanted no control characters and whole characters only, found ${
        JSON.stringify(name)
      }`,
    );
  }
}
