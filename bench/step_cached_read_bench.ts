/** What does it cost to replay 1,000 stored steps, beside reading their rows? */
import { DatabaseSync } from "node:sqlite";
import { Engine, workflow } from "@stepwell/stepwell";
import { benchFolder } from "./bench_folder.ts";
import { quickStep } from "./workloads.ts";

const STEPS = 1_000;
const folder = benchFolder();

/** Waits for what is never there once its steps are behind it, so that it can be resumed again and again. */
let reached = () => {};
const unfinished = workflow("unfinished", async (ctx) => {
  for (let i = 0; i < STEPS; i++) await quickStep(ctx);
  reached();
  await new Promise(() => {});
});

for (const durability of ["full", "normal"] as const) {
  const group = `StepCachedRead, ${STEPS} of them, durability ${durability}`;
  const file = `${folder}/${durability}.db`;
  await replay(file, durability);
  const db = new DatabaseSync(file);
  const one = db.prepare("SELECT * FROM checkpoints WHERE workflow = 1 AND completion = ?");
  const all = db.prepare("SELECT * FROM checkpoints WHERE workflow = 1 ORDER BY completion");
  const parse = (row: Record<string, unknown>) => JSON.parse(row.output_json as string);

  Deno.bench("raw select of all rows", { group, baseline: true }, () => {
    all.all().forEach(parse);
  });
  Deno.bench("raw select, row by row", { group }, () => {
    for (let completion = 1; completion <= STEPS; completion++) parse(one.get(completion)!);
  });
  Deno.bench("replay", { group }, async (bench) => await replay(file, durability, bench));
}

/** Resumes the workflow until it is past its steps. What is measured begins when the workflow is claimed. */
async function replay(file: string, durability: "full" | "normal", bench?: Deno.BenchContext): Promise<void> {
  await using engine = await Engine.open(file, { durability });
  const { promise, resolve } = Promise.withResolvers<void>();
  reached = () => {
    bench?.end();
    resolve();
  };
  const handle = await engine.start(unfinished, { id: "unfinished" });
  bench?.start();
  handle.result().catch(() => {});
  await promise;
}
