/**
 * Errors as data: what is stored of one, and what its JSON is.
 *
 * @module
 */

import { bigintText, isError, plainJson, UNREADABLE } from "./plain_json.ts";

/** An error as it is stored. */
export interface StoredError {
  /** Of its class. */
  readonly name: string;
  /** What went wrong. Of something thrown that is no error and has no message: its JSON, or what it is. */
  readonly message: string;
  /** Where; the first 64 KiB. */
  readonly stack?: string;
  /** Its `code`, if that is a string or a number. */
  readonly code?: string | number;
  /** Its cause, to a depth of eight. */
  readonly cause?: StoredError;
  /** Of an `AggregateError`. */
  readonly errors?: readonly StoredError[];
  /** Of a `SuppressedError`: what was thrown last. */
  readonly error?: StoredError;
  /** Of a `SuppressedError`: what had been thrown before that. */
  readonly suppressed?: StoredError;
  /** Whether it is a `DOMException`. */
  readonly domException?: boolean;
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
/** How deep causes and parts are followed. */
export const MAX_DEPTH = 8;
/** The longest single text of it. */
const MAX_TEXT_LENGTH = 64 * 1024;
/** How much is shown of something thrown that is no error and has no message. */
const SHOWN = { nodes: 500, characters: 4_096 };
/** What an object without properties of its own may still say about itself, such as a `Response`. */
const TELLING = ["status", "statusText", "url", "type", "reason"];

/** Marks Stepwell's own errors, also those that another copy of this module made: their fields are kept. */
export const OWN_ERROR: unique symbol = Symbol.for("@stepwell/stepwell/error") as never;

/** What is left to be stored of one error with all that hangs on it. */
interface Budget {
  errors: number;
  characters: number;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

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

/** Something thrown in a few words, for the message of another error: `TypeError: No`. Never throws. */
export function describeThrown(thrown: unknown): string {
  const { name, message } = encode(thrown, { errors: 1, characters: MAX_SHOWN }, MAX_DEPTH);
  if (name === "Thrown") return message;
  return message === "" ? name : `${name}: ${message}`;
}

const MAX_SHOWN = 1_000;

function encode(thrown: unknown, budget: Budget, depth: number): StoredError {
  budget.errors--;
  if (!isError(thrown)) return encodeThrown(thrown, budget);
  const error = thrown as Error & { code?: unknown; errors?: unknown; error?: unknown; suppressed?: unknown };
  const stored: Mutable<StoredError> = {
    name: text(() => error.name, budget),
    message: text(() => messageOf(error.message), budget),
  };
  const stack = read(() => error.stack);
  // `Error.prepareStackTrace` may make anything of it.
  if (typeof stack === "string" && stack !== "") stored.stack = text(() => stack, budget);
  encodeCode(error, stored, budget);
  if (read(() => error instanceof DOMException)) stored.domException = true;
  if (read(() => OWN_ERROR in error)) stored.fields = ownFields(error, budget);
  if (depth >= MAX_DEPTH) return stored;
  const inner = (get: () => unknown) => {
    const part = read(get);
    return part === undefined || budget.errors <= 0 ? undefined : encode(part, budget, depth + 1);
  };
  const cause = inner(() => error.cause);
  if (cause !== undefined) stored.cause = cause;
  if (stored.name === "SuppressedError") {
    // An error that is undefined was thrown all the same.
    const [last, before] = [inner(() => error.error), inner(() => error.suppressed)];
    if (last !== undefined) stored.error = last;
    if (before !== undefined) stored.suppressed = before;
  }
  const isAggregate = stored.name === "AggregateError" || read(() => error instanceof AggregateError);
  const parts = isAggregate ? read(() => [...error.errors as Iterable<unknown>]) ?? [] : [];
  if (parts.length > 0) {
    const errors: StoredError[] = stored.errors = [];
    for (const part of parts) {
      if (budget.errors <= 0) break;
      errors.push(encode(part, budget, depth + 1));
    }
  }
  return stored;
}

function encodeCode(of: { code?: unknown }, stored: Mutable<StoredError>, budget: Budget): void {
  const code = read(() => of.code);
  if (typeof code === "string") stored.code = text(() => code, budget);
  else if (typeof code === "number" && Number.isFinite(code)) stored.code = code;
}

/** A message, which may be anything: that of many a library is an object. */
function messageOf(message: unknown): unknown {
  return typeof message === "object" && message !== null ? shown(message) : message;
}

/** What is stored of something thrown that is no error. */
function encodeThrown(thrown: unknown, budget: Budget): StoredError {
  if (typeof thrown === "object" && thrown !== null) return encodeObject(thrown, budget);
  const message = text(() => shown(thrown), budget);
  const keep = thrown === null || typeof thrown === "string" && thrown === message ||
    typeof thrown === "boolean" ||
    typeof thrown === "number" && Number.isFinite(thrown);
  return keep
    ? { name: "Thrown", message, thrown: thrown as StoredError["thrown"] & (string | number) }
    : { name: "Thrown", message };
}

/** Of an object what an error would have: the clients of many services throw such. */
function encodeObject(thrown: object, budget: Budget): StoredError {
  const own = thrown as { name?: unknown; message?: unknown };
  const [name, message] = [read(() => own.name), read(() => own.message)];
  const stored: Mutable<StoredError> = {
    name: text(() => isText(name) ? name : className(thrown) ?? "Thrown", budget),
    message: text(() => isText(message) ? message : shown(thrown), budget),
  };
  encodeCode(thrown, stored, budget);
  return stored;
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value !== "";
}

function className(object: object): string | undefined {
  const name = read(() => object.constructor?.name);
  return isText(name) && name !== "Object" ? name : undefined;
}

/** Something that is no error, as a text: the JSON of an object. */
function shown(value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "bigint") return bigintText(value);
  if (typeof value !== "object" || value === null) return String(plainJson(value));
  let plain = plainJson(value, SHOWN);
  if (isEmpty(plain)) {
    const telling = TELLING.map((name) =>
      [name, read(() => (value as Record<string, unknown>)[name])] as const
    )
      .filter(([, told]) => typeof told === "string" && told !== "" || typeof told === "number");
    if (telling.length > 0) plain = plainJson(Object.fromEntries(telling), SHOWN);
  }
  return typeof plain === "string" ? plain : JSON.stringify(plain);
}

function isEmpty(plain: unknown): boolean {
  return typeof plain === "object" && plain !== null && !Array.isArray(plain) &&
    Object.keys(plain).length === 0;
}

/** The fields of one of our errors that are plain data, as far as the budget goes. */
function ownFields(error: Error, budget: Budget): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const field of read(() => Object.keys(error)) ?? []) {
    if (field === "name" || field === "code" || field === "__proto__") continue;
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
  const whole = read(() => String(get() ?? "").toWellFormed()) ?? UNREADABLE;
  const length = Math.min(MAX_TEXT_LENGTH, Math.max(0, budget.characters));
  budget.characters -= Math.min(whole.length, length);
  return whole.length <= length ? whole : `${whole.slice(0, length).toWellFormed()}…`;
}
