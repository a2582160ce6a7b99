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
  #drawn = 0;

  constructor(output: Output) {
    this.#output = output;
  }

  /** Whether anything is drawn. */
  get isDrawn(): boolean {
    return this.#drawn > 0;
  }

  /** Writes a line that stays, and draws these lines below it. */
  print(line: string, lines: readonly string[] = []): void {
    this.#output.write(this.#erased() + line + "\n" + this.#drawing(lines));
  }

  /** Draws these lines in place of those that were there. */
  show(lines: readonly string[]): void {
    if (lines.length > 0 || this.isDrawn) this.#output.write(this.#erased() + this.#drawing(lines));
  }

  #erased(): string {
    const up = this.isDrawn ? `\x1b[${this.#drawn}A\r\x1b[0J` : "";
    this.#drawn = 0;
    return up;
  }

  #drawing(lines: readonly string[]): string {
    if (lines.length === 0) return "";
    const room = Math.max(1, Math.min(MAX_LINES, (this.#output.rows() ?? 0) - 1));
    const shown = lines.length <= room ? lines : cut(lines, room);
    this.#drawn = shown.length;
    return "\x1b[?7l" + shown.map((line) => line + "\n").join("") + "\x1b[?7h";
  }
}

/** As many lines as there is room for: the last says how many more there are, unless there is room for one only. */
function cut(lines: readonly string[], room: number): string[] {
  if (room === 1) return lines.slice(0, 1);
  return [...lines.slice(0, room - 1), `  … and ${lines.length - (room - 1)} more`];
}
