import { crc32 } from "../engine/checksum.ts";
import { type RandomSource, SeededRandom } from "../engine/random.ts";

/** A source of randomness that gives the same bytes for the same seed. @param seed an integer from 0 to 2^53 - 1 */
export function seededSource(seed: number): RandomSource {
  const random = new SeededRandom(seed);
  return (bytes) => {
    for (let i = 0; i < bytes.length; i++) bytes[i] = random.uint32() >>> 24;
  };
}

/** What a workflow draws: the same for the same seed and id, whatever else was drawn before. */
export function seededFor(seed: number, workflowId: string): SeededRandom {
  return new SeededRandom(crc32(`${seed}/${workflowId}`) * 2 ** 21 + seed % 2 ** 21);
}
