/** An object whose properties are looked up by any key. */
type Properties = Record<PropertyKey, unknown>;

/**
 * Whether two values have the same structure. Zeros of both signs are equal, so are `NaN`s; a property that is
 * `undefined` differs from one that is absent. An object without a prototype, such as a row from `node:sqlite`,
 * equals a literal with the same properties, which is why `deepStrictEqual` of `node:assert` does not serve here.
 *
 * @param a The one value.
 * @param b The other value.
 * @returns Whether they are equal.
 */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}

/** `under` holds the pairs whose comparison is under way, so that a cycle ends. */
function compare(a: unknown, b: unknown, under: Map<object, object>): boolean {
  if (a === b || Object.is(a, b)) return true;
  if (!isObject(a) || !isObject(b)) return false;
  if (a instanceof Date && b instanceof Date) return Object.is(a.getTime(), b.getTime());
  if (prototypeOf(a) !== prototypeOf(b)) return false;
  if (under.get(a) === b) return true;
  under.set(a, b);
  const same = sameContents(a, b, under);
  under.delete(a);
  return same;
}

/** Compares two objects of one kind: that they share a prototype is known. */
function sameContents(a: object, b: object, under: Map<object, object>): boolean {
  if (a instanceof RegExp || a instanceof URL || a instanceof URLSearchParams) return String(a) === String(b);
  if (a instanceof ArrayBuffer) return sameElements(new Uint8Array(a), new Uint8Array(b as ArrayBuffer));
  if (isTypedArray(a)) return sameElements(a, b as Uint8Array);
  if (a instanceof WeakMap || a instanceof WeakSet) {
    throw new TypeError(`Cannot compare ${a.constructor.name} instances`);
  }
  if (a instanceof Set || a instanceof Map) return sameMembers([...a], [...b as Iterable<unknown>], under);
  return sameProperties(a as Properties, b as Properties, under);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function prototypeOf(value: object): object {
  return Object.getPrototypeOf(value) ?? Object.prototype;
}

function isTypedArray(value: object): value is Uint8Array {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

function sameElements(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((element, i) => element === b[i] || Object.is(element, b[i]));
}

/** Compares the members of sets or the entries of maps, in any order. */
function sameMembers(a: unknown[], b: unknown[], under: Map<object, object>): boolean {
  if (a.length !== b.length) return false;
  return a.every((member) => {
    const found = b.findIndex((other) => compare(member, other, under));
    if (found >= 0) b.splice(found, 1);
    return found >= 0;
  });
}

function sameProperties(a: Properties, b: Properties, under: Map<object, object>): boolean {
  const keys = ownKeys(a);
  if (keys.length !== ownKeys(b).length || !keys.every((key) => Object.hasOwn(b, key))) return false;
  return [...keys, ...inheritedKeys(a)].every((key) => compare(a[key], b[key], under));
}

/** Own properties; those of a plain object or an array count only if they are enumerable. */
function ownKeys(value: object): PropertyKey[] {
  const keys = Reflect.ownKeys(value);
  if (!isPlain(prototypeOf(value))) return keys;
  return keys.filter((key) => Object.prototype.propertyIsEnumerable.call(value, key));
}

/** What the classes of an instance define, so that getters over `#private` fields count. */
function inheritedKeys(value: object): PropertyKey[] {
  const keys: PropertyKey[] = [];
  for (let at = prototypeOf(value); !isPlain(at); at = prototypeOf(at)) keys.push(...Reflect.ownKeys(at));
  return keys;
}

function isPlain(prototype: object): boolean {
  return prototype === Object.prototype || prototype === Array.prototype;
}
