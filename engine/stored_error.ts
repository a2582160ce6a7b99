/**
 * Errors as data. What a workflow sees of an error is always what was stored of it, the first time too: code that
 * tells errors apart does so the same way in a replay.
 *
 * @module
 */

import * as errors from "./errors.ts";

/** An error as it is stored. */
export interface StoredError {
  /** Of its class. */
  readonly name: string;
  /** What went wrong. */
  readonly message: string;
  /** Where; the first 16 KiB. */
  readonly stack?: string;
  /** Its `code`, if that is a string or a number. */
  readonly code?: string | number;
  /** Its cause, to a depth of eight. */
  readonly cause?: StoredError;
  /** Of an `AggregateError`. */
  readonly errors?: readonly StoredError[];
  /** The further fields of one of Stepwell's own errors. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** A thrown value that is no Error; only a string, number, boolean or null is kept. */
  readonly thrown?: string | number | boolean | null;
  /** Of the workflow's error: the key of the step whose failure it is. */
  readonly step?: string;
  /** Of the workflow's error: the place in the order of completions where a retry begins. */
  readonly completion?: number;
}

const MAX_MESSAGE_LENGTH = 64 * 1024;
const MAX_STACK_LENGTH = 16 * 1024;
const MAX_DEPTH = 8;
const MAX_ERRORS = 100;

/** The classes that an error gets back; any other becomes an `Error` that keeps its name. */
const CLASSES = new Map<string, { prototype: Error }>(
  [
    ...[TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError],
    ...Object.values(errors),
  ].map((Class) => [Class.name, Class as { prototype: Error }]),
);

/**
 * What is stored of something thrown.
 *
 * @param thrown anything
 */
export function encodeError(thrown: unknown, depth = 0): StoredError {
  if (!(thrown instanceof Error)) return encodeThrown(thrown);
  const stored: { -readonly [K in keyof StoredError]: StoredError[K] } = {
    name: cut(text(() => thrown.name), MAX_MESSAGE_LENGTH),
    message: cut(text(() => thrown.message), MAX_MESSAGE_LENGTH),
  };
  const stack = text(() => thrown.stack);
  if (stack !== "") stored.stack = cut(stack, MAX_STACK_LENGTH);
  const code = (thrown as { code?: unknown }).code;
  if (typeof code === "string" || typeof code === "number") stored.code = code;
  if (depth < MAX_DEPTH) {
    if (thrown.cause !== undefined) stored.cause = encodeError(thrown.cause, depth + 1);
    if (thrown instanceof AggregateError) {
      stored.errors = thrown.errors.slice(0, MAX_ERRORS).map((error) => encodeError(error, depth + 1));
    }
  }
  if (thrown instanceof errors.StepwellError) stored.fields = ownFields(thrown);
  return stored;
}

/** The error, or the other thing thrown, of which this was stored. */
export function decodeError(stored: StoredError): unknown {
  if (stored.thrown !== undefined) return stored.thrown;
  const { name, message, stack, code, cause, fields } = stored;
  const error = Object.create((CLASSES.get(name) ?? Error).prototype);
  // An Error of the language's own making, so that everything that knows errors by more than their class knows it.
  const result: Error = name === "AbortError" || name === "TimeoutError"
    ? new DOMException(message, name) as Error
    : Object.setPrototypeOf(new Error(message), Object.getPrototypeOf(error));
  if (!(result instanceof DOMException)) define(result, "name", name);
  define(result, "stack", stack ?? `${name}: ${message}`);
  if (code !== undefined && !(result instanceof DOMException)) define(result, "code", code);
  if (cause !== undefined) define(result, "cause", decodeError(cause));
  if (stored.errors !== undefined) define(result, "errors", stored.errors.map(decodeError));
  // Enumerable, as the fields of a class are: so they are stored again where the error goes on.
  for (const [field, value] of Object.entries(fields ?? {})) {
    Object.assign(result, { [field]: reviveField(value) });
  }
  return result;
}

function encodeThrown(thrown: unknown): StoredError {
  const message = cut(text(() => thrown), MAX_MESSAGE_LENGTH);
  const keep = thrown === null || typeof thrown === "string" || typeof thrown === "boolean" ||
    typeof thrown === "number" && Number.isFinite(thrown);
  return keep
    ? { name: "Thrown", message, thrown: thrown as StoredError["thrown"] & (string | number) }
    : { name: "Thrown", message };
}

/** The fields of one of our errors that are plain data. */
function ownFields(error: Error): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(error)) {
    if (field === "name" || field === "code") continue;
    if (value instanceof Date) fields[field] = { date: value.getTime() };
    else if (["string", "number", "boolean"].includes(typeof value) || Array.isArray(value)) {
      fields[field] = value;
    }
  }
  return fields;
}

function reviveField(value: unknown): unknown {
  return typeof value === "object" && value !== null && "date" in value
    ? new Date(value.date as number)
    : value;
}

function define(error: Error, property: string, value: unknown): void {
  Object.defineProperty(error, property, { value, writable: true, configurable: true, enumerable: false });
}

/** What a getter gives as text: an error of somebody else's may have any of them throw. */
function text(get: () => unknown): string {
  try {
    return String(get() ?? "").toWellFormed();
  } catch {
    return "(unreadable)";
  }
}

function cut(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length)}…`;
}
