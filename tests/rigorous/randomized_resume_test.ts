import type { SeededRandom } from "../../engine/random.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";
import { Lives } from "./lives.ts";
import { integer, withSeeds } from "./seed.ts";
import { randomShape, type Shape } from "./shape.ts";

/** How many files there are, and how many workflows share one. */
const FILES = RIGOROUS ? 300 : 40;
const WORKFLOWS = 10;

Deno.test("a workflow of any shape that is killed at random commits gives each branch what it got before", () =>
  withSeeds(FILES, async (random) => {
    await using folder = temporaryFolder();
    const lives = new Lives(folder.file("shapes.db"), randomShapes(random));
    await lives.liveAndDie(random, integer(random, 1, 5));
    await lives.replay();
  }));

Deno.test("a workflow of any shape that was never killed comes to the same end in a replay", () =>
  withSeeds(FILES / 8, async (random) => {
    await using folder = temporaryFolder();
    const lives = new Lives(folder.file("shapes.db"), randomShapes(random));
    await lives.live();
    await lives.replay();
  }));

Deno.test("a workflow of any shape that failed and is retried gives each branch what it got before", () =>
  withSeeds(FILES / 2, async (random) => {
    await using folder = temporaryFolder();
    const lives = new Lives(folder.file("shapes.db"), randomShapes(random));
    await lives.liveAndDie(random, integer(random, 0, 2));
    lives.mend();
    await lives.liveAndDie(random, integer(random, 0, 3));
    await lives.replay();
  }));

function randomShapes(random: SeededRandom): Shape[] {
  return Array.from({ length: WORKFLOWS }, () => randomShape(random));
}
