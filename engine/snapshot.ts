/**
 * Values as they are at an instant: copies that nothing else can change. What is to be stored is copied before anything
 * is waited for, and looked through meanwhile for what would not come back as it was.
 *
 * @module
 */

import { encodeError, type StoredError } from "./stored_error.ts";

/** How deep a value may be nested. What is stored deeper could be read only by a process with enough stack left. */
export const MAX_DEPTH = 1_000;
/** How many levels one error is, with what it has: so the library writes and reads it. */
const ERROR_LEVELS = 3;
/** How many places of an array may be empty: every loop over it goes through them, and nothing of them is stored. */
const MAX_HOLES = 100_000;
/** How many decimal digits a BigInt may have: what turns one into text takes time by more than their number. */
export const MAX_DIGITS = 100_000;
/** How many digits the long ones of a value may have in all, and from how many on one is long. */
const MAX_LONG_DIGITS = 1_000_000;
const LONG_DIGITS = 1_000;
const BITS_PER_DIGIT = Math.log2(10);
/** Texts that are longer, and long BigInts, are counted once, however often they are in a value: so they are stored. */
const MAX_UNSHARED_LENGTH = 32;

/** Why a value cannot be stored. */
export class Unstorable extends Error {
  /**
   * @param path where it is in the value, as one would write it in code
   * @param found what is there, for people
   */
  constructor(readonly path: string, readonly found: string, options?: ErrorOptions) {
    super(found, options);
  }
}

/** A value is larger than it may be. */
export class TooLarge extends Error {}

/** What stands for an error in a copy that is to be stored. */
export class ErrorPart {
  constructor(readonly stored: StoredError & ErrorParts) {}
}

/** What an error in a value has beyond what is kept of every error: values like any other. */
export interface ErrorParts {
  /** Its cause, and what it is made of. */
  readonly parts?: Readonly<Record<string, unknown>>;
  /** Its other properties. */
  readonly own?: Readonly<Record<string, unknown>>;
}

/**
 * A copy of a value that is to be stored. Each part is read once.
 *
 * @param maxBytes how long its text may be; it may turn out longer yet
 * @throws {Unstorable} if a part of it would not come back as it was
 * @throws {TooLarge} if its text is certain to be longer
 *
 * @example
 * ```ts
 * import { copyStorable, Unstorable } from "./snapshot.ts";
 * import { assertEquals, assertThrows } from "@std/assert";
 *
 * const tags = new Set(["a"]);
 * const copy = copyStorable({ tags }, 1_000);
 * tags.clear();
 * assertEquals(copy, { tags: new Set(["a"]) });
 * const error = assertThrows(() => copyStorable({ parts: "a-b".match(/-/) }, 1_000), Unstorable);
 * assertEquals([error.path, error.found], [
 *   ".parts",
 *   'an array with the property "index": copy what you need of it',
 * ]);
 * ```
 */
export function copyStorable(value: unknown, maxBytes: number): unknown {
  const copier = new Copier(true, maxBytes);
  try {
    return copier.copy(value);
  } catch (error) {
    if (error instanceof Unstorable || error instanceof TooLarge) throw error;
    const found = isStackOverflow(error)
      ? "one that is nested too deeply for the stack that is left"
      : `what cannot be read (${messageOf(error)})`;
    throw new Unstorable(copier.path, found, { cause: error });
  }
}

/**
 * A copy of a value that is yet to be looked at: what has no copy of its own kind, such as an instance of a class of
 * somebody's own, is the same one in the copy.
 *
 * @returns the value itself where it cannot be copied: it will be refused, if it is to be stored
 */
export function snapshot<T>(value: T): T {
  if (typeof value !== "object" || value === null) return value;
  try {
    return new Copier(false, Infinity).copy(value) as T;
  } catch {
    return value;
  }
}

/** Whether an error says that the stack was used up. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && /call stack/i.test(error.message);
}

/** What is copied of an object of a class that the language or the web has, and so comes back. */
interface Kind {
  readonly name: string;
  /** @returns the copy, which is known before its parts are copied */
  copy(object: object, copier: Copier): object;
}

/** A step on the way into a value. */
type Place = string | number | { readonly key: unknown };

/** Copies one value. */
class Copier {
  /** The way to what is copied just now. */
  readonly #places: Place[] = [];
  readonly #copies = new Map<object, object>();
  readonly #texts = new Set<string>();
  #depth = 0;
  #bytes = 0;
  readonly #longOnes = new Set<bigint>();
  #longDigits = 0;

  /** @param strict whether what would not come back as it was is refused, or else kept as it is */
  constructor(readonly strict: boolean, private readonly maxBytes: number) {}

  get path(): string {
    return this.#places.map(placeText).join("");
  }

  refuse(found: string): never {
    throw new Unstorable(this.path, found);
  }

  copy(value: unknown): unknown {
    switch (typeof value) {
      case "string":
        this.#countText(value);
        return value;
      case "bigint":
        if (this.strict) this.#countDigits(value);
        return value;
      case "function":
        return this.strict ? this.refuse("a function") : value;
      case "symbol":
        return this.strict ? this.refuse("a Symbol primitive") : value;
      case "object":
        return value === null ? null : this.#copyObject(value);
      default:
        this.count(2);
        return value;
    }
  }

  /** Copies a part. @param place where it is */
  part(place: Place, read: () => unknown): unknown {
    this.#places.push(place);
    const copy = this.copy(read());
    this.#places.pop();
    return copy;
  }

  /** Notes the copy of an object. */
  known<T extends object>(object: object, copy: T): T {
    this.#copies.set(object, copy);
    return copy;
  }

  count(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes > this.maxBytes) throw new TooLarge();
  }

  #countText(text: string): void {
    if (text.length <= MAX_UNSHARED_LENGTH) return this.count(2);
    if (!this.strict || this.#texts.has(text)) return;
    this.#texts.add(text);
    this.count(text.length);
  }

  #countDigits(value: bigint): void {
    this.count(2);
    if (!isLongerThan(value, LONG_DIGITS)) return;
    if (isLongerThan(value, MAX_DIGITS)) this.refuse(`a BigInt of more than ${MAX_DIGITS} digits`);
    if (this.#longOnes.has(value)) return;
    this.#longOnes.add(value);
    this.#longDigits += Math.ceil(value.toString(16).length * 4 / BITS_PER_DIGIT);
    if (this.#longDigits > MAX_LONG_DIGITS) {
      this.refuse(`a BigInt with which the long ones have more than ${MAX_LONG_DIGITS} digits in all`);
    }
  }

  #copyObject(object: object): object {
    const known = this.#copies.get(object);
    if (known !== undefined) return known;
    if (this.#depth >= MAX_DEPTH) return this.strict ? this.#refuseDepth() : object;
    this.#depth++;
    this.count(2);
    const copy = this.#copyOf(object);
    this.#depth--;
    return copy;
  }

  #refuseDepth(): never {
    return this.refuse(`more than ${MAX_DEPTH} levels of nesting`);
  }

  #copyOf(object: object): object {
    const prototype: object | null = Object.getPrototypeOf(object);
    if (prototype === Object.prototype || prototype === null) return this.#copyPlain(object, prototype);
    kinds ??= builtInKinds();
    const kind = kinds.get(prototype);
    if (kind !== undefined) {
      const loss = lossOf(object, kind.name);
      if (loss === undefined) return kind.copy(object, this);
      return this.strict ? this.refuse(`${loss}: copy what you need of it`) : object;
    }
    if (object instanceof Error) return this.strict ? this.#storedError(object) : this.#copyError(object);
    if (isObjectPrototype(prototype)) return this.#copyPlain(object, Object.prototype);
    if (!this.strict) return object;
    const name = String(prototype.constructor?.name || "that has no name");
    for (let of: object | null = prototype; of !== null; of = Object.getPrototypeOf(of)) {
      const base = kinds.get(of);
      if (base === undefined) continue;
      return this.refuse(`an instance of the class ${name}, which would come back as one of ${base.name}`);
    }
    return this.refuse(`an instance of the class ${name}`);
  }

  #copyPlain(object: object, prototype: object | null): object {
    const tag = Object.prototype.toString.call(object).slice(8, -1);
    const symbol = symbolOf(object);
    if (!this.strict && (tag !== "Object" || symbol !== undefined)) return object;
    if (symbol !== undefined) this.refuse(`a property whose name is ${String(symbol)}`);
    if (tag !== "Object") this.refuse(`an object that is ${/^[AEIOU]/.test(tag) ? "an" : "a"} ${tag}`);
    const copy = this.known(object, prototype === null ? Object.create(null) : {});
    this.#copyProperties(object, copy, Object.keys(object));
    return copy;
  }

  #copyProperties(object: object, copy: object, keys: readonly string[]): void {
    const places = this.#places;
    for (const key of keys) {
      this.#countText(key);
      places.push(key);
      const value = this.copy((object as Record<string, unknown>)[key]);
      places.pop();
      // An assignment would make it the copy's prototype.
      if (key === "__proto__") define(copy, key, value, true);
      else (copy as Record<string, unknown>)[key] = value;
    }
  }

  /** What is stored of an error: what is kept of all of them, and what this one has beside that. */
  #storedError(error: Error): object {
    this.#depth += ERROR_LEVELS - 1;
    if (this.#depth > MAX_DEPTH) this.#refuseDepth();
    const { cause: _cause, errors: _errors, fields, ...stored } = encodeError(error);
    const kept: Record<string, unknown> = { ...stored, ...fields !== undefined && { fields: {} } };
    const part = this.known(error, new ErrorPart(kept as unknown as StoredError));
    this.count(stored.message.length + (stored.stack?.length ?? 0));
    const parts: Record<string, unknown> = {};
    this.#copyProperties(
      error,
      parts,
      ERROR_PARTS.filter((key) => Object.hasOwn(error, key) && (error as never)[key] !== undefined),
    );
    if (Object.keys(parts).length > 0) kept.parts = parts;
    const own: Record<string, unknown> = {};
    this.#copyProperties(error, own, Object.keys(error).filter((key) => isOwn(key, stored)));
    if (Object.keys(own).length > 0) kept.own = own;
    this.#depth -= ERROR_LEVELS - 1;
    return part;
  }

  #copyError(error: Error): object {
    if (error instanceof DOMException) return error;
    const copy = this.known(error, Object.setPrototypeOf(new Error(), Object.getPrototypeOf(error)));
    for (const key of Object.getOwnPropertyNames(error)) {
      const isEnumerable = Object.prototype.propertyIsEnumerable.call(error, key);
      define(copy, key, this.part(key, () => (error as never)[key]), isEnumerable);
    }
    return copy;
  }

  copyArray(array: readonly unknown[]): object {
    const copy: unknown[] = this.known(array, []);
    const indexes = Object.keys(array);
    if (indexes.length === array.length) {
      const places = this.#places;
      for (let i = 0; i < array.length; i++) {
        places.push(i);
        copy.push(this.copy(array[i]));
        places.pop();
      }
      return copy;
    }
    if (array.length - indexes.length > MAX_HOLES) {
      if (!this.strict) return this.known(array, array as unknown[]);
      this.refuse(`an array of ${array.length} places of which ${indexes.length} have something in them`);
    }
    for (const index of indexes.map(Number)) copy[index] = this.part(index, () => array[index]);
    copy.length = array.length;
    return copy;
  }
}

/** What an error may have of other errors, and values, under a name that every error may have it under. */
const ERROR_PARTS = ["cause", "errors", "error", "suppressed"] as const;

/** Whether a property of an error is one that not every error has. */
function isOwn(key: string, stored: StoredError): boolean {
  if (key === "code") return stored.code === undefined;
  return !["name", "message", "stack", ...ERROR_PARTS].includes(key);
}

/** The first of the symbols that name something of an object which one sees. */
function symbolOf(object: object): symbol | undefined {
  const symbols = Object.getOwnPropertySymbols(object);
  if (symbols.length === 0) return undefined;
  return symbols.find((each) => Object.prototype.propertyIsEnumerable.call(object, each));
}

/** What an object of one of the known classes has that would be lost. */
function lossOf(object: object, name: string): string | undefined {
  // A typed array's items are properties of its own: only of a short one it is worth looking for others.
  if (ArrayBuffer.isView(object) && object.byteLength > 1_000) return undefined;
  const keys = Object.keys(object);
  const items = Array.isArray(object) || object instanceof String || ArrayBuffer.isView(object);
  // Those that are indexes come first.
  const last = keys.at(-1);
  // Those of the web have some by which they are known.
  const symbol = name.startsWith("URL") ? undefined : symbolOf(object);
  if ((last === undefined || items && isIndex(last)) && symbol === undefined) return undefined;
  const what = Array.isArray(object) ? "an array" : `an instance of ${name}`;
  if (symbol !== undefined) return `${what} with the property ${String(symbol)}`;
  return `${what} with the property "${keys.find((key) => !items || !isIndex(key))}"`;
}

function isIndex(key: string): boolean {
  const index = Number(key);
  return Number.isInteger(index) && index >= 0 && index < 2 ** 32 - 1 && String(index) === key;
}

/** The classes whose instances come back, by their prototypes; made when a value has one. */
let kinds: ReadonlyMap<object, Kind> | undefined;

function builtInKinds(): ReadonlyMap<object, Kind> {
  const found = new Map<object, Kind>();
  const add = (
    Class: { readonly name: string; readonly prototype: object } | undefined,
    copy: (object: never, copier: Copier) => object,
  ) => Class && found.set(Class.prototype, { name: Class.name, copy: copy as Kind["copy"] });
  add(Array, (array: unknown[], copier) => copier.copyArray(array));
  add(Map, (map: Map<unknown, unknown>, copier) => {
    const copy = copier.known(map, new Map());
    for (const [key, value] of map) {
      const ownKey = copier.copy(key);
      copy.set(ownKey, copier.part({ key }, () => value));
    }
    return copy;
  });
  add(Set, (set: Set<unknown>, copier) => {
    const copy = copier.known(set, new Set());
    for (const item of set) copy.add(copier.copy(item));
    return copy;
  });
  add(Date, (date: Date, copier) => copier.known(date, new Date(date.getTime())));
  add(RegExp, (regExp: RegExp, copier) => {
    copier.count(regExp.source.length);
    return copier.known(regExp, new RegExp(regExp.source, regExp.flags));
  });
  add(URL, (url: URL, copier) => {
    copier.count(url.href.length);
    return copier.known(url, new URL(url.href));
  });
  add(URLSearchParams, (params: URLSearchParams, copier) => {
    return copier.known(params, new URLSearchParams(String(params)));
  });
  for (const Box of [Number, String, Boolean, BigInt] as { readonly name: string; prototype: object }[]) {
    add(Box, (box: object, copier) => copier.known(box, Object(copier.copy(box.valueOf()))));
  }
  add(ArrayBuffer, copyBuffer);
  const views = ["DataView", "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array"];
  views.push("Int32Array", "Uint32Array", "Float16Array", "Float32Array", "Float64Array");
  views.push("BigInt64Array", "BigUint64Array");
  for (const name of views) add((globalThis as never)[name], copyView);
  const { Temporal } = globalThis as unknown as {
    Temporal?: Record<string, { name: string; prototype: object }>;
  };
  // These cannot be changed.
  for (const name of TEMPORAL) add(Temporal?.[name], (time: object) => time);
  return found;
}

const TEMPORAL = ["Duration", "Instant", "PlainDate", "PlainTime", "PlainDateTime", "PlainMonthDay"]
  .concat("PlainYearMonth", "ZonedDateTime");

function copyBuffer(buffer: ArrayBuffer, copier: Copier): object {
  if (copier.strict) {
    if (buffer.resizable) {
      copier.refuse("a resizable ArrayBuffer, which would come back as one of a fixed size");
    }
    if (buffer.detached) copier.refuse("an ArrayBuffer that is detached");
  } else if (buffer.resizable || buffer.detached) {
    return buffer;
  }
  copier.count(Math.ceil(buffer.byteLength / 3) * 4);
  return copier.known(buffer, buffer.slice(0));
}

function copyView(view: Uint8Array | DataView, copier: Copier): object {
  const { buffer, byteOffset, constructor } = view;
  if (!copier.strict && !(buffer instanceof ArrayBuffer && !buffer.resizable)) return view;
  const copy = copier.copy(buffer) as ArrayBuffer;
  const length = view instanceof DataView ? view.byteLength : view.length;
  return copier.known(view, new (constructor as Uint8ArrayConstructor)(copy, byteOffset, length));
}

/** Whether it is what all objects have, of another realm. */
function isObjectPrototype(prototype: object): boolean {
  return Object.getPrototypeOf(prototype) === null && prototype.constructor?.name === "Object" &&
    Object.hasOwn(prototype, "hasOwnProperty") && Object.hasOwn(prototype, "__lookupGetter__");
}

/** Whether a BigInt has more decimal digits than this, or than a few less: without making a text of it. */
function isLongerThan(value: bigint, digits: number): boolean {
  const limit = 1n << BigInt(Math.floor(digits * BITS_PER_DIGIT));
  return value >= limit || -value >= limit;
}

function define(object: object, property: string, value: unknown, enumerable: boolean): void {
  Object.defineProperty(object, property, { value, writable: true, configurable: true, enumerable });
}

/** The message of what somebody's code threw, as far as it can be read. */
function messageOf(thrown: unknown): string {
  return encodeError(thrown).message.slice(0, 200);
}

function placeText(place: Place): string {
  if (typeof place === "number") return `[${place}]`;
  if (typeof place === "object") return `.get(${keyText(place.key)})`;
  return propertyText(place);
}

function keyText(key: unknown): string {
  if (typeof key === "string") return JSON.stringify(key);
  return typeof key === "object" && key !== null || typeof key === "bigint" ? "…" : String(key);
}

/** How a property is written behind what it is of. */
export function propertyText(key: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
}
