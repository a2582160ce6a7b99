import { assertEquals } from "@std/assert";
import { Engine } from "@stepwell/stepwell";
import { execute } from "../raw_sqlite.ts";
import { ShiftedClock } from "../shifted_clock.ts";
import { assertBlocked } from "./assert_blocked.ts";
import { BYSTANDER, CrashedFile, VICTIM } from "./crashed_file.ts";
import { fourSteps, INPUT, OUTPUT } from "./four_steps.ts";

/** All columns of a checkpoint but its own key and where it belongs. */
const COLUMNS = [
  "kind",
  "status",
  "attempt",
  "started_at",
  "duration_ms",
  "next_attempt_at",
  "run",
  "output_json",
  "error_json",
  "checksum",
];

/** What is done to the rows of the victim, and the key that its error names. */
const DAMAGES: readonly { readonly what: string; readonly sql: string; readonly key: string }[] = [
  {
    what: "its first checkpoint is deleted",
    sql: `DELETE FROM checkpoints WHERE ${rowOf("first")}`,
    key: "second#000001",
  },
  {
    what: "a checkpoint in the middle is deleted",
    sql: `DELETE FROM checkpoints WHERE ${rowOf("second")}`,
    key: "third#000001",
  },
  {
    what: "all checkpoints but the last are deleted",
    sql: `DELETE FROM checkpoints WHERE ${rowOf("first")} OR ${rowOf("second")}`,
    key: "third#000001",
  },
  {
    what: "a checkpoint belongs to a workflow that does not exist",
    sql: `UPDATE checkpoints SET workflow = 4711 WHERE ${rowOf("second")}`,
    key: "third#000001",
  },
  {
    what: "the results of two steps are swapped",
    sql: swap(["output_json"], "first", "third"),
    key: "first#000001",
  },
  {
    what: "the results of two steps are swapped, with their checksums",
    sql: swap(["output_json", "checksum"], "first", "third"),
    key: "first#000001",
  },
  {
    what: "all that two steps have is swapped but their keys and their places",
    sql: swap(COLUMNS, "first", "second"),
    key: "first#000001",
  },
  {
    what: "the keys of two steps are swapped",
    sql: swap(["step_key"], "first", "third"),
    key: "third#000001",
  },
  {
    what: "the places of two steps are swapped",
    sql: `UPDATE checkpoints SET completion = 99 WHERE ${rowOf("first")};
      UPDATE checkpoints SET completion = 1 WHERE ${rowOf("third")};
      UPDATE checkpoints SET completion = 3 WHERE ${rowOf("first")};`,
    key: "third#000001",
  },
  {
    what: "a checkpoint is that of the same step of another workflow",
    sql: `UPDATE checkpoints SET (${COLUMNS}) =
        (SELECT ${COLUMNS} FROM checkpoints WHERE ${rowOf("first", BYSTANDER)})
      WHERE ${rowOf("first")}`,
    key: "first#000001",
  },
  {
    what: "a checkpoint is there twice, the second time as the last",
    sql: duplicate("first", "4"),
    key: "first#000001",
  },
  {
    what: "a checkpoint is there twice, the second time without a place",
    sql: duplicate("first", "NULL"),
    key: "first#000001",
  },
  {
    what: "the row of a step that runs is there twice",
    sql: duplicate("fourth", "NULL"),
    key: "fourth#000001",
  },
];

for (const { what, sql, key } of DAMAGES) {
  Deno.test(`a workflow is blocked where ${what}`, async () => {
    await using crashed = await CrashedFile.make();
    const file = await crashed.copy();
    execute(file, sql);
    await assertBlocked(crashed, file, { what, key });
  });
}

Deno.test("a workflow whose last checkpoints are deleted is what it was before them: they might never have been written", async () => {
  await using crashed = await CrashedFile.make();
  const file = await crashed.copy();
  execute(file, `DELETE FROM checkpoints WHERE ${rowOf("third")} OR ${rowOf("fourth")}`);
  assertEquals(await stepsCalled(file), ["third", "fourth"]);
});

Deno.test("a workflow does not depend on the keys of its rows", async () => {
  await using crashed = await CrashedFile.make();
  const file = await crashed.copy();
  execute(file, `UPDATE checkpoints SET checkpoint = 1000 - checkpoint WHERE ${ofWorkflow(VICTIM)}`);
  assertEquals(await stepsCalled(file), ["fourth"]);
});

/** Takes the victim to its end. @returns the steps whose functions were called */
async function stepsCalled(file: string): Promise<string[]> {
  const calls: string[] = [];
  const clock = new ShiftedClock();
  clock.shiftMs = 3 * 3_600_000;
  await using engine = await Engine.open(file, { clock });
  const workflow = fourSteps({ called: (_, step) => calls.push(step) });
  assertEquals(await engine.run(workflow, { id: VICTIM, input: INPUT }), OUTPUT);
  return calls;
}

function ofWorkflow(id: string): string {
  return `workflow = (SELECT workflow FROM workflows WHERE workflow_id = '${id}')`;
}

function rowOf(step: string, id = VICTIM): string {
  return `${ofWorkflow(id)} AND step_key = '${step}#000001'`;
}

/** Adds a row like that of a step, at another place in the order of completions. */
function duplicate(step: string, completion: string): string {
  return `INSERT INTO checkpoints (workflow, step_key, completion, ${COLUMNS})
    SELECT workflow, step_key, ${completion}, ${COLUMNS} FROM checkpoints WHERE ${rowOf(step)}`;
}

/** Has two steps exchange what they have in some columns. */
function swap(columns: string[], step: string, other: string): string {
  const find = (step: string) =>
    `checkpoint = (SELECT checkpoint FROM places WHERE step_key = '${step}#000001')`;
  return `
    CREATE TEMP TABLE places AS SELECT checkpoint, step_key FROM checkpoints WHERE ${ofWorkflow(VICTIM)};
    CREATE TEMP TABLE kept AS SELECT ${columns} FROM checkpoints WHERE ${find(step)};
    UPDATE checkpoints SET (${columns}) = (SELECT ${columns} FROM checkpoints WHERE ${find(other)})
    WHERE ${find(step)};
    UPDATE checkpoints SET (${columns}) = (SELECT ${columns} FROM kept) WHERE ${find(other)};`;
}
