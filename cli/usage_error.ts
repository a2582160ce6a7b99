/** The command line is wrong. The message says what was wanted and what was found; the process ends with status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}
