/** One line of the table: what was measured, beside its lower bound. */
export interface Figure {
  readonly name: string;
  /** What the engine does, with its unit. */
  readonly engine: string;
  /** What SQLite, or Deno, does alone. */
  readonly raw: string;
  /** The one in terms of the other. */
  readonly ratio?: string;
  /** What is wanted of the one or the other. */
  readonly wanted?: string;
  /** Whether it is so; undefined where nothing is wanted. */
  readonly met?: boolean;
}

/** How the figures are measured. */
export interface TargetOptions {
  /** How many times more rounds than usual: 1 by default. */
  readonly effort: number;
}

/** A question, and how it is answered. */
export interface Target {
  /** By which it can be chosen. */
  readonly name: string;
  measure(options: TargetOptions): Promise<Figure[]>;
}

/** A rate, of so many things in so many milliseconds. */
export function perSecond(count: number, ms: number): string {
  return `${Math.round(count * 1_000 / ms)}/s`;
}

/** A number of milliseconds. */
export function milliseconds(ms: number): string {
  return `${ms.toFixed(ms < 10 ? 2 : 0)} ms`;
}

/** A number of milliseconds, as microseconds. */
export function microseconds(ms: number): string {
  return `${(ms * 1_000).toFixed(1)} µs`;
}
