/**
 * Values as text. A value that is plain JSON is stored as plain JSON, so that a person can read it and any program
 * can use it. `undefined` is stored as no text at all. What JSON cannot say (Date, Map, Set, BigInt, typed arrays,
 * Error, NaN, nested undefined, cycles, …) goes through the `devalue` library, as `{"$devalue": …}`.
 *
 * The library is loaded when it is first needed: most programs never do, and it would take a third of their start.
 *
 * @module
 */

import { engineFailure } from "./engine_failure.ts";
import { LimitExceededError, SerializationError, StoreError } from "./errors.ts";
import { copyStorable, isStackOverflow, TooLarge, Unstorable } from "./snapshot.ts";

const RICH_PREFIX = '{"$devalue":';
/** How deep a plain value may be nested; what is deeper, or goes round in a circle, is left to the library. */
const MAX_PLAIN_DEPTH = 200;
/** How much of the way to a part a message shows, from its beginning and from its end. */
const SHOWN_PATH = 100;

let rich: typeof import("./rich_value.ts") | undefined;

/**
 * The text of a value, as it is when this is called.
 *
 * @param what names the value in errors, such as `the output of step "pay#000001"`
 * @param maxBytes the longest text, in bytes of UTF-8
 * @returns the text, null for `undefined`; a promise only for a value that is not plain, while the library is not loaded
 * @throws {SerializationError} if a part of the value cannot be stored, with the path to it
 * @throws {LimitExceededError} if the text is too long
 * @throws {StoreError} if the library cannot be loaded
 */
export function encodeValue(
  value: unknown,
  what: string,
  maxBytes: number,
): string | null | Promise<string> {
  if (value === undefined) return null;
  const text = plainText(value, maxBytes);
  return text === undefined ? encodeCopy(value, what, maxBytes) : bounded(text, what, maxBytes);
}

/** The same, with what it throws as a rejection that is handled: for a value that may not be wanted after all. */
export function encodeAhead(
  value: unknown,
  what: string,
  maxBytes: number,
): string | null | Promise<string> {
  let encoded: string | null | Promise<string>;
  try {
    encoded = encodeValue(value, what, maxBytes);
  } catch (error) {
    encoded = Promise.reject(error);
  }
  if (encoded instanceof Promise) encoded.catch(() => {});
  return encoded;
}

/** What a function has returned, encoded before anything could change it. */
export class Encoded {
  private constructor(readonly text: string | null | Promise<string>) {}

  /** As {@linkcode encodeAhead}, once that is there if it is a promise. */
  static of(returned: unknown, what: string, maxBytes: number): Encoded | Promise<Encoded> {
    const encode = (value: unknown) => new Encoded(encodeAhead(value, what, maxBytes));
    const isThenable = typeof (returned as PromiseLike<unknown> | undefined)?.then === "function";
    return isThenable ? Promise.resolve(returned).then(encode) : encode(returned);
  }
}

/**
 * The value of a text that `encodeValue()` made.
 *
 * Needs {@linkcode loadDecoder} to have been awaited for this text.
 *
 * @throws {SyntaxError | Error} if the text is not one of those
 * @throws {StoreError} if there is no stack, or no memory, left for it: that is no fault of the text
 */
export function decodeValue(text: string | null): unknown {
  if (text === null) return undefined;
  try {
    if (!text.startsWith(RICH_PREFIX)) return JSON.parse(text);
    return rich!.parseRich(text.slice(RICH_PREFIX.length, -1));
  } catch (cause) {
    if (!isOutOfResources(cause)) throw cause;
    throw new StoreError(`Cannot read a stored value: ${(cause as Error).message}`, { cause });
  }
}

/** Whether an error is of the process that met it, and not of what it was at. */
function isOutOfResources(error: unknown): boolean {
  return isStackOverflow(error) ||
    error instanceof RangeError &&
      /out of memory|allocation failed|invalid string length/i.test(error.message);
}

/** Loads what decoding this text needs. @returns a promise only if there is something to load */
export function loadDecoder(text: string | null): Promise<void> | undefined {
  return rich === undefined && text !== null && text.startsWith(RICH_PREFIX) ? loadRich() : undefined;
}

/** The value of a text, whatever it needs. */
export async function decodeAnyValue(text: string | null): Promise<unknown> {
  await loadDecoder(text);
  return decodeValue(text);
}

/**
 * The value of a text that was read from the store.
 *
 * @param corrupt makes the error for a text that is no value
 * @throws what `corrupt` has made
 * @throws {StoreError} if the library cannot be loaded
 */
export async function decodeStored(
  text: string | null,
  corrupt: (found: string, cause: unknown) => Error,
): Promise<unknown> {
  try {
    return await decodeAnyValue(text);
  } catch (cause) {
    if (cause instanceof StoreError) throw cause;
    throw corrupt(`a text that is no value (${(cause as Error).message})`, cause);
  }
}

/** Whether two texts are of the same value, whatever the order of the properties of its objects. */
export async function isSameValue(one: string | null, other: string | null): Promise<boolean> {
  if (one === other) return true;
  const [a, b] = await Promise.all([one, other].map(async (text) => {
    const value = await decodeAnyValue(text);
    try {
      return await encodeValue(sortProperties(value, new Map()), "a value to compare", Infinity);
    } catch (error) {
      // What an earlier version has stored, and could not be asked for today.
      if (error instanceof SerializationError || isStackOverflow(error)) return text;
      throw error;
    }
  }));
  return a === b;
}

/** A copy of a value with the properties of its plain objects in order. */
function sortProperties(value: unknown, done: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  const prototype = Object.getPrototypeOf(value);
  const isArray = Array.isArray(value);
  if (!isArray && prototype !== Object.prototype && prototype !== null) return value;
  const copy = (isArray ? [] : Object.create(prototype)) as Record<string, unknown>;
  done.set(value, copy);
  for (const key of isArray ? Object.keys(value) : Object.keys(value).sort()) {
    const sorted = sortProperties((value as Record<string, unknown>)[key], done);
    Object.defineProperty(copy, key, { value: sorted, writable: true, configurable: true, enumerable: true });
  }
  if (isArray) copy.length = value.length;
  return copy;
}

async function loadRich(): Promise<void> {
  try {
    rich = await import("./rich_value.ts");
  } catch (cause) {
    throw engineFailure(
      `Cannot load "npm:devalue", which values beyond JSON need: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

/** The text of a plain value; undefined for any other, and where something is wrong with it, or it is sure to be too long. */
function plainText(value: unknown, maxBytes: number): string | undefined {
  try {
    return isPlainValue(value, maxBytes) ? JSON.stringify(value) : undefined;
  } catch {
    // What somebody's code throws is told of with its place, by those who look for that.
    return undefined;
  }
}

/** The text of a value that is rich, cannot be stored, or reads otherwise each time. */
function encodeCopy(value: unknown, what: string, maxBytes: number): string | Promise<string> {
  let copy: unknown;
  try {
    copy = copyStorable(value, maxBytes);
  } catch (error) {
    if (error instanceof TooLarge) throw tooLong(what, maxBytes);
    if (error instanceof Unstorable) throw unstorable(what, error.path, error.found, error);
    throw error;
  }
  if (isPlainValue(copy, Infinity)) {
    // Its text has what it shares in each place.
    if (characters > maxBytes) throw tooLong(what, maxBytes);
    return bounded(textOf(() => JSON.stringify(copy), what), what, maxBytes);
  }
  const encode = () => {
    const text = textOf(() => rich!.stringifyRich(copy), what);
    // Half a character cannot be stored as it is; JSON has a way to write it, which the library does not use.
    const whole = text.isWellFormed()
      ? text
      : text.replace(/\p{Cs}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
    return bounded(`${RICH_PREFIX}${whole}}`, what, maxBytes);
  };
  return rich === undefined ? loadRich().then(encode) : encode();
}

function textOf(make: () => string, what: string): string {
  try {
    return make();
  } catch (cause) {
    const { message, path = "" } = cause as Error & { path?: string };
    throw unstorable(what, path, `one that no text can be made of (${message})`, cause);
  }
}

function unstorable(what: string, path: string, found: string, cause: unknown): SerializationError {
  const shown = path.length <= 3 * SHOWN_PATH
    ? path
    : `${path.slice(0, SHOWN_PATH)}…${path.slice(-SHOWN_PATH)}`.toWellFormed();
  const message = `Cannot store ${what}: wanted a value of plain data${
    shown && `, at ${shown}`
  }, found ${found}`;
  return new SerializationError(message, path, { cause });
}

function bounded(text: string, what: string, maxBytes: number): string {
  // A text has one to three bytes of UTF-8 for each of its units, so most need not be counted.
  if (text.length > maxBytes) throw tooLong(what, maxBytes);
  if (text.length * 3 > maxBytes && new TextEncoder().encode(text).length > maxBytes) {
    throw tooLong(what, maxBytes);
  }
  return text;
}

function tooLong(what: string, maxBytes: number): LimitExceededError {
  return new LimitExceededError("maxValueBytes", maxBytes, `store ${what}`);
}

/** How many objects a value may have before they are counted, and how often each may be in it, on average. */
const MAX_OBJECTS = 10_000;
const MAX_SHARING = 16;
/** How many of them are left. */
let objectsLeft = 0;
/** How many characters its text has at least, and how many it may have. */
let characters = 0;
let maxCharacters = 0;

/** Whether `JSON.parse(JSON.stringify(value))` is the same value, not many times as large, and not sure to be too long. */
function isPlainValue(value: unknown, maxBytes: number): boolean {
  maxCharacters = maxBytes;
  characters = 0;
  objectsLeft = MAX_OBJECTS;
  if (isPlain(value, 0)) return true;
  if (objectsLeft >= 0) return false;
  // Read as a tree, what is shared again and again would be read in as many ways as lead to it.
  objectsLeft = MAX_SHARING * countObjects(value);
  characters = 0;
  return isPlain(value, 0);
}

/** How many objects there are in a value, each counted once. */
function countObjects(value: unknown): number {
  const seen = new Set<unknown>();
  const parts = [value];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    if (seen.has(part)) continue;
    seen.add(part);
    for (const inner of Object.values(part as object)) {
      if (typeof inner === "object" && inner !== null) parts.push(inner);
    }
  }
  return seen.size;
}

/** The same for a part of the value; false once there are too many objects. */
function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case "string":
      return (characters += value.length) <= maxCharacters;
    case "boolean":
      return true;
    case "number":
      return Number.isFinite(value) && !Object.is(value, -0);
    case "object":
      return value === null || depth < MAX_PLAIN_DEPTH && isPlainObject(value, depth + 1);
    default:
      return false;
  }
}

function isPlainObject(value: object, depth: number): boolean {
  if (--objectsLeft < 0 || "toJSON" in value) return false;
  if (Array.isArray(value)) {
    if (Object.getPrototypeOf(value) !== Array.prototype || Object.keys(value).length !== value.length) {
      return false;
    }
    // Not every(): it passes over holes.
    for (let i = 0; i < value.length; i++) if (!isPlain(value[i], depth)) return false;
    return true;
  }
  if (Object.getPrototypeOf(value) !== Object.prototype || depth === 1 && "$devalue" in value) return false;
  for (const key in value) {
    if (!isPlain((value as Record<string, unknown>)[key], depth)) return false;
  }
  return Object.getOwnPropertySymbols(value).length === 0;
}
