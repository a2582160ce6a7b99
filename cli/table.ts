import { printableCell } from "./printable.ts";

/**
 * Lines of columns, as wide as their widest cell and two spaces apart. Whatever is in a cell is made printable here.
 *
 * @param paint colours a cell once it has its width
 */
export function table(
  rows: readonly (readonly unknown[])[],
  paint: (cell: string, row: number, column: number) => string = (cell) => cell,
): string[] {
  const cells = rows.map((row) => row.map(printableCell));
  const widths: number[] = [];
  for (const row of cells) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return cells.map((row, i) => {
    const last = row.findLastIndex((cell) => cell !== "");
    return row.slice(0, last + 1)
      .map((cell, column) => paint(column === last ? cell : cell.padEnd(widths[column]!), i, column))
      .join("  ");
  });
}
