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
  /** Where; the first 64 KiB. */
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
  /** Of the workflow's error: whether the steps before it have been undone. */
  readonly compensated?: boolean;
  /** Of the workflow's error: whether it has no input, as it is what making that has failed with. */
  readonly noInput?: boolean;
  /** Of the workflow's error: the place in the order of completions where a retry begins. */
  readonly completion?: number;
}

/** How much is kept of one error with its causes and parts. */
const MAX_ERRORS = 100;
const MAX_CHARACTERS = 256 * 1024;
const MAX_DEPTH = 8;
/** The longest single text of it. */
const MAX_TEXT_LENGTH = 64 * 1024;

/** The classes that an error gets back, once one is to; any other becomes an `Error` that keeps its name. */
let classes: ReadonlyMap<string, { prototype: Error }> | undefined;

/** What is left to be stored of one error with all that hangs on it. */
interface Budget {
  errors: number;
  characters: number;
}

/**
 * What is stored of something thrown: at most 100 errors, with 256 KiB of text, however they hang together. What
 * cannot be read of it is left out.
 *
 * @param thrown anything
 */
export function encodeError(thrown: unknown): StoredError {
  return encode(thrown, { errors: MAX_ERRORS, characters: MAX_CHARACTERS }, 0);
}

/** The text that is stored of something thrown. */
export function errorText(thrown: unknown): string {
  return JSON.stringify(encodeError(thrown));
}

/** The error, or the other thing thrown, of which a text was stored. @throws {SyntaxError} if it is none of those */
export function errorOf(text: string): unknown {
  return decodeError(JSON.parse(text) as StoredError);
}

function encode(thrown: unknown, budget: Budget, depth: number): StoredError {
  budget.errors--;
  if (!read(() => thrown instanceof Error)) return encodeThrown(thrown, budget);
  const error = thrown as Error & { code?: unknown; errors?: unknown };
  const stored: { -readonly [K in keyof StoredError]: StoredError[K] } = {
    name: text(() => error.name, budget),
    message: text(() => error.message, budget),
  };
  const stack = text(() => error.stack, budget);
  if (stack !== "") stored.stack = stack;
  const code = read(() => error.code);
  if (typeof code === "string") stored.code = text(() => code, budget);
  else if (typeof code === "number" && Number.isFinite(code)) stored.code = code;
  if (read(() => error instanceof errors.StepwellError)) stored.fields = ownFields(error, budget);
  if (depth >= MAX_DEPTH) return stored;
  const cause = read(() => error.cause);
  if (cause !== undefined && budget.errors > 0) stored.cause = encode(cause, budget, depth + 1);
  const parts = read(() => error instanceof AggregateError ? [...error.errors] : undefined) ?? [];
  if (parts.length > 0) {
    stored.errors = [];
    for (const part of parts) {
      if (budget.errors <= 0) break;
      stored.errors = [...stored.errors, encode(part, budget, depth + 1)];
    }
  }
  return stored;
}

/** The error, or the other thing thrown, of which this was stored. */
export function decodeError(stored: StoredError): unknown {
  if (stored.thrown !== undefined) return stored.thrown;
  const { name, message, stack, code, cause, fields } = stored;
  classes ??= errorClasses();
  // Somebody else's error may have the name of one of ours: fields are kept of ours alone, and of those derived from them.
  const isOurs = fields !== undefined;
  const known = isOurs || !Object.hasOwn(errors, name) ? classes.get(name) : undefined;
  const error = Object.create((known ?? (isOurs ? errors.StepwellError : Error)).prototype);
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

function errorClasses(): ReadonlyMap<string, { prototype: Error }> {
  const all = [
    ...[TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError],
    ...Object.values(errors),
  ];
  return new Map(all.map((Class) => [Class.name, Class as { prototype: Error }]));
}

function encodeThrown(thrown: unknown, budget: Budget): StoredError {
  const message = text(() => thrown, budget);
  const keep = thrown === null || typeof thrown === "string" && thrown === message ||
    typeof thrown === "boolean" ||
    typeof thrown === "number" && Number.isFinite(thrown);
  return keep
    ? { name: "Thrown", message, thrown: thrown as StoredError["thrown"] & (string | number) }
    : { name: "Thrown", message };
}

/** The fields of one of our errors that are plain data, as far as the budget goes. */
function ownFields(error: Error, budget: Budget): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of read(() => Object.keys(error)) ?? []) {
    if (field === "name" || field === "code") continue;
    const json = read(() => fieldJson((error as unknown as Record<string, unknown>)[field]));
    if (json === undefined || json.length > budget.characters) continue;
    budget.characters -= json.length;
    fields[field] = JSON.parse(json);
  }
  return fields;
}

/** What is stored of a field, undefined for what is not. @throws whatever reading it does */
function fieldJson(value: unknown): string | undefined {
  if (value instanceof Date) return JSON.stringify({ date: value.getTime() });
  const isPlain = ["string", "number", "boolean"].includes(typeof value) || Array.isArray(value);
  return isPlain ? JSON.stringify(value) : undefined;
}

function reviveField(value: unknown): unknown {
  return typeof value === "object" && value !== null && "date" in value
    ? new Date(value.date as number)
    : value;
}

function define(error: Error, property: string, value: unknown): void {
  Object.defineProperty(error, property, { value, writable: true, configurable: true, enumerable: false });
}

/** What somebody else's getter gives, undefined where it throws. */
function read<T>(get: () => T): T | undefined {
  try {
    return get();
  } catch {
    return undefined;
  }
}

/** What it gives as text, as far as the budget goes. */
function text(get: () => unknown, budget: Budget): string {
  const whole = read(() => String(get() ?? "").toWellFormed()) ?? "(unreadable)";
  const length = Math.min(MAX_TEXT_LENGTH, Math.max(0, budget.characters));
  budget.characters -= Math.min(whole.length, length);
  return whole.length <= length ? whole : `${whole.slice(0, length).toWellFormed()}…`;
}
