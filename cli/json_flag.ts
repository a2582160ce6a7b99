import { describeError } from "./describe_error.ts";
import { printableCell, printableLine } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** The longest excerpt of what was found that goes into a message. */
const EXCERPT_LENGTH = 80;
/** The largest file: more than a value of a workflow may take. */
const MAX_FILE_BYTES = 64 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;

/**
 * Reads the value of a flag that takes data: JSON, or `@` and the name of a file with JSON in it.
 *
 * @param flag its name, without dashes
 * @throws {UsageError} if it is no JSON, or the file cannot be read
 */
export async function readJson(flag: string, text: string): Promise<unknown> {
  if (!text.startsWith("@")) return parse(text, `--${flag}`);
  const file = text.slice(1);
  const what = `the file of --${flag}, "${printableCell(file)}"`;
  return parse(decode(await readFile(file, what), what), what);
}

/** All bytes of a file. What has no end, such as `/dev/zero`, or waits for somebody to write, such as a pipe, is not read. */
async function readFile(path: string, what: string): Promise<Uint8Array> {
  try {
    if (!(await Deno.stat(path)).isFile) throw new UsageError(`Cannot read ${what}: wanted a file`);
    using file = await Deno.open(path);
    const chunks: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    for (;;) {
      const chunk = new Uint8Array(CHUNK_BYTES);
      const read = await file.read(chunk);
      if (read === null) return new Uint8Array(await new Blob(chunks).arrayBuffer());
      chunks.push(chunk.subarray(0, read));
      size += read;
      if (size > MAX_FILE_BYTES) {
        throw new UsageError(`Cannot read ${what}: wanted ${MAX_FILE_BYTES} bytes at most, found more`);
      }
    }
  } catch (error) {
    if (error instanceof UsageError) throw error;
    throw new UsageError(`Cannot read ${what}: ${describeError(error)}`, { cause: error });
  }
}

/** Text of bytes, none of which is replaced. */
function decode(bytes: Uint8Array, what: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new UsageError(`Cannot read ${what}: wanted UTF-8, found another encoding`, { cause });
  }
}

function parse(json: string, what: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    const found = json.length <= EXCERPT_LENGTH ? json : json.slice(0, EXCERPT_LENGTH) + "…";
    const reason = printableCell((cause as SyntaxError).message);
    throw new UsageError(`Cannot read ${what}: wanted JSON, found "${printableLine(found)}" (${reason})`, {
      cause,
    });
  }
}
