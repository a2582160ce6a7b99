/**
 * What can be stored, as far as the types tell.
 *
 * @module
 */

/** `unknown` for a result with a part that can never be stored, `never` for any other: it picks out step functions. */
export type UnstorableResult<T> = Unstorable<T> extends false ? never : unknown;

/** What the type checker makes of a step's result that cannot be stored, so that whoever uses it is told. */
export interface CannotBeStored<T> {
  /** The part of the result. */
  readonly "this step's result cannot be stored": Unstorable<T>;
}

/** `false`, or the type inside `T` that cannot be stored. Four levels deep: TypeScript has better things to do. */
export type Unstorable<T, Depth extends unknown[] = []> = 0 extends 1 & T ? false
  : Depth["length"] extends 4 ? false
  // deno-lint-ignore no-explicit-any -- any function at all
  : T extends ((...args: any[]) => unknown) | symbol | WeakKey & { deref(): unknown } | PromiseLike<unknown>
    ? T
  : T extends WeakMap<WeakKey, unknown> | WeakSet<WeakKey>
    ? T extends Map<unknown, unknown> | Set<unknown> ? false : T
  : T extends
    string | number | bigint | boolean | null | undefined | Date | RegExp | Error | URL | URLSearchParams
    ? false
  : T extends ArrayBuffer | ArrayBufferView | ReadonlyMap<unknown, unknown> | ReadonlySet<unknown>
  // A Buffer would come back without its methods, and the match of a regular expression without its groups.
    ? "readUInt8" extends keyof T ? T : false
  : T extends readonly (infer Item)[] ? "input" extends keyof T ? T : Unstorable<Item, [...Depth, 0]>
  : T extends object
    ? { [K in keyof T]-?: Unstorable<T[K], [...Depth, 0]> }[keyof T] extends infer Found
      ? [Exclude<Found, false>] extends [never] ? false : Exclude<Found, false>
    : never
  : false;
