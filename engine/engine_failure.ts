import { StoreError } from "./errors.ts";

/** Those that {@linkcode engineFailure} has made. */
const failures = new WeakSet<Error>();

/**
 * An error of the engine's own for what it needs to store a value and does not have, such as a library. It suspends the
 * workflow, as an error of the store does, and is never its outcome.
 */
export function engineFailure(message: string, options?: ErrorOptions): StoreError {
  const error = new StoreError(message, options);
  failures.add(error);
  return error;
}

/**
 * Whether an error that came out of encoding or validating a value is the engine's own, as {@linkcode engineFailure} makes
 * them. Code of users runs there, too: getters, schemas. A `StoreError` which that has thrown, having caught it elsewhere,
 * say, is as any other error of theirs, and fails the step or the workflow.
 */
export function isEngineFailure(error: unknown): error is StoreError {
  return typeof error === "object" && error !== null && failures.has(error as Error);
}
