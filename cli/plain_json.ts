import { escapeUnprintable, leavingOut } from "./printable.ts";

/** How much of a value is printed: what is stored in a few bytes may have more paths than anybody can read. */
export interface Budget {
  /** How many values, each time that one is come by. */
  readonly nodes: number;
  /** About how many characters. */
  readonly characters: number;
}

const MIB = 1024 * 1024;

/** What is printed of values, by where. */
export const BUDGETS = {
  /** A whole report of `--json`. */
  report: { nodes: 1_000_000, characters: 48 * MIB },
  /** One value of a workflow in that: an input, an output, an error. */
  value: { nodes: 500_000, characters: 16 * MIB },
  /** A line of `work --json`. */
  event: { nodes: 50_000, characters: MIB },
  /** A value that people read. */
  people: { nodes: 10_000, characters: 100_000 },
  /** One that stands in a line of a log. */
  line: { nodes: 1_000, characters: 10_000 },
} as const satisfies Record<string, Budget>;

/** A value with a budget of its own in what it is printed in, so that it leaves room for the rest. */
export class Budgeted {
  readonly #value: unknown;

  constructor(value: unknown, readonly budget: Budget = BUDGETS.value) {
    this.#value = value;
  }

  get value(): unknown {
    return this.#value;
  }

  /** Whether a value is one: it is not asked, since it may be a proxy that throws. */
  static is(value: unknown): value is Budgeted {
    return typeof value === "object" && value !== null && #value in value;
  }
}

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
 * | what is nested deeper than 1,000 levels | `"[Too deep]"` |
 * | what throws when it is looked at | `"[Unreadable: …]"`, with what it threw |
 *
 * What is over the budget is left out, and the text stays JSON: an array then ends with `"[Left out: 12 more]"`, an object
 * with `"[Left out]": "12 more"`, a string with `… [Left out: 12 characters]`. It never throws.
 */
export function toJson(value: unknown, budget: Budget = BUDGETS.report): string {
  const writer = new JsonWriter(budget);
  writer.write(value);
  return writer.text;
}

/** How deep a value is followed; what lies below is `"[Too deep]"`. */
const MAX_DEPTH = 1000;

/** Characters that do not stand for themselves in JSON, or may not: most strings have none. */
const NEEDS_QUOTING = /[^ !#-[\]-~]/;

/** What of a value is written. */
type Form =
  | { readonly kind: "text"; readonly json: string }
  | { readonly kind: "string"; readonly text: string }
  | { readonly kind: "items"; readonly length: number; readonly item: (i: number) => unknown }
  | {
    readonly kind: "properties";
    readonly length: number;
    readonly keys: readonly string[];
    readonly property: (key: string, i: number) => unknown;
  }
  /** What JSON has no form for. */
  | { readonly kind: "none" };

/** Writes a value, and stops where its budget is spent. */
class JsonWriter {
  text = "";
  readonly #within = new Set<unknown>();
  #nodes: number;
  #characters: number;

  constructor(budget: Budget) {
    this.#nodes = budget.nodes;
    this.#characters = budget.characters;
  }

  write(value: unknown): void {
    if (Budgeted.is(value)) return this.#writeBudgeted(value);
    const form = this.#formOf(value);
    this.#writeForm(value, form.kind === "none" ? { kind: "text", json: "null" } : form);
  }

  #writeForm(value: unknown, form: Exclude<Form, { kind: "none" }>): void {
    this.#nodes--;
    if (form.kind === "text") return this.#put(form.json);
    if (form.kind === "string") return this.#putString(form.text);
    this.#within.add(value);
    if (form.kind === "items") this.#writeItems(form);
    else this.#writeProperties(form);
    this.#within.delete(value);
  }

  /** Writes what has a budget of its own with that, as far as there is as much of this one. */
  #writeBudgeted({ value, budget }: Budgeted): void {
    const [nodes, characters] = [this.#nodes, this.#characters];
    this.#nodes = Math.min(nodes, budget.nodes);
    this.#characters = Math.min(characters, budget.characters);
    const [ownNodes, ownCharacters] = [this.#nodes, this.#characters];
    this.write(value);
    this.#nodes += nodes - ownNodes;
    this.#characters += characters - ownCharacters;
  }

  #writeItems({ length, item }: Form & { kind: "items" }): void {
    this.#put("[");
    for (let i = 0; i < length; i++) {
      if (i > 0) this.#put(",");
      if (this.#isSpent()) {
        this.#put(`"[Left out: ${length - i} more]"`);
        break;
      }
      this.write(read(item, i));
    }
    this.#put("]");
  }

  #writeProperties({ length, keys, property }: Form & { kind: "properties" }): void {
    this.#put("{");
    let written = 0;
    for (let i = 0; i < length; i++) {
      if (this.#isSpent()) {
        this.#put(`${written > 0 ? "," : ""}"[Left out]":"${length - i} more"`);
        break;
      }
      const value = read(() => property(keys[i]!, i), i);
      // A budget of its own does not make a value of what is none.
      const form = this.#formOf(Budgeted.is(value) ? value.value : value);
      if (form.kind === "none") continue;
      if (written++ > 0) this.#put(",");
      this.#putString(keys[i]!);
      this.#put(":");
      if (Budgeted.is(value)) this.#writeBudgeted(value);
      else this.#writeForm(value, form);
    }
    this.#put("}");
  }

  #isSpent(): boolean {
    return this.#nodes <= 0 || this.#characters <= 0;
  }

  #formOf(value: unknown): Form {
    if (value !== null && typeof value === "object") {
      if (this.#within.has(value)) return { kind: "string", text: "[Circular]" };
      if (this.#within.size >= MAX_DEPTH) return { kind: "string", text: "[Too deep]" };
    }
    try {
      return formOf(value, { nodes: this.#nodes, characters: this.#characters });
    } catch (error) {
      return { kind: "string", text: unreadable(error) };
    }
  }

  #putString(text: string): void {
    const left = Math.max(this.#characters, 0);
    if (text.length <= left && !NEEDS_QUOTING.test(text)) return this.#put(`"${text}"`);
    let quoted = quote(leavingOut(text, left));
    // Characters that are escaped take more than their own place.
    if (quoted.length > 2 * left + 100) quoted = quote(leavingOut(text, Math.floor(left / 6)));
    this.#put(quoted);
  }

  #put(json: string): void {
    this.text += json;
    this.#characters -= json.length;
  }
}

/** What is written of a value. @param left for how much there is room @throws what the value throws */
function formOf(value: unknown, left: Budget): Form {
  if (typeof value === "string") return { kind: "string", text: value };
  if (typeof value === "bigint" || typeof value === "symbol") return { kind: "string", text: String(value) };
  if (typeof value === "number" && !Number.isFinite(value)) return { kind: "string", text: String(value) };
  if (value === undefined || typeof value === "function") return { kind: "none" };
  if (typeof value !== "object" || value === null) return { kind: "text", json: JSON.stringify(value) };

  if (Array.isArray(value)) return { kind: "items", length: value.length, item: (i) => value[i] };
  if (value instanceof Date) return dateForm(value);
  if (value instanceof RegExp || value instanceof URL) return { kind: "string", text: String(value) };
  if (value instanceof Number) return formOf(Number.prototype.valueOf.call(value), left);
  if (value instanceof String) return formOf(String.prototype.valueOf.call(value), left);
  if (value instanceof Boolean) return formOf(Boolean.prototype.valueOf.call(value), left);
  if (value instanceof ArrayBuffer) {
    return { kind: "text", json: `"${base64(new Uint8Array(value), left.characters)}"` };
  }
  if (ArrayBuffer.isView(value)) {
    const { buffer, byteOffset, byteLength } = value;
    const bytes = new Uint8Array(buffer, byteOffset, byteLength);
    return { kind: "text", json: `"${base64(bytes, left.characters)}"` };
  }
  if (value instanceof Set) {
    const items = Array.from(Set.prototype.values.call(value).take(Math.max(0, left.nodes)));
    return { kind: "items", length: sizeOf(value, Set.prototype), item: (i) => items[i] };
  }
  if (value instanceof Map) return mapForm(value, left);
  return propertiesForm(
    value,
    value instanceof Error ? ["name", "message", "code", "cause"] : Object.keys(value),
  );
}

function dateForm(value: Date): Form {
  if (Number.isNaN(Date.prototype.getTime.call(value))) return { kind: "text", json: "null" };
  return { kind: "string", text: Date.prototype.toISOString.call(value) };
}

function mapForm(value: Map<unknown, unknown>, left: Budget): Form {
  const length = sizeOf(value, Map.prototype);
  const entries = Array.from(Map.prototype.entries.call(value).take(Math.max(0, left.nodes)));
  if (!allStrings(Map.prototype.keys.call(value))) return { kind: "items", length, item: (i) => entries[i] };
  return {
    kind: "properties",
    length,
    keys: entries.map(([key]) => key as string),
    property: (_, i) => entries[i]![1],
  };
}

/** Some properties of an object, whatever their names: `__proto__` is one like others. */
function propertiesForm(value: object, keys: readonly string[]): Form {
  const property = (key: string) => (value as Record<string, unknown>)[key];
  return { kind: "properties", length: keys.length, keys, property };
}

function sizeOf(value: unknown, prototype: object): number {
  return Object.getOwnPropertyDescriptor(prototype, "size")!.get!.call(value);
}

/** What something is, or what it throws instead, as text. */
function read(get: (i: number) => unknown, i: number): unknown {
  try {
    return get(i);
  } catch (error) {
    return unreadable(error);
  }
}

function unreadable(error: unknown): string {
  try {
    return `[Unreadable: ${leavingOut(String((error as Error)?.message ?? error), 200)}]`;
  } catch {
    return "[Unreadable]";
  }
}

function quote(text: string): string {
  return escapeUnprintable(JSON.stringify(text));
}

function allStrings(values: Iterable<unknown>): values is Iterable<string> {
  for (const value of values) if (typeof value !== "string") return false;
  return true;
}

/** How many bytes are turned into text at once: a call takes only so many arguments. */
const CHUNK = 0x8000;

/** Bytes as text, as many as there is room for. */
function base64(bytes: Uint8Array, room: number): string {
  const kept = Math.min(bytes.length, Math.max(0, Math.floor(room / 4)) * 3);
  let text = "";
  for (let i = 0; i < kept; i += CHUNK) {
    text += String.fromCharCode(...bytes.subarray(i, Math.min(i + CHUNK, kept)));
  }
  const left = bytes.length - kept;
  return btoa(text) + (left === 0 ? "" : `… [Left out: ${left} bytes]`);
}
