/** The error of every assertion here: what was expected did not hold. */
export class AssertionError extends Error {
  override name = "AssertionError";
}
