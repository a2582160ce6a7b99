/**
 * Values that JSON cannot say, as text: by the `devalue` library, with what is ours around it (errors, limits, and
 * values that are nested more deeply than the library can read).
 *
 * @module
 */

import { stringify, unflatten } from "devalue";
import { ErrorPart, type ErrorParts, isStackOverflow, propertyText } from "./snapshot.ts";
import { decodeError, type StoredError } from "./stored_error.ts";

/** How many digits a BigInt of a stored text may have, and those of all long ones together: reading them takes time. */
const MAX_DIGITS = 1_000_000;
const LONG_DIGITS = 1_000;
/** How deep an error may have others inside, as far as they are stored as errors only. */
const MAX_ERROR_DEPTH = 50;

/** The library's numbers for values that are not in its list. */
const SPECIAL: ReadonlyMap<number, unknown> = new Map<number, unknown>([
  [-1, undefined],
  [-3, NaN],
  [-4, Infinity],
  [-5, -Infinity],
  [-6, -0],
]);
const HOLE = -2;
const SPARSE = -7;

/** An error as it is stored in a value. */
type StoredPart = StoredError & ErrorParts;

/** The library's text of a copy that `copyStorable()` made. */
export function stringifyRich(copy: unknown): string {
  return stringify(copy, { Error: (part) => part instanceof ErrorPart && part.stored });
}

/**
 * The value of such a text.
 *
 * @throws {SyntaxError | Error} if it is none
 * @throws {RangeError} if there is not enough memory for it
 */
export function parseRich(text: string): unknown {
  const flat = JSON.parse(text) as unknown;
  if (Array.isArray(flat)) checkDigits(flat);
  let errors: Errors | undefined;
  let value: unknown;
  try {
    value = unflatten(flat as unknown[], { Error: (stored) => (errors ??= new Errors()).revive(stored) });
  } catch (error) {
    if (!isStackOverflow(error) || !Array.isArray(flat)) throw error;
    return unflattenDeep(flat);
  }
  errors?.complete();
  return value;
}

/** The errors of one value, each one object however often it is met. */
class Errors {
  readonly #revived = new Map<StoredPart, unknown>();

  /** An error without what is a value like any other: that may not be there yet, and may lead back to the error. */
  revive(stored: StoredPart): unknown {
    if (this.#revived.has(stored)) return this.#revived.get(stored);
    const error = decodeError(stored);
    this.#revived.set(stored, error);
    return error;
  }

  complete(): void {
    for (const [{ parts = {}, own = {} }, error] of this.#revived) {
      if (typeof error !== "object" || error === null) continue;
      for (const [key, value] of Object.entries(parts)) define(error, key, value, false);
      for (const [key, value] of Object.entries(own)) define(error, key, value, true);
    }
  }
}

function define(object: object, property: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, property, { value, writable: true, configurable: true, enumerable });
}

/** Refuses what would take seconds to be read. */
function checkDigits(flat: readonly unknown[]): void {
  let left = 2 * MAX_DIGITS;
  for (let index = 0; index < flat.length; index++) {
    const part = flat[index];
    if (!Array.isArray(part) || part[0] !== "BigInt" || typeof part[1] !== "string") continue;
    const { length } = part[1];
    if (length <= LONG_DIGITS) continue;
    left -= length;
    if (length <= MAX_DIGITS && left >= 0) continue;
    const limit = length > MAX_DIGITS ? MAX_DIGITS : `${2 * MAX_DIGITS} in all`;
    throw new Error(`a BigInt of ${length} digits${placeOf(flat, index)}, where the limit is ${limit}`);
  }
}

/** Where a part of a text is in the value, for people. */
function placeOf(flat: readonly unknown[], wanted: number): string {
  const seen = new Set([0]);
  const ways: [index: number, path: string][] = [[0, ""]];
  for (const [index, path] of ways) {
    if (index === wanted) return path && ` at ${path}`;
    for (const [place, child] of childrenOf(flat[index])) {
      if (seen.has(child)) continue;
      seen.add(child);
      ways.push([child, path + place]);
    }
  }
  return "";
}

function childrenOf(part: unknown): [place: string, index: number][] {
  if (typeof part !== "object" || part === null) return [];
  const indexes = (children: [string, unknown][]) =>
    children.filter((child): child is [string, number] => typeof child[1] === "number");
  if (!Array.isArray(part)) {
    return indexes(Object.entries(part).map(([key, child]) => [propertyText(key), child]));
  }
  if (part[0] === SPARSE) {
    return indexes(part.slice(2).map((child, i) => [`[${part[i + 1]}]`, i % 2 === 1 ? child : undefined]));
  }
  if (typeof part[0] !== "string") return indexes(part.map((child, i) => [`[${i}]`, child]));
  if (part[0] === "null") {
    return indexes(
      part.slice(1).map((child, i) => [propertyText(String(part[i])), i % 2 === 1 ? child : undefined]),
    );
  }
  return indexes(part.slice(1).map((child) => ["", child]));
}

/**
 * The same value as the library's, without a call for each level: every part is made first, then all are filled.
 * It is for what is nested too deeply, which values are not any more that are stored today.
 */
function unflattenDeep(flat: readonly unknown[]): unknown {
  const made: unknown[] = [];
  const errors = new Errors();
  const fill: (() => void)[] = [];
  const at = (index: unknown) => {
    if (SPECIAL.has(index as number)) return SPECIAL.get(index as number);
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= flat.length) {
      throw new Error("Invalid input");
    }
    return made[index as number];
  };
  for (const [index, part] of flat.entries()) {
    made[index] = makeDeep(flat, part, { at, errors, later: (act) => void fill.push(act) });
  }
  for (const act of fill) act();
  errors.complete();
  return made[0];
}

interface Making {
  /** What was made of the part of a number; of all of them, once all are made. */
  at(index: unknown): unknown;
  readonly errors: Errors;
  /** Does something once all parts are made. */
  later(act: () => void): void;
}

function makeDeep(flat: readonly unknown[], part: unknown, { at, errors, later }: Making): unknown {
  if (typeof part !== "object" || part === null) return part;
  if (!Array.isArray(part)) {
    return filled({}, part, (made) => {
      for (const [key, child] of Object.entries(part)) set(made, key, at(child));
    });
  }
  const [type, ...rest] = part;
  switch (type) {
    case "Map":
      return filled(new Map(), part, (made) => {
        for (let i = 0; i < rest.length; i += 2) made.set(at(rest[i]), at(rest[i + 1]));
      });
    case "Set":
      return filled(new Set(), part, (made) => {
        for (const child of rest) made.add(at(child));
      });
    case "null":
      return filled(Object.create(null), part, (made) => {
        for (let i = 0; i < rest.length; i += 2) set(made, String(rest[i]), at(rest[i + 1]));
      });
    case "Error": {
      const stored = shallow(flat, rest[0], 0) as StoredPart;
      later(() => {
        const { parts, own } = at(rest[0]) as StoredPart;
        Object.assign(stored, { parts, own });
      });
      return errors.revive(stored);
    }
  }
  // All others have no parts that could be deep.
  if (typeof type === "string") return unflatten(leaf(flat, part));
  return filled([] as unknown[], part, (made) => {
    if (type === SPARSE) { for (let i = 1; i < rest.length; i += 2) made[rest[i]] = at(rest[i + 1]); }
    else for (const [i, child] of part.entries()) if (child !== HOLE) made[i] = at(child);
    made.length = type === SPARSE ? rest[0] : part.length;
  });

  function filled<T extends object>(made: T, _of: unknown, act: (made: T) => void): T {
    later(() => act(made));
    return made;
  }
}

function set(object: object, key: string, value: unknown): void {
  if (key === "__proto__") throw new Error("Cannot parse an object with a `__proto__` property");
  (object as Record<string, unknown>)[key] = value;
}

/** A part without parts, or of what has none: a text of its own. */
function leaf(flat: readonly unknown[], [type, first, ...rest]: readonly unknown[]): unknown[] {
  if (typeof first !== "number" || type === "BigInt") return [[type, first, ...rest]];
  return [[type, 1, ...rest], flat[first]];
}

/** What is stored of an error, without what are values like any other. */
function shallow(flat: readonly unknown[], index: unknown, depth: number): unknown {
  if (SPECIAL.has(index as number)) return SPECIAL.get(index as number);
  const part = flat[index as number];
  if (typeof part !== "object" || part === null) return part;
  if (depth > MAX_ERROR_DEPTH) throw new Error("Invalid input");
  if (Array.isArray(part)) return part.map((child) => shallow(flat, child, depth + 1));
  const entries = Object.entries(part).filter(([key]) => key !== "parts" && key !== "own");
  return Object.fromEntries(entries.map(([key, child]) => [key, shallow(flat, child, depth + 1)]));
}
