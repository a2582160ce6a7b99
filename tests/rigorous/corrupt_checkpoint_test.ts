import { assert } from "@std/assert";
import { assertBlocked } from "./assert_blocked.ts";
import { CrashedFile, VICTIM } from "./crashed_file.ts";
import { spoil, SPOILED_NUMBERS, SPOILED_TEXTS } from "./spoiling.ts";

/**
 * The columns of a checkpoint. There are two more. `checkpoint` is the row's own key: it says in which order rows were
 * first written, which nothing depends on. `workflow` is what the row is found by: see corrupt_row_test.ts.
 */
const NUMBERS = [
  "kind",
  "status",
  "completion",
  "attempt",
  "started_at",
  "duration_ms",
  "next_attempt_at",
  "run",
  "checksum",
];
const TEXTS = ["step_key", "output_json", "error_json"];

/** The steps of the victim: completed, failed, completed with a rich value, and waiting for its next attempt. */
const STEPS = ["first", "second", "third", "fourth"];

for (const column of [...NUMBERS, ...TEXTS]) {
  Deno.test(`a workflow is blocked where the ${column} of a checkpoint is not as it was written`, async () => {
    await using crashed = await CrashedFile.make();
    const values = Object.entries(NUMBERS.includes(column) ? SPOILED_NUMBERS : SPOILED_TEXTS);
    let spoiled = 0;
    for (const step of STEPS) {
      const row =
        `step_key LIKE '${step}#%' AND workflow IN (SELECT workflow FROM workflows WHERE workflow_id = '${VICTIM}')`;
      for (const [what, value] of values) {
        const file = await crashed.copy();
        if (!spoil(file, "checkpoints", column, value(column), row)) continue;
        spoiled++;
        await assertBlocked(crashed, file, { what: `${column} of "${step}" is ${what}` });
      }
    }
    assert(spoiled > STEPS.length);
  });
}
