/**
 * The ids of runs and executors, which are random integers, as people see them.
 *
 * @module
 */

/** A run's id: `r_` and twelve hexadecimal digits. */
export function runName(run: number): string {
  return `r_${hexadecimal(run)}`;
}

/** An executor's id: `e_` and twelve hexadecimal digits. */
export function executorName(executor: number): string {
  return `e_${hexadecimal(executor)}`;
}

/** An id in twelve hexadecimal digits. */
export function hexadecimal(id: number): string {
  // A damaged file may have anything in the place of an id: what is no number is shown as it is.
  return (typeof id === "number" ? id.toString(16) : String(id)).padStart(12, "0");
}
