/** The names of options: a union of literals, or `undefined` where none are given. */
export type Names = string | undefined;

/** Other names of options. */
export type Aliases = Record<string, string | readonly string[]>;

/** Options for `parseArgs`; a name of an option in them is written without dashes. */
export interface ParseOptions<
  Booleans extends boolean | Names = boolean | Names,
  Strings extends Names = Names,
  Collected extends Names = Names,
  Negatable extends Names = Names,
  Defaults extends Record<string, unknown> | undefined = Record<string, unknown> | undefined,
  Alias extends Aliases | undefined = Aliases | undefined,
  DoubleDash extends boolean | undefined = boolean | undefined,
> {
  /** Whether what follows `--` goes to the result's `--` rather than to its `_`. */
  "--"?: DoubleDash;
  /** Other names of options: the value is set under each. */
  alias?: Alias;
  /** Options that take no value and are `false` if not given; `true` makes every `--name` one. */
  boolean?: Booleans | readonly Extract<Booleans, string>[];
  /** Options that are collected in an array however often they are given. */
  collect?: Collected | readonly Extract<Collected, string>[];
  /** Values of options that are not given. */
  default?: Defaults;
  /** Options that `--no-name` sets to `false`. */
  negatable?: Negatable | readonly Extract<Negatable, string>[];
  /** Whether everything after the first argument that is no option goes to `_`. */
  stopEarly?: boolean;
  /** Options whose value stays a string, the empty one if none follows; others that look like a number become one. */
  string?: Strings | readonly Extract<Strings, string>[];
  /** Called with each argument that the other options do not name; one for which it returns `false` is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

/** The result of `parseArgs`: the options by name, and in `_` the arguments that are no options. */
export type Args<
  // deno-lint-ignore no-explicit-any -- without options, a value can be anything
  Values extends Record<string, unknown> = Record<string, any>,
  DoubleDash extends boolean | undefined = undefined,
> = Flat<
  & Values
  & { _: Array<string | number> }
  & (DoubleDash extends true ? { "--": string[] }
    : DoubleDash extends false | undefined ? unknown
    : { "--"?: string[] })
>;

/** The options in a result, each with the type that it was declared with. */
export type Values<
  Booleans extends boolean | Names,
  Strings extends Names,
  Collected extends Names,
  Negatable extends Names,
  Defaults extends Record<string, unknown> | undefined,
  Alias extends Aliases | undefined,
> = [Exclude<Booleans, boolean> | Strings | Collected] extends [undefined]
  // deno-lint-ignore no-explicit-any -- nothing is declared
  ? Record<string, any>
  :
    & Record<string, unknown>
    & Aliased<
      Defaulted<
        & { [Name in Single<Strings, Collected>]?: OrFalse<string, Name, Negatable> }
        & { [Name in Many<Strings, Collected>]: string[] | (Name extends Negatable ? false : never) }
        & { [Name in Single<Booleans, Collected>]: boolean }
        & { [Name in Many<Booleans, Collected>]: boolean[] }
        & {
          [Name in Exclude<Many<Collected, Collected>, Strings | Booleans>]: OrFalse<
            unknown[],
            Name,
            Negatable
          >;
        },
        Defaults
      >,
      Alias
    >;

type Single<Declared, Collected> = Exclude<Extract<Declared, string>, Collected>;
type Many<Declared, Collected> = Extract<Extract<Declared, string>, Collected>;
type OrFalse<Value, Name, Negatable> = Name extends Negatable ? Value | false : Value;

/** With a default, an option is always there. */
type Defaulted<Declared, Defaults> = Defaults extends Record<string, unknown> ?
    & Omit<Declared, keyof Defaults>
    & {
      [Name in keyof Defaults]: Name extends keyof Declared ? Defaults[Name] | NonNullable<Declared[Name]>
        : unknown;
    }
  : Declared;

type Aliased<Declared, Alias> = { [Name in keyof Declared as Name | AliasOf<Name, Alias>]: Declared[Name] };

type AliasOf<Name, Alias> = Name extends keyof Alias
  ? Alias[Name] extends readonly (infer Other extends string)[] ? Other : Extract<Alias[Name], string>
  : never;

/** One object type instead of an intersection, for people to read. */
type Flat<T> = T extends Record<string, unknown> ? { [Key in keyof T]: T[Key] } : never;
