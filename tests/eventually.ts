import { delay } from "@std/async";

/** How long a test waits, at most, for what has to come. */
const DEADLINE_MS = 20_000;

/**
 * Waits for a condition, looking again after every few turns of the event loop.
 *
 * @returns what `look` gave, once it is truthy
 * @throws if that takes longer than `deadlineMs`
 */
export async function eventually<T>(
  look: () => T | Promise<T>,
  deadlineMs: number = DEADLINE_MS,
): Promise<Exclude<NonNullable<T>, false | 0 | "">> {
  for (const deadline = Date.now() + deadlineMs;;) {
    const found = await look();
    if (found) return found as Exclude<NonNullable<T>, false | 0 | "">;
    if (Date.now() > deadline) throw new Error(`Not within ${deadlineMs} ms: ${look}`);
    await delay(1);
  }
}
