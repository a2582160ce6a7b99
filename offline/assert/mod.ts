/**
 * The assertions that the tests use, for a checkout where JSR cannot be reached. The published package never sees
 * them; they stand in for the package of the same name and are tested beside it.
 *
 * @module
 */
import { AssertionError } from "./assertion_error.ts";
import { difference, format } from "./difference.ts";
import { equal } from "./equal.ts";
import { partOf } from "./part_of.ts";

export { AssertionError };

// deno-lint-ignore no-explicit-any -- the constructor of any class
type Constructor<T> = abstract new (...args: any[]) => T;

/** Asserts that a value is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Fails. */
export function fail(msg?: string): never {
  throw new AssertionError(`Failed assertion${suffix(msg)}`);
}

/** Asserts that two values have the same structure. */
export function assertEquals<T>(actual: T, expected: T, msg?: string) {
  if (equal(actual, expected)) return;
  throw new AssertionError(`Values are not equal${suffix(msg)}\n${difference(actual, expected)}`);
}

/** Asserts that two values differ in structure. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string) {
  if (!equal(actual, expected)) return;
  throw new AssertionError(`Expected actual: ${format(actual)} not to be: ${format(expected)}${suffix(msg)}`);
}

/** Asserts that two values are the same one, as `Object.is` has it. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  const same = format(actual) === format(expected);
  throw new AssertionError(
    same
      ? `Values have the same structure but are not reference-equal${suffix(msg)}\n\n${format(actual)}\n`
      : `Values are not strictly equal${suffix(msg)}\n${difference(actual, expected)}`,
  );
}

/** Asserts that a value is neither `null` nor `undefined`. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual !== undefined && actual !== null) return;
  throw new AssertionError(`Expected actual: "${actual}" to not be null or undefined${suffix(msg)}`);
}

/** Asserts that a value is an instance of a class. */
export function assertInstanceOf<T extends Constructor<unknown>>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  throw new AssertionError(
    `Expected object to be an instance of "${expectedType.name}" but was "${kindOf(actual)}"${suffix(msg)}`,
  );
}

/** Asserts that a text contains another. */
export function assertStringIncludes(actual: string, expected: string, msg?: string) {
  if (actual.includes(expected)) return;
  throw new AssertionError(`Expected actual: "${actual}" to contain: "${expected}"${suffix(msg)}`);
}

/** Asserts that a text matches a regular expression. */
export function assertMatch(actual: string, expected: RegExp, msg?: string) {
  if (expected.test(actual)) return;
  throw new AssertionError(`Expected actual: "${actual}" to match: "${expected}"${suffix(msg)}`);
}

/** Asserts that `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string) {
  if (actual > expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} > ${format(expected)}`);
}

/** Asserts that `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string) {
  if (actual >= expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} >= ${format(expected)}`);
}

/** Asserts that `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string) {
  if (actual < expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} < ${format(expected)}`);
}

/** Asserts that `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string) {
  if (actual <= expected) return;
  throw new AssertionError(msg ?? `Expect ${format(actual)} <= ${format(expected)}`);
}

/** Asserts that an object has at least the properties of another, at every depth. */
export function assertObjectMatch(
  // deno-lint-ignore no-explicit-any -- what has the properties may have any others
  actual: Record<PropertyKey, any>,
  expected: Record<PropertyKey, unknown>,
  msg?: string,
) {
  assertEquals(partOf(actual, expected), partOf(expected, expected), msg);
}

/** Asserts that a function throws, and returns what it threw. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
/** Asserts that a function throws an error of a class, with a text in its message, and returns the error. */
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows(fn: () => unknown, ...expected: Expected): unknown {
  const { ErrorClass, msgIncludes, msg } = expectation(expected);
  let thrown: unknown;
  try {
    fn();
  } catch (error) {
    thrown = { error };
  }
  if (thrown === undefined) throw new AssertionError(`Expected function to throw${suffix(msg)}`);
  const { error } = thrown as { error: unknown };
  if (ErrorClass) assertError(error, "thrown", ErrorClass, msgIncludes, msg);
  return error;
}

/** Asserts that a function returns a promise that rejects, and resolves to the reason. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
/** Asserts that a function rejects with an error of a class, with a text in its message; resolves to the error. */
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: Constructor<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects(fn: () => PromiseLike<unknown>, ...expected: Expected): Promise<unknown> {
  const { ErrorClass, msgIncludes, msg } = expectation(expected);
  const promise = promised(fn);
  if (!promise) throw new AssertionError(`Function throws when expected to reject${suffix(msg)}`);
  const rejected = await promise.then(() => undefined, (error: unknown) => ({ error }));
  if (!rejected) throw new AssertionError(`Expected function to reject${suffix(msg)}`);
  if (ErrorClass) assertError(rejected.error, "rejected", ErrorClass, msgIncludes, msg);
  return rejected.error;
}

/** What {@linkcode assertThrows} and {@linkcode assertRejects} get after the function. */
type Expected = [msg?: string] | [ErrorClass: Constructor<Error>, msgIncludes?: string, msg?: string];

function expectation(expected: Expected) {
  const [first, msgIncludes, msg] = expected;
  return typeof first === "string" ? { msg: first } : { ErrorClass: first, msgIncludes, msg };
}

/** The promise that a function returns, or nothing when it throws or returns something else. */
function promised(fn: () => PromiseLike<unknown>): PromiseLike<unknown> | undefined {
  try {
    const promise = fn();
    return typeof promise?.then === "function" ? promise : undefined;
  } catch {
    return undefined;
  }
}

function assertError(
  error: unknown,
  how: "thrown" | "rejected",
  ErrorClass: Constructor<Error>,
  msgIncludes = "",
  msg?: string,
) {
  if (!(error instanceof Error)) throw new AssertionError(`A non-Error object was ${how}${suffix(msg)}`);
  if (!(error instanceof ErrorClass)) {
    throw new AssertionError(
      `Expected error to be instance of "${ErrorClass.name}", but was "${kindOf(error)}"${suffix(msg)}`,
    );
  }
  if (!error.message.includes(msgIncludes)) {
    throw new AssertionError(
      `Expected error message to include ${JSON.stringify(msgIncludes)}, ` +
        `but got ${JSON.stringify(error.message)}${suffix(msg)}`,
    );
  }
}

function kindOf(value: unknown): string {
  if (typeof value !== "object" || value === null) return value === null ? "null" : typeof value;
  return value.constructor?.name ?? "Object";
}

/** The caller's message, as the end of one of ours. */
function suffix(msg: string | undefined): string {
  return msg ? `: ${msg}` : ".";
}
