import { type OptionNames, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";

/** The name of a signal, with the type of what is sent along. */
export interface Signal<T> {
  /** By which it is sent and waited for. */
  readonly name: string;
  /** Never there: it has the type checker know what is sent along. */
  readonly "~payload"?: T;
}

/**
 * Defines a signal, so that who sends it and who waits for it agree on its type.
 *
 * @param name by which it is sent and waited for; a signal that is given by its name alone is the same
 * @throws {TypeError | RangeError} if the name is not one
 *
 * @example
 * ```ts
 * import { Engine, signal, workflow } from "@stepwell/stepwell";
 * import { assertEquals } from "@std/assert";
 *
 * const approved = signal<{ by: string }>("approved");
 * const request = workflow("request", async (ctx) => (await ctx.waitForSignal(approved))?.by);
 *
 * await using engine = await Engine.open(":memory:");
 * const handle = await engine.start(request, { id: "request-1" });
 * await handle.signal(approved, { by: "Ada" });
 * assertEquals(await handle.result(), "Ada");
 * ```
 */
export function signal<T>(name: string): Signal<T> {
  checkName(name, "a signal's name");
  return Object.freeze({ name });
}

/** The options with which one is sent. */
export const SIGNAL_OPTIONS: OptionNames = optionNames<{ idempotencyKey?: string }>({ idempotencyKey: true });

/** The name of a signal, however it is given. @throws {TypeError | RangeError} if it is not one */
export function signalName(signal: Signal<unknown> | string): string {
  const name = typeof signal === "object" && signal !== null ? signal.name : signal;
  checkName(name, "a signal's name");
  return name;
}
