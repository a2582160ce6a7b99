/** A stream that people or programs read from. */
export interface Output {
  /** Whether it is a terminal, where lines can be drawn over. */
  readonly isTerminal: boolean;
  /** Whether colour is wanted: on a terminal, unless `NO_COLOR` is set. */
  readonly colour: boolean;
  /** How many lines fit on the terminal now, as far as that is known. */
  rows(): number | undefined;
  /** Writes at once: a process that is killed right afterwards has written it. */
  write(text: string): void;
}

/** The standard output. */
export const stdout: Output = outputTo(Deno.stdout);

/** The standard error. */
export const stderr: Output = outputTo(Deno.stderr);

function outputTo(stream: typeof Deno.stdout): Output {
  const encoder = new TextEncoder();
  let open = true;
  return {
    get isTerminal() {
      return stream.isTerminal();
    },
    get colour() {
      return stream.isTerminal() && !Deno.noColor;
    },
    rows() {
      try {
        return Deno.consoleSize().rows;
      } catch {
        return undefined; // not every terminal tells
      }
    },
    write(text) {
      if (open) open = writeAll(stream, encoder.encode(text));
    },
  };
}

/** How often, a millisecond apart, a reader that takes nothing is waited for. */
const MAX_WAITS = 60_000;

/** @returns false once nobody reads any more, as in `stepwell list | head -1`: no reason to stop the work */
function writeAll(stream: typeof Deno.stdout, bytes: Uint8Array): boolean {
  let waits = 0;
  for (let written = 0; written < bytes.length;) {
    try {
      written += stream.writeSync(bytes.subarray(written));
      waits = 0;
    } catch (error) {
      if (error instanceof Deno.errors.BrokenPipe) return false;
      if (!(error instanceof Deno.errors.WouldBlock) || ++waits > MAX_WAITS) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a pipe that its other users made non-blocking
    }
  }
  return true;
}
