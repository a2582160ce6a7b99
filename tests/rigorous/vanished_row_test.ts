import { CorruptCheckpointError, Engine, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { eventually } from "../eventually.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("a workflow whose row of a running step vanished is blocked, and is not taken for another run's", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const gate = Promise.withResolvers<void>();
  const once = workflow("once", (ctx) => ctx.step("pay", () => gate.promise, { semantics: "at-most-once" }));
  await using engine = await Engine.open(file, { workflows: [once] });
  const handle = await engine.start(once, { id: "w" });
  await eventually(() => query(file, "SELECT 1 FROM checkpoints WHERE completion IS NULL").length === 1);
  execute(file, "DELETE FROM checkpoints");
  gate.resolve();
  const error = await assertRejects(() => handle.result(), CorruptCheckpointError);
  assertEquals([error.workflowId, error.key], ["w", "pay#000001"]);
  assertEquals(await handle.status(), "blocked");
});

Deno.test("what is found under an id is the workflow of that id, or an error that says that the index is damaged", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const job = workflow("job", () => "done");
  {
    await using engine = await Engine.open(file);
    for (const id of ["wf-1", "wf-2"]) await engine.enqueue(job, { id, queue: "q" });
  }
  const db = new DatabaseSync(file);
  db.exec("PRAGMA wal_checkpoint(TRUNCATE)");
  const name = "sqlite_autoindex_workflows_1";
  const page = Number(db.prepare("SELECT pageno FROM dbstat WHERE name = ?").get(name)!.pageno);
  db.close();
  const bytes = Deno.readFileSync(file);
  const text = new TextDecoder("latin1").decode(bytes.subarray((page - 1) * 4096, page * 4096));
  bytes[(page - 1) * 4096 + text.indexOf("wf-1") + 3] = "2".charCodeAt(0);
  Deno.writeFileSync(file, bytes);

  await using engine = await Engine.open(file, { workflows: [job] });
  engine.work();
  // The worker has found both rows without that index.
  await eventually(() =>
    query(file, "SELECT status FROM workflows NOT INDEXED").every(({ status }) => status === "completed")
  );
  const found = await Promise.allSettled(["wf-1", "wf-2"].map((id) => engine.handle(id).result()));
  const reasons = found.map((each) => each.status === "rejected" ? each.reason : each.value);
  assertEquals(
    reasons.some((reason) => reason instanceof CorruptCheckpointError || /Cannot find/.test(String(reason))),
    true,
  );
});
