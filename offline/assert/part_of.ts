type Properties = Record<PropertyKey, unknown>;

/**
 * The part of `actual` that `expected` speaks of: at every depth, the properties that both have. Where the two have
 * nothing in common all of `actual` is kept, so that a comparison with `expected` fails and shows it.
 *
 * @param actual The object to take from.
 * @param expected The object whose properties, elements and members are kept.
 * @returns A copy of plain objects, arrays, maps and sets; anything else in them as it is.
 */
export function partOf(actual: Properties, expected: Properties): Properties {
  return takeObject(actual, expected, new Map());
}

/** `taken` holds the copies under way, so that a cycle in the values becomes one in the copy. */
type Taken = Map<object, { expected: object; copy: object }>;

function take(actual: unknown, expected: unknown, taken: Taken): unknown {
  if (!isObject(actual) || !isObject(expected)) return actual;
  if (actual instanceof Date || actual instanceof RegExp) return actual;
  if (Array.isArray(actual) && Array.isArray(expected)) return takeArray(actual, expected, taken);
  if (actual instanceof Set && expected instanceof Set) return actual.intersection(expected);
  if (actual instanceof Map && expected instanceof Map) {
    return new Map(
      [...actual].filter(([key]) => expected.has(key)).map((
        [key, value],
      ) => [key, take(value, expected.get(key), taken)]),
    );
  }
  return takeObject(actual as Properties, expected as Properties, taken);
}

function takeArray(actual: unknown[], expected: unknown[], taken: Taken): unknown[] {
  const before = taken.get(actual);
  if (before?.expected === expected) return before.copy as unknown[];
  const copy: unknown[] = [];
  taken.set(actual, { expected, copy });
  copy.push(...actual.slice(0, expected.length).map((element, i) => take(element, expected[i], taken)));
  return copy;
}

function takeObject(actual: Properties, expected: Properties, taken: Taken): Properties {
  const before = taken.get(actual);
  if (before?.expected === expected) return before.copy as Properties;
  const copy: Properties = {};
  taken.set(actual, { expected, copy });
  const keys = Reflect.ownKeys(actual);
  const wanted = new Set(Reflect.ownKeys(expected));
  const common = keys.filter((key) => wanted.has(key));
  if (common.length === 0 && wanted.size > 0) return Object.assign(copy, actual);
  for (const key of common) copy[key] = take(actual[key], expected[key], taken);
  return copy;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
