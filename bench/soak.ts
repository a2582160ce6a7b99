/**
 * The soak: again and again, processes run workflows on one file and are killed at random, and after each time what
 * they have done is checked against a ledger of effects. `deno task soak [--iterations N] [--seed S] [--workflows N]`
 *
 * The seed decides how many processes there are and when they are killed, not how the system schedules them: the same
 * seed makes the same trouble likely, but not certain. The exit status is 1 if anything does not hold.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { SeededRandom } from "../engine/random.ts";
import { soakOnce } from "./soak_iteration.ts";

const MAX_PROCESSES = 3;
const MAX_KILLS = 8;
/** The largest number that an option takes. */
const MAX_OPTION = 1_000_000_000;

if (import.meta.main) Deno.exit(await soak(Deno.args));

/** Runs the soak. @returns the exit status */
async function soak(args: string[]): Promise<number> {
  let options: { iterations: number; seed: number; workflows: number };
  try {
    options = readOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const { iterations, seed, workflows } = options;
  console.log(`seed ${seed}`);
  for (let iteration = 1; iteration <= iterations; iteration++) {
    const start = performance.now();
    const random = new SeededRandom(seed + iteration - 1);
    const processes = 1 + Math.floor(random.fraction() * MAX_PROCESSES);
    const kills = 1 + Math.floor(random.fraction() * MAX_KILLS);
    const what = `iteration ${iteration} of ${iterations}: ${processes} processes, ${kills} kills`;
    try {
      const { steps, again } = await soakOnce({ random, workflows, processes, kills });
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      console.log(
        `${what}, ${workflows} workflows, ${steps} steps, ${again} attempts made again ... ok (${seconds} s)`,
      );
    } catch (error) {
      console.log(`${what} ... FAILED`);
      console.error(error);
      console.error(
        `To try it again: --iterations 1 --seed ${seed + iteration - 1} --workflows ${workflows}`,
      );
      return 1;
    }
  }
  return 0;
}

function readOptions(args: string[]): { iterations: number; seed: number; workflows: number } {
  const names = ["iterations", "seed", "workflows"];
  const unknown = (arg: string): false => {
    throw new Error(
      `Unknown argument "${arg}": the options are ${names.map((name) => `--${name} N`).join(", ")}`,
    );
  };
  const given = parseArgs(args, { string: names, unknown });
  const read = (name: string, byDefault: number, min: number) => {
    const text = given[name] ?? String(byDefault);
    const value = Number(text);
    if (text !== "" && Number.isSafeInteger(value) && value >= min && value <= MAX_OPTION) return value;
    throw new Error(`Cannot use --${name}: wanted an integer from ${min} to ${MAX_OPTION}, found "${text}"`);
  };
  return {
    iterations: read("iterations", 10, 1),
    seed: read("seed", crypto.getRandomValues(new Uint32Array(1))[0]! % MAX_OPTION, 0),
    workflows: read("workflows", 30, 1),
  };
}
