/** Colours text, or leaves it as it is. */
export type Paint = (text: string) => string;

/** The colours that the output uses, by what they mean. */
export interface Palette {
  readonly good: Paint;
  readonly bad: Paint;
  readonly warning: Paint;
  readonly stored: Paint;
  readonly busy: Paint;
  readonly faint: Paint;
  readonly strong: Paint;
}

/** @param colour whether there is to be any */
export function palette(colour: boolean): Palette {
  const sgr = (on: number, off: number): Paint =>
    colour ? (text) => `\x1b[${on}m${text}\x1b[${off}m` : (text) => text;
  return {
    good: sgr(32, 39),
    bad: sgr(31, 39),
    warning: sgr(33, 39),
    stored: sgr(36, 39),
    busy: sgr(34, 39),
    faint: sgr(2, 22),
    strong: sgr(1, 22),
  };
}
