import { Engine, StoreBusyError, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { startChild } from "../child_process.ts";
import { accounts, move, openAccounts } from "../engine/accounts.ts";
import { eventually } from "../eventually.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const WORKER = import.meta.resolve("./held_transfer_worker.ts");
const UNTOUCHED = { ada: 100, grace: 0, moves: [] };

/** Windows knows no way to pause a process. */
const ignore = Deno.build.os === "windows";
if (ignore) console.log("tests of paused processes are skipped: there are no signals SIGSTOP and SIGCONT");

const held = workflow("held", (ctx) => ctx.transaction("move", (tx) => move(tx, ctx.workflowId)));

async function newFile(path: string): Promise<string> {
  await using engine = await Engine.open(path);
  await openAccounts(engine);
  return path;
}

Deno.test({
  name:
    "a process that is paused inside a transaction for longer than its time changes nothing when it wakes up",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = await newFile(folder.file("a.db"));
    await using worker = startChild(WORKER, file, "300ms");
    await worker.line("inside");
    worker.kill("SIGSTOP");
    const until = Date.now() + 300;

    // Until then nobody else writes to the file.
    await using engine = await Engine.open(file, { busyTimeout: "50ms" });
    await assertRejects(() => engine.transaction((tx) => move(tx, "another")), StoreBusyError);
    await eventually(() => Date.now() > until);
    assertEquals(accounts(file), UNTOUCHED);

    worker.kill("SIGCONT");
    await worker.say("go on");
    assertStringIncludes(await worker.line("failed: "), "TransactionTimeoutError");
    assertStringIncludes(await worker.line("refused: "), "TransactionTimeoutError");
    await worker.line("closed");
    assertEquals(accounts(file), UNTOUCHED);
    await engine.transaction((tx) => move(tx, "another"));
    assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["another"] });
  },
});

Deno.test({
  name: "a process that is killed while it is paused inside a transaction lets others go on at once",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = await newFile(folder.file("a.db"));
    await using worker = startChild(WORKER, file, "1h");
    await worker.line("inside");
    worker.kill("SIGSTOP");
    await using engine = await Engine.open(file, { workflows: [held] });
    const result = engine.run(held, { id: "held" }).catch((error) => error);
    worker.kill("SIGKILL");
    await worker.ended();
    await result;
    assertEquals(await engine.run(held, { id: "held" }), 70);
    assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["held"] });
    assertEquals(query(file, "SELECT status FROM steps"), [{ status: "completed" }]);
  },
});
