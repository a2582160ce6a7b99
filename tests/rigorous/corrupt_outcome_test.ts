import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { CorruptCheckpointError, Engine } from "@stepwell/stepwell";
import { BYSTANDER, COMPLETED, CrashedFile, FAILED, VICTIM } from "./crashed_file.ts";
import { fourSteps, INPUT, OUTPUT } from "./four_steps.ts";
import { ShiftedClock } from "../shifted_clock.ts";
import { exactRows, spoil, SPOILED_NUMBERS, SPOILED_TEXTS } from "./spoiling.ts";

const HOUR_MS = 3_600_000;

/** Statuses that say something else of how a workflow ended, and what is no status at all. */
const OTHER_STATUSES = {
  "completed": () => "'completed'",
  "failed": () => "'failed'",
  "blocked": () => "'blocked'",
  "pending": () => "'pending'",
  "running": () => "'running'",
  "no status": () => "'complete'",
  "bytes": () => "CAST('completed' AS BLOB)",
};

/** What says how a workflow ended. */
const COLUMNS = [
  ["status", OTHER_STATUSES],
  ["completed_at", SPOILED_NUMBERS],
  ["output_json", SPOILED_TEXTS],
  ["error_json", SPOILED_TEXTS],
  ["checksum", SPOILED_NUMBERS],
] as const;

for (const id of [COMPLETED, FAILED]) {
  for (const [column, values] of COLUMNS) {
    Deno.test(`a workflow that has ${id} is refused where the ${column} of its outcome is not as it was written`, async () => {
      await using crashed = await CrashedFile.make();
      let spoiled = 0;
      for (const [what, value] of Object.entries(values)) {
        const file = await crashed.copy();
        if (!spoil(file, "workflows", column, value(column), `workflow_id = '${id}'`)) continue;
        spoiled++;
        await assertRefused(crashed, file, id, `${column} is ${what}`);
      }
      assert(spoiled > 0);
    });
  }
}

Deno.test("a workflow that is blocked stays so where its reason is not as it was written", async () => {
  await using crashed = await CrashedFile.make();
  const file = await crashed.copy();
  const calls: string[] = [];
  const workflow = fourSteps({ called: (_, step) => calls.push(step) });
  const clock = new ShiftedClock();
  clock.shiftMs = 3 * HOUR_MS;
  await using engine = await Engine.open(file, { clock, workflows: [workflow] });
  spoil(
    file,
    "checkpoints",
    "attempt",
    "7",
    `step_key LIKE 'first#%' AND workflow = (SELECT workflow FROM workflows WHERE workflow_id = '${VICTIM}')`,
  );
  await assertRejects(() => engine.run(workflow, { id: VICTIM }), CorruptCheckpointError, "first#000001");

  spoil(file, "workflows", "error_json", "'{}'", `workflow_id = '${VICTIM}'`);
  await assertRejects(() => engine.run(workflow, { id: VICTIM }), CorruptCheckpointError, "outcome");
  assertEquals(calls, []);

  crashed.restore(file, VICTIM);
  assertEquals(await (await engine.resume(VICTIM)).result(), OUTPUT);
  assertEquals(calls, ["fourth"]);
});

/** Asserts that nobody is told an outcome that is not as it was written, and that all is well once it is again. */
async function assertRefused(crashed: CrashedFile, file: string, id: string, what: string): Promise<void> {
  const rows = rowsOf(file, id);
  const calls: string[] = [];
  const workflow = fourSteps({ called: (id, step) => calls.push(`${id}/${step}`) });
  const clock = new ShiftedClock();
  clock.shiftMs = 3 * HOUR_MS;
  await using engine = await Engine.open(file, { clock, workflows: [workflow], durability: "normal" });

  for (const ask of [() => engine.run(workflow, { id }), () => engine.handle(id).result()]) {
    const error = await assertRejects(ask, CorruptCheckpointError, undefined, what);
    assertEquals([error.file, error.workflowId, error.key], [file, id, "outcome"], what);
    for (const part of [file, id, "outcome"]) assertStringIncludes(error.message, part);
  }
  assertEquals(rowsOf(file, id), rows, what);
  assertEquals(await engine.run(workflow, { id: BYSTANDER, input: INPUT }), OUTPUT, what);
  assertEquals(calls, [`${BYSTANDER}/fourth`], what);

  crashed.restore(file, id);
  const outcome = await engine.run(workflow, { id }).catch((error) => String(error));
  assertEquals(outcome, id === FAILED ? "RangeError: a negative amount" : OUTPUT, what);
}

function rowsOf(file: string, id: string): unknown {
  const key = `(SELECT workflow FROM workflows WHERE workflow_id = '${id}')`;
  return ["workflows", "inputs", "checkpoints"].map((table) => exactRows(file, table, `workflow = ${key}`));
}
