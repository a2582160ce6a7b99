/** A stream that people or programs read from. */
export interface Output {
  /** Whether it is a terminal, where lines can be drawn over. */
  readonly isTerminal: boolean;
  /** Whether colour is wanted: on a terminal, unless `NO_COLOR` is set. */
  readonly colour: boolean;
  /** How many lines fit on the terminal now, as far as that is known. */
  rows(): number | undefined;
  /**
   * Writes at once: a process that is killed right afterwards has written it. Never throws: what cannot be written is no reason
   * to stop the work, and is dropped.
   */
  write(text: string): void;
}

/** The output of this process, which tells whether some of it got lost. */
export interface StandardOutput extends Output {
  /** Why text could not be written, if that was so; but not that nobody reads any more, as in `stepwell list | head -1`. */
  readonly failure: unknown;
}

/** The standard output. */
export const stdout: StandardOutput = outputTo(Deno.stdout);

/** The standard error. */
export const stderr: StandardOutput = outputTo(Deno.stderr);

function outputTo(stream: typeof Deno.stdout): StandardOutput {
  const encoder = new TextEncoder();
  let isRead = true;
  let isCut = false;
  let failure: unknown;
  return {
    get isTerminal() {
      return stream.isTerminal();
    },
    get colour() {
      return stream.isTerminal() && !Deno.noColor;
    },
    get failure() {
      return failure;
    },
    rows() {
      try {
        return Deno.consoleSize().rows;
      } catch {
        return undefined; // not every terminal tells
      }
    },
    write(text) {
      if (!isRead) return;
      // A disk that was full may have room again: a line that was cut is then not gone on with.
      const bytes = encoder.encode(isCut ? `\n${text}` : text);
      const { written, error } = writeAll(stream, bytes);
      isRead = !(error instanceof Deno.errors.BrokenPipe);
      if (!isRead || error === undefined) isCut = false;
      else {
        failure ??= error;
        isCut ||= written > 0;
      }
    },
  };
}

/** How often, a millisecond apart, a reader that takes nothing is waited for. */
const MAX_WAITS = 60_000;

/** @returns how many bytes were written, and what has kept the rest from being so */
function writeAll(stream: typeof Deno.stdout, bytes: Uint8Array): { written: number; error?: unknown } {
  let waits = 0;
  let written = 0;
  while (written < bytes.length) {
    try {
      written += stream.writeSync(bytes.subarray(written));
      waits = 0;
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock) || ++waits > MAX_WAITS) return { written, error };
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1); // a pipe that its other users made non-blocking
    }
  }
  return { written };
}
