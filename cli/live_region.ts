import type { Output } from "./output.ts";

/** The most lines that are drawn over. */
const MAX_LINES = 8;

/**
 * The last lines of a terminal, which are drawn over, below the lines that stay.
 *
 * Owns how many lines are drawn. The cursor stands below them, at the start of a line. Lines that are too long are
 * cut by the terminal itself, so its width need not be known; where its height is not known, one line is drawn.
 */
export class LiveRegion {
  readonly #output: Output;
  #lines: readonly string[] = [];
  #drawn = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Writes a line that stays. */
  print(line: string): void {
    this.#output.write(this.#erased() + line + "\n" + this.#drawing());
  }

  /** Draws these lines in place of those that were there. */
  show(lines: readonly string[]): void {
    if (lines.length === 0 && this.#drawn === 0) return;
    this.#lines = lines;
    this.#output.write(this.#erased() + this.#drawing());
  }

  #erased(): string {
    const up = this.#drawn === 0 ? "" : `\x1b[${this.#drawn}A\r\x1b[0J`;
    this.#drawn = 0;
    return up;
  }

  #drawing(): string {
    if (this.#lines.length === 0) return "";
    const room = Math.max(1, Math.min(MAX_LINES, (this.#output.rows() ?? 2) - 1));
    const shown = this.#lines.length <= room ? this.#lines : [
      ...this.#lines.slice(0, room - 1),
      `  … and ${this.#lines.length - (room - 1)} more`,
    ];
    this.#drawn = shown.length;
    return "\x1b[?7l" + shown.map((line) => line + "\n").join("") + "\x1b[?7h";
  }
}
