import { assert, assertEquals } from "@std/assert";
import { Engine } from "@stepwell/stepwell";
import { execute } from "../raw_sqlite.ts";
import { assertBlocked } from "./assert_blocked.ts";
import { COMPLETED, CrashedFile, VICTIM } from "./crashed_file.ts";
import { fourSteps, INPUT, OUTPUT } from "./four_steps.ts";
import { spoil, SPOILED_NUMBERS, SPOILED_TEXTS } from "./spoiling.ts";

/** What a workflow is started with, by where it is kept. */
const COLUMNS = [
  ["inputs", "seed", SPOILED_NUMBERS],
  ["inputs", "input_json", SPOILED_TEXTS],
  ["inputs", "checksum", SPOILED_NUMBERS],
  ["workflows", "name", SPOILED_TEXTS],
  ["workflows", "created_at", SPOILED_NUMBERS],
] as const;

for (const [table, column, values] of COLUMNS) {
  Deno.test(`a workflow is blocked where the ${column} it was started with is not as it was written`, async () => {
    await using crashed = await CrashedFile.make();
    let spoiled = 0;
    for (const [what, value] of Object.entries(values)) {
      const file = await crashed.copy();
      if (!spoil(file, table, column, value(column), rowOf(VICTIM))) continue;
      spoiled++;
      await assertBlocked(crashed, file, { what: `${column} is ${what}`, key: "input" });
    }
    assert(spoiled > 5);
  });
}

for (const what of ["deleted", "that of another workflow"]) {
  Deno.test(`a workflow is blocked where the row of its input is ${what}`, async () => {
    await using crashed = await CrashedFile.make();
    const file = await crashed.copy();
    execute(file, `DELETE FROM inputs WHERE ${rowOf(VICTIM)}`);
    if (what !== "deleted") {
      execute(
        file,
        `INSERT INTO inputs (workflow, seed, input_json, checksum)
        SELECT ${keyOf(VICTIM)}, seed, input_json, checksum FROM inputs WHERE ${rowOf(COMPLETED)}`,
      );
    }
    await assertBlocked(crashed, file, { what, key: "input" });
  });
}

Deno.test("the output of a workflow that has completed does not depend on its input any more", async () => {
  await using crashed = await CrashedFile.make();
  const file = await crashed.copy();
  execute(file, `UPDATE inputs SET input_json = '{"amount":18}' WHERE ${rowOf(COMPLETED)}`);
  await using engine = await Engine.open(file);
  const calls: string[] = [];
  const workflow = fourSteps({ called: (_, step) => calls.push(step) });
  assertEquals(await engine.run(workflow, { id: COMPLETED, input: INPUT }), OUTPUT);
  assertEquals(calls, []);
});

function rowOf(id: string): string {
  return `workflow = ${keyOf(id)}`;
}

function keyOf(id: string): string {
  return `(SELECT workflow FROM workflows WHERE workflow_id = '${id}')`;
}
