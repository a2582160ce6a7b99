import { printableLine } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** The longest excerpt of what was found that goes into a message. */
const EXCERPT_LENGTH = 80;

/**
 * Reads the value of a flag that takes data: JSON, or `@` and the name of a file with JSON in it.
 *
 * @param flag its name, without dashes
 * @throws {UsageError} if it is no JSON, or the file cannot be read
 */
export async function readJson(flag: string, text: string): Promise<unknown> {
  if (!text.startsWith("@")) return parse(text, `--${flag}`);
  const file = text.slice(1);
  try {
    return parse(await Deno.readTextFile(file), `the file of --${flag}, "${printableLine(file)}"`);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`Cannot read the file of --${flag}, "${printableLine(file)}": ${reason}`, {
      cause: error,
    });
  }
}

function parse(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const found = json.length <= EXCERPT_LENGTH ? json : json.slice(0, EXCERPT_LENGTH) + "…";
    const reason = (cause as SyntaxError).message;
    throw new UsageError(`Cannot read ${what}: wanted JSON, found "${printableLine(found)}" (${reason})`, {
      cause,
    });
  }
}
