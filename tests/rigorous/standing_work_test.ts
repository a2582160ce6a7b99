import { RIGOROUS } from "../effort.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { withSeeds } from "./seed.ts";
import { storm } from "./storm.ts";

for (const engines of [1, 2]) {
  Deno.test(`after a storm on ${engines} ${engines === 1 ? "process" : "processes"} no work is left standing`, async () => {
    await withSeeds(RIGOROUS ? 40 : 3, async (random) => {
      await using folder = temporaryFolder();
      await storm(folder.file("a.db"), random, { engines, actions: RIGOROUS ? 400 : 150 });
    });
  });
}
