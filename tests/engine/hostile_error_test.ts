import { CorruptCheckpointError, Engine, type Workflow, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { outcomeChecksum, type WorkflowOutcome } from "../../engine/store/rows.ts";
import { checkpointChecksum, readCheckpoint } from "../../engine/store/rows.ts";
import { eventually } from "../eventually.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Texts that are no error, as they may stand in a file under a checksum that is right for them. */
const HOSTILE = [
  "5",
  "null",
  "[]",
  "{}",
  '"text"',
  '{"name":{},"message":"x"}',
  '{"name":"Error"}',
  '{"name":"Error","message":5}',
  '{"name":"Error","message":"x","stack":[]}',
  '{"name":"Error","message":"x","code":{}}',
  '{"name":"Error","message":"x","cause":5}',
  '{"name":"Error","message":"x","cause":null}',
  '{"name":"Error","message":"x","errors":{"length":1e9}}',
  '{"name":"AggregateError","message":"x","errors":[null]}',
  '{"name":"Error","message":"x","thrown":{}}',
  '{"name":"Error","message":"x","fields":[]}',
  '{"name":"Error","message":"x","completion":1e300}',
  '{"name":"Error","message":"x","error":7}',
  '{"name":"Error","message":"x","cause":'.repeat(5_000) + "1" + "}".repeat(5_000),
  "{",
  "",
];

const failing = workflow("failing", async (ctx) => {
  await ctx.step("fail", () => Promise.reject(new Error("No"))).catch(() => {});
  await ctx.waitForSignal("go");
  throw new Error("At last");
});

/** Gives the outcome of a workflow another error, and the checksum that is right for it. */
function setOutcome(file: string, id: string, status: WorkflowOutcome["status"], errorJson: string): void {
  const db = new DatabaseSync(file);
  const row = db.prepare("SELECT * FROM workflows WHERE workflow_id = ?").get(id)!;
  const at = Number(status === "blocked" ? row.updated_at : row.completed_at ?? row.updated_at);
  const checksum = outcomeChecksum(id, { status, outputJson: null, errorJson, at });
  db.prepare(
    `UPDATE workflows SET status = ?, error_json = ?, checksum = ?, completed_at = ?, due_at = NULL,
      output_json = NULL, executor = NULL WHERE workflow_id = ?`,
  ).run(status, errorJson, checksum, status === "blocked" ? null : at, id);
  db.close();
}

/** Likewise of a step. */
function setStepError(file: string, id: string, key: string, errorJson: string): void {
  const db = new DatabaseSync(file);
  const row = db.prepare(
    "SELECT c.* FROM checkpoints c JOIN workflows w USING (workflow) WHERE workflow_id = ? AND step_key = ?",
  ).get(id, key) as Parameters<typeof readCheckpoint>[1];
  const { checkpoint } = readCheckpoint(id, row);
  const checksum = checkpointChecksum(id, { ...checkpoint, errorJson });
  db.prepare(
    `UPDATE checkpoints SET error_json = ?, checksum = ?
      WHERE step_key = ? AND workflow = (SELECT workflow FROM workflows WHERE workflow_id = ?)`,
  ).run(errorJson, checksum, key, id);
  db.close();
}

/** A file with a workflow that waits for a signal, its engine closed. */
async function prepare(file: string, id: string): Promise<void> {
  await using engine = await Engine.open(file, { workflows: [failing] });
  const handle = await engine.start(failing, { id });
  while (await handle.status() !== "waiting") await new Promise((resolve) => setTimeout(resolve, 1));
}

async function assertCorrupt(
  act: () => Promise<unknown>,
  file: string,
  id: string,
  key: string,
): Promise<void> {
  const error = await assertRejects(act, CorruptCheckpointError);
  assertEquals([error.file, error.workflowId, error.key], [file, id, key]);
  assertEquals(error.message.length < 2_000, true);
}

Deno.test("an outcome that is no error under a right checksum is a CorruptCheckpointError wherever it is read", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, "f");
  for (const status of ["failed", "blocked"] as const) {
    for (const errorJson of HOSTILE) {
      setOutcome(file, "f", status, errorJson);
      await using engine = await Engine.open(file, { workflows: [failing] });
      await assertCorrupt(() => engine.handle("f").result(), file, "f", "outcome");
      await assertCorrupt(() => engine.run(failing, { id: "f" }), file, "f", "outcome");
      if (status === "failed") await assertCorrupt(() => engine.retry("f"), file, "f", "outcome");
      // People may look at it all the same.
      assertEquals((await engine.get("f"))!.status, status);
      assertEquals((await engine.list()).length, 1);
      assertEquals((await engine.why("f")).status, status);
    }
  }
});

Deno.test("what is stored as the reason of a block must be one: another error blocks as corrupt", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, "f");
  for (const errorJson of ['{"name":"Error","message":"x"}', '{"name":"Thrown","message":"5","thrown":5}']) {
    setOutcome(file, "f", "blocked", errorJson);
    await using engine = await Engine.open(file, { workflows: [failing] });
    await assertCorrupt(() => engine.handle("f").result(), file, "f", "outcome");
    await assertCorrupt(() => engine.run(failing, { id: "f" }), file, "f", "outcome");
  }
});

Deno.test("a step's error that is none under a right checksum blocks its workflow, and no other", async () => {
  await using folder = temporaryFolder();
  for (const [i, errorJson] of HOSTILE.entries()) {
    const file = folder.file(`${i}.db`);
    await prepare(file, "f");
    setStepError(file, "f", "fail#000001", errorJson);
    await using engine = await Engine.open(file, { workflows: [failing] });
    await engine.signal("f", "go");
    await assertCorrupt(() => engine.run(failing, { id: "f" }), file, "f", "fail#000001");
    assertEquals(await engine.handle("f").status(), "blocked");
    const { steps } = (await engine.get("f"))!;
    assertEquals(steps.some(({ error }) => error !== undefined), true);
  }
});

Deno.test("what tells a workflow that it is cancelled must be an error", async () => {
  await using folder = temporaryFolder();
  for (const [i, errorJson] of [...HOSTILE, '{"name":"Thrown","message":"5","thrown":5}'].entries()) {
    const file = folder.file(`${i}.db`);
    const stubborn: Workflow<void, string> = workflow("stubborn", async (ctx) => {
      await ctx.sleep("1h").catch(() => {});
      return await new Promise<string>(() => {});
    });
    {
      await using engine = await Engine.open(file, { workflows: [stubborn], closeGrace: 0 });
      const handle = await engine.start(stubborn, { id: "s" });
      handle.result().catch(() => {});
      await handle.cancel();
      const sql = "SELECT count(*) AS n FROM steps WHERE step_key = 'cancel'";
      while (query(file, sql)[0]!.n !== 1) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    setStepError(file, "s", "cancel", errorJson);
    await using engine = await Engine.open(file, { workflows: [stubborn] });
    await assertCorrupt(() => engine.run(stubborn, { id: "s" }), file, "s", "cancel");
  }
});

Deno.test("a child whose error is none under a right checksum blocks its parent, which names the child", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const parent = workflow("parent", (ctx) => ctx.child(failing, { id: "c" }));
  {
    await using engine = await Engine.open(file, { workflows: [parent, failing] });
    await engine.start(parent, { id: "p" });
    await eventually(async () => (await engine.get("c"))?.status === "waiting");
    await eventually(async () => (await engine.get("p"))?.status === "waiting");
  }
  {
    // The child ends where its parent has no code.
    await using engine = await Engine.open(file, { workflows: [failing] });
    await engine.signal("c", "go");
    await assertRejects(() => engine.run(failing, { id: "c" }), Error, "At last");
  }
  setOutcome(file, "c", "failed", "5");
  await using engine = await Engine.open(file, { workflows: [parent, failing] });
  await assertCorrupt(() => engine.run(parent, { id: "p" }), file, "c", "outcome");
  assertEquals(await engine.handle("p").status(), "blocked");
});
