import type { Paint, Palette } from "./paint.ts";
import { printableCell, printableLine } from "./printable.ts";

/** Something that is shown under a name: a value, or a text that is printable already, in lines. */
export type Fact = readonly [name: string, value: unknown, paint?: Paint];

/** Text that is shown as it is, in several lines or longer than a value. */
export class Text {
  constructor(readonly text: string) {}
}

/** Lines of names and values. Whatever a value is, it is made printable here. @param width that of the names */
export function factLines(facts: readonly Fact[], { faint }: Palette, width = 9): string[] {
  const indent = " ".repeat(width + 4);
  return facts.map(([name, value, paint = (text) => text]) => {
    const lines = value instanceof Text ? value.text.split("\n").map(printableLine) : [printableCell(value)];
    return `  ${faint(name.padEnd(width))}  ${lines.map(paint).join(`\n${indent}`)}`;
  });
}
