import { printableText } from "./printable.ts";

/** What an error says of itself, whether it was caught or stored. */
interface ErrorLike {
  readonly name?: unknown;
  readonly message?: unknown;
}

/** An error in one line, such as `TypeError: no such card`. */
export function describeError(error: unknown): string {
  return describeErrorInFull(error).split("\n", 1)[0]!;
}

/** An error's name and all lines of its message. */
export function describeErrorInFull(error: unknown): string {
  if (typeof error !== "object" || error === null) return printableText(String(error));
  const { name, message } = error as ErrorLike;
  return printableText(
    [name, message].filter((part) => typeof part === "string" && part !== "").join(": ") || "Error",
  );
}
