/**
 * Errors of what was stored. What a workflow sees of an error is always what was stored of it, the first time too: code
 * that tells errors apart does so the same way in a replay.
 *
 * @module
 */

import { MAX_DEPTH, type StoredError } from "./encode_error.ts";
import * as errors from "./errors.ts";
import { found } from "./quote.ts";

export { encodeError, errorText, type StoredError } from "./encode_error.ts";

/** The classes that an error gets back, once one is to; any other becomes an `Error` that keeps its name. */
let classes: ReadonlyMap<string, { prototype: Error }> | undefined;

/** How deep what is stored may be nested: a little deeper than any version has written it. */
const MAX_STORED_DEPTH = MAX_DEPTH + 8;
/** How many errors may hang together in what is stored. */
const MAX_STORED = 1_000;

/**
 * What a text says that was stored of something thrown. A right checksum says who has written it, not that it is an error:
 * so its shape is checked.
 *
 * @throws {SyntaxError} if it is not JSON, or says something else than an error
 */
export function parseStoredError(text: string): StoredError {
  const stored: unknown = JSON.parse(text);
  checkStored(stored);
  return stored;
}

/** The error, or the other thing thrown, of which a text was stored. @throws {SyntaxError} if it is none of those */
export function errorOf(text: string): unknown {
  return decode(parseStoredError(text));
}

/** The error, or the other thing thrown, of which this was stored. @throws {SyntaxError} if it is none of those */
export function decodeError(stored: unknown): unknown {
  checkStored(stored);
  return decode(stored);
}

/** What the parts of a stored error must be. */
const PARTS: Readonly<Record<keyof StoredError, (value: unknown) => boolean>> = {
  name: isString,
  message: isString,
  stack: isString,
  code: (value) => isString(value) || typeof value === "number",
  thrown: (value) => value === null || ["string", "number", "boolean"].includes(typeof value),
  domException: isBoolean,
  fields: isRecord,
  step: isString,
  compensated: isBoolean,
  noInput: isBoolean,
  completion: (value) => Number.isSafeInteger(value) && (value as number) >= 0,
  // These are looked at on their own.
  cause: () => true,
  error: () => true,
  suppressed: () => true,
  errors: Array.isArray,
};

function checkStored(root: unknown): asserts root is StoredError {
  const parts: [stored: unknown, path: string, depth: number][] = [[root, "", 0]];
  let count = 0;
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [stored, path, depth] = part;
    const refuse = (what: string, value: unknown) => {
      throw new SyntaxError(`Cannot read an error: wanted ${what}, found ${found(value)}`);
    };
    if (depth > MAX_STORED_DEPTH) refuse(`at most ${MAX_STORED_DEPTH} levels`, "more");
    if (++count > MAX_STORED) refuse(`at most ${MAX_STORED} errors`, "more");
    if (!isRecord(stored)) return void refuse(`an object${path && ` as ${path}`}`, stored);
    for (const name of ["name", "message"] as const) {
      if (!Object.hasOwn(stored, name)) refuse(`a ${path}${name}`, "none");
    }
    for (const [name, isRight] of Object.entries(PARTS)) {
      const value = Object.hasOwn(stored, name) ? stored[name] : undefined;
      if (value !== undefined && !isRight(value)) refuse(`another kind of ${path}${name}`, value);
    }
    for (const name of ["cause", "error", "suppressed"] as const) {
      const inner = Object.hasOwn(stored, name) ? stored[name] : undefined;
      if (inner !== undefined) parts.push([inner, `${path}${name}.`, depth + 1]);
    }
    for (const [i, inner] of (stored.errors as unknown[] | undefined ?? []).entries()) {
      parts.push([inner, `${path}errors[${i}].`, depth + 1]);
    }
  }
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === "boolean";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function decode(stored: StoredError): unknown {
  if (stored.thrown !== undefined) return stored.thrown;
  const { name, message, stack, code, cause, fields } = stored;
  classes ??= errorClasses();
  // An error of other code may have the name of one of ours: fields are kept of ours alone, and of those derived from them.
  const isOurs = fields !== undefined;
  const known = isOurs || !Object.hasOwn(errors, name) ? classes.get(name) : undefined;
  const { prototype } = known ?? (isOurs ? errors.StepwellError : Error);
  // Those that an aborted signal gives were stored without a mark at first.
  const isDom = stored.domException || !isOurs && (name === "AbortError" || name === "TimeoutError");
  // An Error of the language's own making, so that everything that knows errors by more than their class knows it.
  const result: Error = isDom
    ? new DOMException(message, name) as Error
    : Object.setPrototypeOf(new Error(message), prototype);
  if (!isDom) define(result, "name", name);
  define(result, "stack", stack ?? `${name}: ${message}`);
  if (code !== undefined && !isDom) define(result, "code", code);
  if (cause !== undefined) define(result, "cause", decode(cause));
  if (stored.errors !== undefined) define(result, "errors", stored.errors.map(decode));
  if (stored.error !== undefined) define(result, "error", decode(stored.error));
  if (stored.suppressed !== undefined) define(result, "suppressed", decode(stored.suppressed));
  for (const [field, value] of Object.entries(fields ?? {})) {
    // Enumerable, as the fields of a class are: so they are stored again where the error goes on.
    define(result, field, reviveField(value), true);
  }
  return result;
}

function errorClasses(): ReadonlyMap<string, { prototype: Error }> {
  // Older versions of Deno do not have it.
  const { SuppressedError } = globalThis as { SuppressedError?: { name: string; prototype: Error } };
  const all = [
    ...[TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError],
    ...SuppressedError === undefined ? [] : [SuppressedError],
    ...Object.values(errors).filter((each) => typeof each === "function"),
  ];
  return new Map(all.map((Class) => [Class.name, Class as { prototype: Error }]));
}

function reviveField(value: unknown): unknown {
  if (!isRecord(value) || typeof value.date !== "number") return value;
  return new Date(value.date);
}

function define(error: Error, property: string, value: unknown, enumerable = false): void {
  Object.defineProperty(error, property, { value, writable: true, configurable: true, enumerable });
}
