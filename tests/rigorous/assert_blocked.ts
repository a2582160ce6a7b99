import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { quote } from "../../engine/quote.ts";
import { CorruptCheckpointError, Engine } from "@stepwell/stepwell";
import { ShiftedClock } from "../shifted_clock.ts";
import { BYSTANDER, type CrashedFile, VICTIM } from "./crashed_file.ts";
import { fourSteps, INPUT, OUTPUT } from "./four_steps.ts";
import { exactRows } from "./spoiling.ts";

const HOUR_MS = 3_600_000;
const TABLES = ["checkpoints", "inputs"];

/** What {@linkcode assertBlocked} looks for. */
export interface Blocked {
  /** What the error must name. By default any key will do. */
  readonly key?: string;
  /** What has been done to the file. */
  readonly what: string;
}

/**
 * Asserts all that must hold where something of the victim is not as it was written: it is blocked, its error says
 * where, none of its steps runs, nothing of it is overwritten, another workflow goes on; and once the rows are as they
 * were, so does the victim.
 */
export async function assertBlocked(
  crashed: CrashedFile,
  file: string,
  { key, what }: Blocked,
): Promise<void> {
  const rows = ofVictim(file);
  const calls: string[] = [];
  const workflow = fourSteps({ called: (id, step) => calls.push(`${id}/${step}`) });
  const clock = new ShiftedClock();
  clock.shiftMs = 3 * HOUR_MS;
  await using engine = await Engine.open(file, { clock, workflows: [workflow], durability: "normal" });

  for (const _ of ["found", "remembered"]) {
    const error = await assertRejects(
      () => engine.run(workflow, { id: VICTIM, input: INPUT }),
      CorruptCheckpointError,
      undefined,
      what,
    );
    assertEquals([error.file, error.workflowId, error.key], [file, VICTIM, key ?? error.key], what);
    for (const part of [file, VICTIM, error.key]) assertStringIncludes(error.message, quote(part));
  }
  assertEquals((await engine.get(VICTIM))!.status, "blocked", what);
  assertEquals(calls, [], what);
  assertEquals(ofVictim(file), rows, what);

  assertEquals(await engine.run(workflow, { id: BYSTANDER, input: INPUT }), OUTPUT, what);
  assertEquals(calls.splice(0), [`${BYSTANDER}/fourth`], what);

  crashed.restore(file, VICTIM);
  assertEquals(await (await engine.resume(VICTIM)).result(), OUTPUT, what);
  assertEquals(calls, [`${VICTIM}/fourth`], what);
}

function ofVictim(file: string): unknown {
  const its = `workflow = (SELECT workflow FROM workflows WHERE workflow_id = '${VICTIM}')`;
  return TABLES.map((table) => exactRows(file, table, its));
}
