import { leavingOut, printableText, shortened } from "./printable.ts";

/** What an error says of itself, whether it was caught or stored. */
interface ErrorLike {
  readonly name?: unknown;
  readonly message?: unknown;
}

/** How many characters of an error are in one line, and how many are shown in full. */
const LINE_LENGTH = 300;
const FULL_LENGTH = 10_000;
const USAGE_LENGTH = 1_500;

/** An error in one line, such as `TypeError: no such card`. */
export function describeError(error: unknown): string {
  return shortened(describeErrorInFull(error).split("\n", 1)[0]!, LINE_LENGTH);
}

/** What is wrong with a command line: all lines, which quote that. */
export function describeMessage({ message }: Error): string {
  return printableText(leavingOut(message, USAGE_LENGTH));
}

/** An error's name and all lines of its message, unless that is very long. */
export function describeErrorInFull(error: unknown): string {
  return printableText(leavingOut(textOf(error), FULL_LENGTH));
}

/** What was thrown may be anything, and may throw itself where it is looked at. */
function textOf(error: unknown): string {
  if (typeof error !== "object" || error === null) return String(error);
  try {
    const { name, message } = error as ErrorLike;
    return [name, message].filter((part) => typeof part === "string" && part !== "").join(": ") || "Error";
  } catch {
    return "Error, which cannot be read";
  }
}
