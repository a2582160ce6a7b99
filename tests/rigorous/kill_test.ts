import { soakOnce } from "../../bench/soak_iteration.ts";
import { RIGOROUS } from "../effort.ts";
import { integer, withSeeds } from "./seed.ts";

Deno.test("workflows whose processes are killed at random run each step to one outcome, and complete", () =>
  withSeeds(RIGOROUS ? 40 : 6, async (random) => {
    const processes = integer(random, 1, 3);
    await soakOnce({ random, workflows: 30, processes, kills: integer(random, 2, 6) });
  }));
