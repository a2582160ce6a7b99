/** What does a step cost that has not run before, in a workflow that does nothing else, beside the commit of its row? */
import { benchFolder } from "./bench_folder.ts";
import { RawStore } from "./raw_store.ts";
import { recordRows } from "./recorded_rows.ts";
import { Stepper } from "./stepper.ts";
import { quickStep, sequence } from "./workloads.ts";

const folder = benchFolder();
const rows = await recordRows(sequence, { input: 1 });

for (const durability of ["full", "normal"] as const) {
  const group = `StepColdWrite, durability ${durability}`;
  const stepper = await Stepper.start(`${folder}/${durability}.db`, durability, quickStep);
  const write = new RawStore(`${folder}/${durability}-raw.db`, rows, durability).stepWriter();

  Deno.bench("raw insert and commit", { group, baseline: true }, () => write());
  Deno.bench("step", { group }, async () => await stepper.step());
}
