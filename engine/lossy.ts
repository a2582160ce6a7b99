/** A part of a value that would not come back from the store as it was. */
export interface Lossy {
  /** Where it is in the value, as one would write it in code. */
  readonly path: string;
  /** What it is, for people. */
  readonly found: string;
}

/** Classes whose instances are stored, as long as they are of just that class. */
const CLASSES: ReadonlySet<string> = new Set([
  "Array",
  "Map",
  "Set",
  "Date",
  "RegExp",
  "URL",
  "URLSearchParams",
]);

/** A part that is still to be looked at. */
type Part = readonly [value: unknown, path: string];

/**
 * Looks through a value for what would be stored and come back as something less: an instance of a class of somebody's
 * own that is derived from a built-in one, such as a `Buffer`, and a built-in object with properties of its own, such as
 * what `String.match()` gives.
 *
 * @returns the first that there is; undefined where all of it comes back
 *
 * @example
 * ```ts
 * import { findLossy } from "./lossy.ts";
 * import { assertEquals } from "@std/assert";
 *
 * assertEquals(findLossy({ when: [new Date(0)] }), undefined);
 * assertEquals(findLossy({ parts: "a-b".match(/-/) }), {
 *   path: ".parts",
 *   found: 'an array with the property "index": copy what you need of it',
 * });
 * ```
 */
export function findLossy(value: unknown): Lossy | undefined {
  const seen = new Set<object>();
  const parts: Part[] = [[value, ""]];
  for (let part = parts.pop(); part !== undefined; part = parts.pop()) {
    const [each, path] = part;
    if (typeof each !== "object" || each === null || seen.has(each)) continue;
    seen.add(each);
    const found = lossOf(each);
    if (found !== undefined) return { path, found };
    // The first of them is to be looked at first.
    const inner = partsOf(each, path);
    for (let i = inner.length - 1; i >= 0; i--) parts.push(inner[i]!);
  }
  return undefined;
}

/** What would be lost of an object itself. */
function lossOf(object: object): string | undefined {
  const built = builtInOf(object);
  if (built === undefined) return undefined;
  const prototype = Object.getPrototypeOf(object);
  if (prototype !== built.prototype) {
    const name = prototype?.constructor?.name ?? "no name";
    return `an instance of the class ${name}, which would come back as one of ${built.name}`;
  }
  // The items of these are properties of theirs, and there are none but those in practice.
  if (ArrayBuffer.isView(object)) return undefined;
  const own = Object.keys(object).find((key) => !(Array.isArray(object) && isIndex(key, object.length)));
  if (own === undefined) return undefined;
  const what = Array.isArray(object) ? "an array" : `an instance of ${built.name}`;
  return `${what} with the property "${own}": copy what you need of it`;
}

/** The built-in class that an object is an instance of, or of one derived from it: as far as it is one that is stored. */
function builtInOf(object: object): { readonly name: string; readonly prototype: object } | undefined {
  if (ArrayBuffer.isView(object)) {
    for (let of = Object.getPrototypeOf(object); of !== null; of = Object.getPrototypeOf(of)) {
      const { name } = of.constructor;
      if (Object.hasOwn(globalThis, name) && /^(\w+Array|DataView)$/.test(name)) return of.constructor;
    }
    return undefined;
  }
  for (const name of CLASSES) {
    const built = (globalThis as unknown as Record<string, { name: string; prototype: object }>)[name]!;
    if (Object.prototype.isPrototypeOf.call(built.prototype, object)) return built;
  }
  return undefined;
}

function isIndex(key: string, length: number): boolean {
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < length && String(index) === key;
}

/** What an object is made of; nothing where somebody's getter throws, of which the library will tell. */
function partsOf(object: object, path: string): Part[] {
  try {
    return readParts(object, path);
  } catch {
    return [];
  }
}

/** Errors are stored by what all of them have, and are looked at no further. */
function readParts(object: object, path: string): Part[] {
  const parts: Part[] = [];
  // Most of what there is are numbers and texts, which have no parts, and need no path.
  const add = (value: unknown, ofPart: () => string) => {
    if (typeof value === "object" && value !== null) parts.push([value, path + ofPart()]);
  };
  if (Array.isArray(object)) {
    for (const [index, item] of object.entries()) add(item, () => `[${index}]`);
  } else if (object instanceof Map) {
    for (const [key, value] of object) {
      add(key, () => "");
      add(value, () => `.get(${label(key)})`);
    }
  } else if (object instanceof Set) {
    for (const item of object) add(item, () => "");
  } else {
    const prototype = Object.getPrototypeOf(object);
    if (prototype !== Object.prototype && prototype !== null) return [];
    for (const [key, value] of Object.entries(object)) add(value, () => property(key));
  }
  return parts;
}

function label(key: unknown): string {
  return typeof key === "object" ? "…" : typeof key === "string" ? JSON.stringify(key) : String(key);
}

function property(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
