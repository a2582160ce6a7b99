import { found, quote } from "./quote.ts";

/** The names of the options that a call takes. */
export type OptionNames = ReadonlySet<string>;

/** The names of all options of a type: the type checker refuses a list that lacks one, or that has one too many. */
export function optionNames<Options>(names: Readonly<Record<keyof Options & string, true>>): OptionNames {
  return new Set(Object.keys(names));
}

/**
 * Refuses options that are no object, or that have a name which the call does not know: a limit that is misspelt would be
 * none. An option that is given as `undefined` counts as not given.
 *
 * @param act what the call does, for the message, such as `run step`
 * @param thing what it does that to, if it has a name
 * @param within the option that these options are of, such as `retry`
 * @throws {TypeError} if they are not as they should be
 */
export function checkOptions(
  options: unknown,
  known: OptionNames,
  act: string,
  thing?: string,
  within?: string,
): void {
  if (!isOptions(options)) {
    const wanted = within === undefined ? "an object with options" : `an object with options as ${within}`;
    throw new TypeError(`Cannot ${call(act, thing)}: wanted ${wanted}, found ${found(options)}`);
  }
  // What a class gives its instances counts as well: that is read, too.
  for (const name in options) {
    if (known.has(name) || (options as Record<string, unknown>)[name] === undefined) continue;
    const prefix = within === undefined ? "" : `${within}.`;
    const names = Array.from(known, (each) => prefix + each).join(", ");
    throw new TypeError(
      `Cannot ${call(act, thing)}: unknown option ${quote(prefix + name)}; known options are ${names}`,
    );
  }
}

/**
 * Refuses an option that is neither true nor false: the text `"false"` would count as true.
 *
 * @param option its name
 * @returns the value, or false for one that was not given
 * @throws {TypeError} if it is not a boolean
 */
export function checkBoolean(value: unknown, option: string, act: string, thing?: string): boolean {
  if (value === undefined) return false;
  if (typeof value === "boolean") return value;
  throw new TypeError(`Cannot ${call(act, thing)}: wanted a boolean as ${option}, found ${kindOf(value)}`);
}

/** Whether it is an object that can have options: no array, no promise, no date. */
function isOptions(options: unknown): options is object {
  if (typeof options !== "object" || options === null) return false;
  const prototype = Object.getPrototypeOf(options);
  if (prototype === Object.prototype || prototype === null) return true;
  // An instance of a class of one's own, or an object of another realm.
  return Object.prototype.toString.call(options) === "[object Object]";
}

function call(act: string, thing: string | undefined): string {
  return thing === undefined ? act : `${act} ${quote(thing)}`;
}

function kindOf(value: unknown): string {
  return value === null ? "null" : typeof value;
}
