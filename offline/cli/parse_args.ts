import type { Aliases, Args, Names, ParseOptions, Values } from "./args.ts";

export type { Args, ParseOptions } from "./args.ts";

/** A long option: `--no-`, its name, and a value after the first `=`. */
const LONG = /^--(no-)?(.+?)(?:=(.*))?$/s;

type Value = string | number | boolean;

/** An object whose dotted names are objects in it. */
interface Tree {
  [key: string]: unknown;
}

/**
 * Parses the arguments of a command line, in the way of minimist: `--name value`, `--name=value`, `--name`, `-n value`,
 * `-abc` for three options without a value, and everything after `--` as it is.
 *
 * @param args The arguments, as in `Deno.args`.
 * @param options What is known of the options.
 * @returns The options by name, and in `_` the arguments that are no options.
 *
 * @example Options of each kind
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 * import { assertEquals } from "@std/assert";
 *
 * const args = parseArgs(["run", "--db", "shop.db", "--json"], { string: ["db"], boolean: ["json"] });
 *
 * assertEquals(args, { _: ["run"], db: "shop.db", json: true });
 * ```
 */
export function parseArgs<
  TArgs extends Values<TBooleans, TStrings, TCollectable, TNegatable, TDefaults, TAliases>,
  TDoubleDash extends boolean | undefined = undefined,
  TBooleans extends boolean | Names = undefined,
  TStrings extends Names = undefined,
  TCollectable extends Names = undefined,
  TNegatable extends Names = undefined,
  TDefaults extends Record<string, unknown> | undefined = undefined,
  const TAliases extends Aliases | undefined = undefined,
>(
  args: readonly string[],
  options: ParseOptions<TBooleans, TStrings, TCollectable, TNegatable, TDefaults, TAliases, TDoubleDash> = {},
): Args<TArgs, TDoubleDash> {
  const parser = new Parser(options as ParseOptions);
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  parser.parse(args.slice(0, end));
  parser.fill(options.default ?? {});
  const { result } = parser;
  const rest = args.slice(end + 1);
  if (options["--"]) result["--"] = rest;
  else result._.push(...rest);
  return result as Args<TArgs, TDoubleDash>;
}

/** Owns the result as it grows; knows what the options declare, aliases included. */
class Parser {
  readonly result: Tree & { _: (string | number)[] } = { _: [] };
  readonly #aliases = new Map<string, string[]>();
  readonly #booleans: Set<string>;
  readonly #strings: Set<string>;
  readonly #collected: Set<string>;
  readonly #negatable: Set<string>;
  readonly #allBoolean: boolean;
  readonly #stopEarly: boolean;
  readonly #unknown: NonNullable<ParseOptions["unknown"]>;

  constructor(options: ParseOptions) {
    for (const [name, aliases] of Object.entries(options.alias ?? {})) {
      const names = [name, ...list(aliases)];
      for (const each of names) this.#aliases.set(each, names.filter((other) => other !== each));
    }
    this.#booleans = this.#declared(options.boolean);
    this.#strings = this.#declared(options.string);
    this.#collected = this.#declared(options.collect);
    this.#negatable = this.#declared(options.negatable);
    this.#allBoolean = options.boolean === true;
    this.#stopEarly = options.stopEarly ?? false;
    this.#unknown = options.unknown ?? (() => true);
  }

  #declared(names: boolean | string | readonly string[] | undefined): Set<string> {
    return new Set(list(names).flatMap((name) => [name, ...this.#aliases.get(name) ?? []]));
  }

  parse(args: readonly string[]): void {
    for (let i = 0; i < args.length; i++) {
      const arg = args[i]!;
      if (arg.startsWith("--")) i += this.#long(arg, args[i + 1]);
      else if (arg.startsWith("-") && arg !== "-") i += this.#short(arg, args[i + 1]);
      else {
        this.#positional(arg);
        if (this.#stopEarly) return void this.result._.push(...args.slice(i + 1));
      }
    }
  }

  #positional(arg: string): void {
    if (this.#unknown(arg) === false) return;
    this.result._.push(this.#strings.has("_") ? arg : numberOr(arg));
  }

  /** Takes `--name`, with or without a value; returns how many of the arguments after it were its value. */
  #long(arg: string, next: string | undefined): number {
    const [, negation, name = "", value] = LONG.exec(arg)!;
    if (value !== undefined) {
      // Of `--no-name=value` the value is that of `name`.
      this.#set(arg, name, this.#booleans.has(name) ? value !== "false" : value);
      return 0;
    }
    if (negation && this.#negatable.has(name)) {
      this.#set(arg, name, false, { collect: false });
      return 0;
    }
    return this.#setFromNext(arg, negation ? `no-${name}` : name, next, {
      isValue: (next) => !this.#allBoolean && !next.startsWith("-"),
    });
  }

  /** Takes `-n` or `-abc`, with or without a value; returns how many of the arguments after it were its value. */
  #short(arg: string, next: string | undefined): number {
    for (let i = 1; i < arg.length - 1; i++) {
      const letter = arg[i]!;
      const attached = this.#attached(letter, arg.slice(i + 1));
      this.#set(arg, letter, attached ?? this.#bare(letter));
      if (attached !== undefined) return 0;
    }
    return this.#setFromNext(arg, arg.at(-1)!, next, { isValue: (next) => !/^--?[^-]/.test(next) });
  }

  /** The value that follows a letter inside one argument, as in `-n5`, `-n=five`, `-n/five` and `-n-`. */
  #attached(letter: string, rest: string): string | undefined {
    if (rest === "-") return rest;
    if (rest === "=") return "";
    if (/[A-Za-z]/.test(letter)) {
      const value = /=(.+)/.exec(rest)?.[1];
      if (value !== undefined) return value;
      if (/-?\d+(\.\d*)?(e-?\d+)?$/.test(rest)) return rest;
    }
    return rest.length > 1 && /\W/.test(rest[0]!) ? rest : undefined;
  }

  #setFromNext(
    arg: string,
    name: string,
    next: string | undefined,
    { isValue }: { isValue: (next: string) => boolean },
  ): number {
    const value = next && !this.#booleans.has(name) && isValue(next) ? next : booleanIn(next);
    this.#set(arg, name, value ?? this.#bare(name));
    return value === undefined ? 0 : 1;
  }

  /** The value of an option that is given without one. */
  #bare(name: string): Value {
    return this.#strings.has(name) ? "" : true;
  }

  #set(arg: string, name: string, value: Value, { collect = true } = {}): void {
    if (!this.#isKnown(arg, name) && this.#unknown(arg, name, value) === false) return;
    const set = typeof value === "string" && !this.#strings.has(name) ? numberOr(value) : value;
    for (const each of [name, ...this.#aliases.get(name) ?? []]) {
      put(this.result, each.split("."), set, { collect: collect && this.#collected.has(name) });
    }
  }

  #isKnown(arg: string, name: string): boolean {
    return this.#booleans.has(name) || this.#strings.has(name) || this.#collected.has(name) ||
      this.#aliases.has(name) || this.#allBoolean && /^--[^=]+$/.test(arg);
  }

  /** Gives the options that are still missing their default, or what stands for none. */
  fill(defaults: Record<string, unknown>): void {
    for (const [name, value] of Object.entries(defaults)) {
      if (isIn(this.result, name.split("."))) continue;
      for (const each of [name, ...this.#aliases.get(name) ?? []]) put(this.result, each.split("."), value);
    }
    for (const name of [...this.#booleans, ...this.#strings]) {
      if (isIn(this.result, name.split("."))) continue;
      if (this.#collected.has(name)) put(this.result, name.split("."), []);
      else if (this.#booleans.has(name)) put(this.result, name.split("."), false);
    }
  }
}

function list(names: boolean | string | readonly string[] | undefined): readonly string[] {
  if (typeof names === "string") return [names];
  return typeof names === "object" ? names : [];
}

function numberOr(text: string): string | number {
  return /\S/.test(text) && Number.isFinite(Number(text)) ? Number(text) : text;
}

function booleanIn(text: string | undefined): boolean | undefined {
  if (text === "true") return true;
  return text === "false" ? false : undefined;
}

function put(tree: Tree, path: readonly string[], value: unknown, { collect = false } = {}): void {
  const last = path.length - 1;
  for (const [i, key] of path.entries()) {
    if (key === "__proto__" || key === "constructor" && typeof tree[key] === "function") return;
    if (i < last) tree = (tree[key] ??= {}) as Tree;
    else if (!collect) tree[key] = value;
    else if (Array.isArray(tree[key])) tree[key].push(value);
    else tree[key] = tree[key] ? [tree[key], value] : [value];
  }
}

function isIn(tree: Tree, path: readonly string[]): boolean {
  for (const key of path) {
    if (!Object.hasOwn(tree, key)) return false;
    tree = tree[key] as Tree;
  }
  return true;
}
