/** What do 200 steps cost that run at once, beside a commit of their 200 rows? */
import { benchFolder } from "./bench_folder.ts";
import { RawStore } from "./raw_store.ts";
import { recordRows } from "./recorded_rows.ts";
import { Stepper } from "./stepper.ts";
import { quickStep, sequence } from "./workloads.ts";

const STEPS = 200;
const folder = benchFolder();
const rows = await recordRows(sequence, { input: 1 });

for (const durability of ["full", "normal"] as const) {
  const group = `StepParallelWrites, ${STEPS} at once, durability ${durability}`;
  const branches = Array.from({ length: STEPS }, () => quickStep);
  const stepper = await Stepper.start(`${folder}/${durability}.db`, durability, (ctx) => ctx.all(branches));
  const raw = new RawStore(`${folder}/${durability}-raw.db`, rows, durability);
  const write = raw.stepWriter();

  Deno.bench("raw batched commit", { group, baseline: true }, () => {
    raw.inOneCommit(() => {
      for (let i = 0; i < STEPS; i++) write();
    });
  });
  Deno.bench("steps", { group }, async () => await stepper.step());
}
