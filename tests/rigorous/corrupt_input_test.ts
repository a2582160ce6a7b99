import { assert, assertEquals, assertRejects } from "@std/assert";
import { checkReplay, CorruptCheckpointError, Engine, workflow } from "@stepwell/stepwell";
import { inputChecksum, outcomeChecksum } from "../../engine/store/rows.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
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

Deno.test("an input or an output that is no JSON is found out where its checksum is right, too, and nothing else stops", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const id = "w";
  const calls: unknown[] = [];
  const note = workflow("note", (_, input: unknown) => calls.push(input));
  {
    await using engine = await Engine.open(file, { workflows: [note] });
    await engine.enqueue(note, { id, input: 1 });
    await engine.run(note, { id: "ended", input: 2 });
  }
  const stored = query(
    file,
    "SELECT seed, created_at FROM inputs JOIN workflows USING (workflow) WHERE workflow_id = 'w'",
  );
  const { seed, created_at: createdAt } = stored[0] as { seed: number; created_at: number };
  const inputJson = '{"amount":';
  const sum = inputChecksum({ workflowId: id, name: "note", inputJson, createdAt, seed });
  execute(file, `UPDATE inputs SET input_json = '${inputJson}', checksum = ${sum} WHERE ${rowOf(id)}`);
  const [{ at }] = query(file, "SELECT completed_at AS at FROM workflows WHERE workflow_id = 'ended'") as [
    { at: number },
  ];
  const outcome = { status: "completed", outputJson: "{", errorJson: null, at } as const;
  execute(
    file,
    `UPDATE workflows SET output_json = '{', checksum = ${outcomeChecksum("ended", outcome)} WHERE ${
      rowOf("ended")
    }`,
  );

  calls.length = 0;
  await using engine = await Engine.open(file, { workflows: [note] });
  const checks = await Array.fromAsync(checkReplay(file, { workflows: [note] }));
  assertEquals(checks.map(({ verdict }) => verdict), ["unreadable"]);
  const other = await engine.enqueue(note, { input: 3 });
  engine.work();
  const error = await assertRejects(() => engine.handle(id).result(), CorruptCheckpointError, "no value");
  assertEquals([error.key, (await engine.get(id))!.status], ["input", "blocked"]);
  const lost = await assertRejects(() => engine.handle("ended").result(), CorruptCheckpointError, "no value");
  assertEquals(lost.key, "outcome");
  await other.result();
  assertEquals(calls, [3]);
});

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
