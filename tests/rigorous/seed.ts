import { deadline } from "@std/async";
import { SeededRandom } from "../../engine/random.ts";
import { RIGOROUS } from "../effort.ts";

/** The variable that has one seed tried again. */
const VARIABLE = "STEPWELL_SEED";
/** How long an attempt with one seed may take: it is a hang that is told by its seed, too. */
const DEADLINE_MS = RIGOROUS ? 300_000 : 60_000;

/**
 * Tries something with many seeds, or with the one that the environment variable `STEPWELL_SEED` names.
 *
 * @param count how many seeds
 * @param attempt draws from `random` whatever it leaves to chance
 * @throws what `attempt` throws, as the cause of an error that names the seed
 */
export async function withSeeds(
  count: number,
  attempt: (random: SeededRandom) => Promise<void>,
): Promise<void> {
  const given = Deno.env.get(VARIABLE);
  const first = given === undefined ? crypto.getRandomValues(new Uint32Array(1))[0]! : Number(given);
  const last = given === undefined ? first + count - 1 : first;
  for (let seed = first; seed <= last; seed++) {
    try {
      await deadline(attempt(new SeededRandom(seed)), DEADLINE_MS);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new Error(`With ${VARIABLE}=${seed}: ${reason}`, { cause });
    }
  }
}

/** An integer from `min` to `max`. */
export function integer(random: SeededRandom, min: number, max: number): number {
  return min + Math.floor(random.fraction() * (max - min + 1));
}

/** One of these. */
export function oneOf<T>(random: SeededRandom, items: readonly T[]): T {
  return items[integer(random, 0, items.length - 1)]!;
}

/** True with this probability. */
export function chance(random: SeededRandom, probability: number): boolean {
  return random.fraction() < probability;
}
