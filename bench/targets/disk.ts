import { Engine } from "@stepwell/stepwell";
import { temporaryFolder } from "../../tests/temporary_folder.ts";
import { RESULT, sequence } from "../workloads.ts";
import type { Figure, Target } from "./figure.ts";

const WANTED_BYTES = 250;

/** By how much a file grows, once its log is in it and gone, for each step that is in it. */
export const disk: Target = {
  name: "disk",
  measure: async () => [await bytesPerStep(500, 5), await bytesPerStep(1, 1_000)],
};

async function bytesPerStep(workflows: number, steps: number): Promise<Figure> {
  await using folder = temporaryFolder();
  const file = folder.file("engine.db");
  {
    await using engine = await Engine.open(file, { durability: "normal" });
    await Promise.all(Array.from({ length: workflows }, () => engine.run(sequence, { input: steps })));
  }
  const empty = folder.file("empty.db");
  await (await Engine.open(empty)).close();
  const grown = (await Deno.stat(file)).size - (await Deno.stat(empty)).size;
  const found = grown / (workflows * steps);
  const result = JSON.stringify(RESULT).length;
  return {
    name: `disk for each step of ${workflows} × ${steps}; its result alone`,
    engine: `${found.toFixed(0)} B`,
    raw: `${result} B`,
    ratio: (found / result).toFixed(2),
    wanted: `≤ ${WANTED_BYTES} B`,
    met: found <= WANTED_BYTES,
  };
}
