/**
 * SQL for several rows at once.
 *
 * @module
 */

/** {@linkcode Statement.several}, which puts each text together once. */
export function several(sqlOf: (count: number) => string): (count: number) => string {
  const texts = new Map<number, string>();
  return (count) => {
    let sql = texts.get(count);
    if (sql === undefined) texts.set(count, sql = sqlOf(count));
    return sql;
  };
}

/** The values of several rows. @param row those of one */
export function rows(count: number, row: string): string {
  return Array(count).fill(row).join(", ");
}
