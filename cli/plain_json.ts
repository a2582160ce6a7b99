import { escapeUnprintable } from "./printable.ts";

/**
 * A workflow's value as one line of JSON. JSON's own values stay as they are; richer ones take the form in which
 * another program can most easily use them. That form is for reading: it does not tell a `Date` from its text. Characters
 * that a terminal acts on are escaped.
 *
 * | value | in JSON |
 * |---|---|
 * | `Date`, `URL`, `RegExp`, `Symbol` | its text; `null` for an invalid date |
 * | `BigInt`, `NaN`, `Infinity` | its text, such as `"12"` and `"NaN"` |
 * | `Map` | an object where all keys are strings, otherwise an array of `[key, value]` |
 * | `Set` | an array |
 * | `Uint8Array`, `ArrayBuffer` and their like | its bytes in base64 |
 * | `Error` | `{"name", "message"}`, with `code` and `cause` where it has them |
 * | `undefined` | left out of objects, otherwise `null` |
 * | a function | left out of objects, otherwise `null` |
 * | an object within itself | `"[Circular]"` |
 */
export function toJson(value: unknown): string {
  return escapeUnprintable(JSON.stringify(plain(value, [])) ?? "null");
}

/** How deep a value is followed; what lies below is `"[Too deep]"`. */
const MAX_DEPTH = 1000;

function plain(value: unknown, within: readonly object[]): unknown {
  if (typeof value === "bigint" || typeof value === "symbol") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  if (typeof value !== "object" || value === null) return value;
  if (within.includes(value)) return "[Circular]";
  if (within.length >= MAX_DEPTH) return "[Too deep]";
  const inside = [...within, value];
  const each = (item: unknown) => plain(item, inside);

  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (value instanceof RegExp || value instanceof URL) return String(value);
  if (value instanceof Number || value instanceof String || value instanceof Boolean) {
    return each(value.valueOf());
  }
  if (value instanceof ArrayBuffer) return base64(new Uint8Array(value));
  if (ArrayBuffer.isView(value)) {
    return base64(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
  }
  if (Array.isArray(value)) return Array.from(value, each);
  if (value instanceof Set) return Array.from(value, each);
  if (value instanceof Map) {
    if (!allStrings(value.keys())) return Array.from(value, ([key, item]) => [each(key), each(item)]);
    return objectFrom(Array.from(value, ([key, item]) => [key, each(item)]));
  }
  if (value instanceof Error) {
    const { name, message, cause } = value;
    const { code } = value as { code?: unknown };
    return { name, message, code: each(code), cause: each(cause) };
  }
  return objectFrom(Object.entries(value).map(([key, item]) => [key, each(item)]));
}

function allStrings(values: Iterable<unknown>): values is Iterable<string> {
  for (const value of values) if (typeof value !== "string") return false;
  return true;
}

/** An object of its own properties only, whatever their names: `__proto__` is a property like any other. */
function objectFrom(entries: [string, unknown][]): Record<string, unknown> {
  const object: Record<string, unknown> = Object.create(null);
  for (const [key, value] of entries) object[key] = value;
  return object;
}

/** How many bytes are turned into text at once: a call takes only so many arguments. */
const CHUNK = 0x8000;

function base64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += CHUNK) text += String.fromCharCode(...bytes.subarray(i, i + CHUNK));
  return btoa(text);
}
