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
import type { Lossy } from "./lossy.ts";
import { decodeError, encodeError, type StoredError } from "./stored_error.ts";

const RICH_PREFIX = '{"$devalue":';
/** How deep a plain value may be nested; what is deeper, or goes round in a circle, is left to the library. */
const MAX_PLAIN_DEPTH = 200;

let rich: typeof import("devalue") | undefined;

/**
 * The text of a value.
 *
 * @param what names the value in errors, such as `the output of step "pay#000001"`
 * @param maxBytes the longest text, in bytes of UTF-8
 * @returns the text, null for `undefined`; a promise only for a value that is not plain
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
  if (!isPlainValue(value)) return encodeRich(value, what, maxBytes);
  return bounded(JSON.stringify(value), what, maxBytes);
}

/**
 * The value of a text that `encodeValue()` made.
 *
 * Needs {@linkcode loadDecoder} to have been awaited for this text.
 *
 * @throws {SyntaxError} if the text is not one of those
 */
export function decodeValue(text: string | null): unknown {
  if (text === null) return undefined;
  if (!text.startsWith(RICH_PREFIX)) return JSON.parse(text);
  return rich!.parse(text.slice(RICH_PREFIX.length, -1), {
    Error: (stored: StoredError) => decodeError(stored),
  });
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
    const value = sortProperties(await decodeAnyValue(text), new Map());
    return await encodeValue(value, "a value to compare", Infinity);
  }));
  return a === b;
}

/** A copy of a value with the properties of its plain objects in order. */
function sortProperties(value: unknown, done: Map<object, unknown>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  if (Array.isArray(value)) {
    const copy: unknown[] = [];
    done.set(value, copy);
    for (const item of value) copy.push(sortProperties(item, done));
    return copy;
  }
  const prototype = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) return value;
  const copy = Object.create(prototype) as Record<string, unknown>;
  done.set(value, copy);
  for (const key of Object.keys(value).sort()) {
    copy[key] = sortProperties((value as Record<string, unknown>)[key], done);
  }
  return copy;
}

async function loadRich(): Promise<void> {
  try {
    rich = await import("devalue");
  } catch (cause) {
    throw engineFailure(
      `Cannot load "npm:devalue", which values beyond JSON need: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
}

async function encodeRich(value: unknown, what: string, maxBytes: number): Promise<string> {
  if (rich === undefined) await loadRich();
  const { findLossy } = await import("./lossy.ts");
  let text: string;
  let lossy: Lossy | undefined;
  try {
    lossy = findLossy(value);
    text = lossy === undefined ? rich!.stringify(value, { Error: errorOrNot }) : "";
  } catch (cause) {
    const path = cause instanceof rich!.DevalueError ? cause.path : "";
    throw unstorable(what, path, refused(cause), { cause });
  }
  if (lossy !== undefined) throw unstorable(what, lossy.path, lossy.found);
  // Half a character cannot be stored as it is; JSON has a way to write it, which the library does not use.
  const whole = text.replace(/\p{Cs}/gu, (half) => `\\u${half.charCodeAt(0).toString(16)}`);
  return bounded(`${RICH_PREFIX}${whole}}`, what, maxBytes);
}

function errorOrNot(part: unknown): StoredError | false {
  return part instanceof Error && encodeError(part);
}

function unstorable(
  what: string,
  path: string,
  found: string,
  options: ErrorOptions = {},
): SerializationError {
  const message = `Cannot store ${what}: wanted a value of plain data${
    path && `, at ${path}`
  }, found ${found}`;
  return new SerializationError(message, path, options);
}

/** What the library has refused, in a person's words. */
function refused(cause: unknown): string {
  if (cause instanceof RangeError) return "one that is nested too deeply";
  const { value, message } = cause as Error & { value?: unknown };
  const className = typeof value === "object" && value !== null && value.constructor?.name;
  if (className && className !== "Object") return `an instance of the class ${className}`;
  return message.replace(/^Cannot stringify /, "");
}

function bounded(text: string, what: string, maxBytes: number): string {
  // A text has at most three bytes of UTF-8 for each of its units, so most need not be counted.
  if (text.length * 3 > maxBytes && new TextEncoder().encode(text).length > maxBytes) {
    throw new LimitExceededError("maxValueBytes", maxBytes, `store ${what}`);
  }
  return text;
}

/** How many objects a value may have before they are counted, and how often each may be in it, on average. */
const MAX_OBJECTS = 10_000;
const MAX_SHARING = 16;
/** How many of them are left. */
let objectsLeft = 0;

/** Whether `JSON.parse(JSON.stringify(value))` is the same value, and not many times as large. */
function isPlainValue(value: unknown): boolean {
  objectsLeft = MAX_OBJECTS;
  if (isPlain(value, 0)) return true;
  if (objectsLeft >= 0) return false;
  // Read as a tree, what is shared again and again would be read in as many ways as lead to it.
  objectsLeft = MAX_SHARING * countObjects(value);
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
