/**
 * Lines of columns, as wide as their widest cell and two spaces apart.
 *
 * @param rows the cells, already printable
 * @param paint colours a cell once it has its width
 */
export function table(
  rows: readonly (readonly string[])[],
  paint: (cell: string, row: number, column: number) => string = (cell) => cell,
): string[] {
  const widths: number[] = [];
  for (const row of rows) {
    row.forEach((cell, column) => widths[column] = Math.max(widths[column] ?? 0, cell.length));
  }
  return rows.map((row, i) => {
    const last = row.findLastIndex((cell) => cell !== "");
    return row.slice(0, last + 1)
      .map((cell, column) => paint(column === last ? cell : cell.padEnd(widths[column]!), i, column))
      .join("  ");
  });
}
