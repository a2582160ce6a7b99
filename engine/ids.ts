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
  return id.toString(16).padStart(12, "0");
}
