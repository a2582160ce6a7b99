/**
 * Any value as plain data that JSON can say: for events, errors and messages, which people and programs read. It is not how
 * values are stored (serialize.ts), and does not lead back to the value.
 *
 * @module
 */

import { excerpt } from "./quote.ts";

/** How much of a value is kept. */
export interface PlainLimits {
  /** How many values in all, the value itself and its parts. 10,000 by default. */
  readonly nodes?: number;
  /** How many characters of texts and names, in all. 64 Ki by default. */
  readonly characters?: number;
  /** What is made of an error; by default its name, message and code. */
  readonly error?: (error: Error) => unknown;
}

const MAX_NODES = 10_000;
const MAX_CHARACTERS = 64 * 1024;
/** How deep a value is followed. */
const MAX_DEPTH = 20;
/** The longest binary data that is written out, in bytes. */
const MAX_BYTES = 1_024;

/** What stands for a part that cannot be read, since somebody's getter throws. */
export const UNREADABLE = "(unreadable)";

/** What is left to be kept, and what is made of errors. */
interface Budget {
  nodes: number;
  characters: number;
  readonly error: (error: Error) => unknown;
}

/**
 * A value as plain data, whatever it is: a copy in which a bigint, a symbol, NaN, a date and a URL are texts, a `Set` is an
 * array, a `Map` an object or the array of its entries, and an object within itself `"[Circular]"`. Of a value that is large,
 * deep or shared very often only the first part is there. It never throws, and calls no `toJSON`.
 *
 * @example
 * ```ts
 * import { plainJson } from "./plain_json.ts";
 * import { assertEquals } from "@std/assert";
 *
 * const order: Record<string, unknown> = { cents: 100n, paid: new Map([["ada", NaN]]), at: new Date(0) };
 * order.self = order;
 * assertEquals(plainJson(order), {
 *   cents: "100",
 *   paid: { ada: "NaN" },
 *   at: "1970-01-01T00:00:00.000Z",
 *   self: "[Circular]",
 * });
 * ```
 */
export function plainJson(value: unknown, limits: PlainLimits = {}): unknown {
  const { nodes = MAX_NODES, characters = MAX_CHARACTERS, error = plainError } = limits;
  return plain(value, { nodes, characters, error }, []);
}

function plain(value: unknown, budget: Budget, within: readonly object[]): unknown {
  budget.nodes--;
  switch (typeof value) {
    case "string":
      return text(value, budget);
    case "number":
      return Number.isFinite(value) ? value : String(value);
    case "bigint":
      return text(bigintText(value), budget);
    case "symbol":
      return text(String(value), budget);
    case "function":
      return text(functionText(value), budget);
    case "object":
      if (value === null) return null;
      if (within.includes(value)) return "[Circular]";
      if (within.length >= MAX_DEPTH) return "[Too deep]";
      try {
        return plainObject(value, budget, [...within, value]);
      } catch {
        return UNREADABLE;
      }
    default:
      return value;
  }
}

function plainObject(value: object, budget: Budget, within: readonly object[]): unknown {
  if (Array.isArray(value)) return list(value, value.length, budget, within);
  if (isError(value)) return budget.error(value);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof RegExp || value instanceof URL || value instanceof URLSearchParams) {
    return text(String(value), budget);
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean) {
    return plain(value.valueOf(), budget, within);
  }
  if (value instanceof ArrayBuffer) return binary(new Uint8Array(value), "ArrayBuffer");
  if (ArrayBuffer.isView(value)) {
    const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    return binary(bytes, value.constructor.name);
  }
  if (value instanceof Set) return list(value, value.size, budget, within);
  if (value instanceof Map) return plainMap(value, budget, within);
  return fields(Object.keys(value), (key) => (value as Record<string, unknown>)[key], budget, within);
}

function list(items: Iterable<unknown>, count: number, budget: Budget, within: readonly object[]): unknown[] {
  const copy: unknown[] = [];
  for (const item of items) {
    if (isSpent(budget)) {
      copy.push(`… (${count - copy.length} more)`);
      break;
    }
    copy.push(plain(item, budget, within) ?? null);
  }
  return copy;
}

function plainMap(map: Map<unknown, unknown>, budget: Budget, within: readonly object[]): unknown {
  const names: string[] = [];
  for (const key of map.keys()) {
    if (typeof key !== "string") return list(map, map.size, budget, within);
    names.push(key);
  }
  return fields(names, (name) => map.get(name), budget, within);
}

function fields(
  names: readonly string[],
  read: (name: string) => unknown,
  budget: Budget,
  within: readonly object[],
): Record<string, unknown> {
  // Of its own properties only, whatever their names: `__proto__` is one like any other.
  const copy: Record<string, unknown> = Object.create(null);
  for (const [i, name] of names.entries()) {
    if (isSpent(budget)) {
      copy["…"] = `${names.length - i} more`;
      break;
    }
    let value: unknown;
    try {
      value = plain(read(name), budget, within);
    } catch {
      value = UNREADABLE;
    }
    if (value !== undefined) copy[text(name, budget)] = value;
  }
  // As any other object, now that no name can change what it is.
  return "__proto__" in copy ? copy : Object.setPrototypeOf(copy, Object.prototype);
}

function isSpent({ nodes, characters }: Budget): boolean {
  return nodes <= 0 || characters <= 0;
}

/** A text as far as the budget goes, and without half characters. */
function text(whole: string, budget: Budget): string {
  const left = Math.max(0, budget.characters);
  budget.characters -= Math.min(whole.length, left);
  return excerpt(whole, left).toWellFormed();
}

/** The digits of a bigint. Of a very large one they would take seconds. */
export function bigintText(value: bigint): string {
  return value > MAX_BIGINT || value < -MAX_BIGINT ? "a large bigint" : String(value);
}

const MAX_BIGINT = 10n ** 1_000n;

function functionText(value: unknown): string {
  try {
    const { name } = value as { name: unknown };
    return typeof name === "string" && name !== "" ? `function ${name}` : "a function";
  } catch {
    return "a function";
  }
}

function binary(bytes: Uint8Array, name: string): string {
  if (bytes.length > MAX_BYTES) return `${name} of ${bytes.length} bytes`;
  return btoa(String.fromCharCode(...bytes));
}

/**
 * Whether something is an error: of this realm or another one, such as a frame or a `node:vm` context. Never throws.
 */
export function isError(value: unknown): value is Error {
  try {
    return value instanceof Error ||
      /^\[object (Error|DOMException)\]$/.test(Object.prototype.toString.call(value));
  } catch {
    return false;
  }
}

function plainError(error: Error): unknown {
  const { name, message } = error;
  const { code } = error as { code?: unknown };
  const hasCode = typeof code === "string" || typeof code === "number";
  return { name: excerpt(String(name)), message: excerpt(String(message)), ...hasCode && { code } };
}
