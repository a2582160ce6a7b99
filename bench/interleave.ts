import { median } from "./statistics.ts";

/** What is measured side by side, each giving the time of one round in milliseconds. */
export type Sides<K extends string> = Readonly<Record<K, () => number | Promise<number>>>;

/**
 * Measures several things in turn, round by round, so that a machine that is slower for a while is so for all of them.
 *
 * @param options.warmUp rounds that are not counted
 * @returns the times of each, round by round
 */
export async function interleave<K extends string>(
  sides: Sides<K>,
  options: { rounds: number; warmUp?: number },
): Promise<Record<K, number[]>> {
  const { rounds, warmUp = 0 } = options;
  const names = Object.keys(sides) as K[];
  const times = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = -warmUp; round < rounds; round++) {
    // Every other round in the opposite order: none is always the one that comes after a certain other.
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const ms = await sides[name]();
      if (round >= 0) times[name].push(ms);
    }
  }
  return times;
}

/** The median of the ratios, round by round: what slows a whole round down does not change it. */
export function ratio(numerators: readonly number[], denominators: readonly number[]): number {
  return median(numerators.map((numerator, round) => numerator / denominators[round]!));
}

/** How long something takes, in milliseconds. */
export function timed(act: () => void): number {
  const start = performance.now();
  act();
  return performance.now() - start;
}

/** How long something takes that is waited for, in milliseconds. */
export async function timedAsync(act: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await act();
  return performance.now() - start;
}
