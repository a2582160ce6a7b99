import { Engine, workflow, WorkflowBusyError } from "@stepwell/stepwell";
import { assertEquals, assertGreaterOrEqual, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import type { Liveness } from "../../engine/store/database.ts";
import { Crash } from "../crash.ts";
import { CrashingDatabase } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { waiting } from "./waiting_workflow.ts";

Deno.test("a workflow that another process runs is busy, and the error says until when", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { definition, begun, go } = waiting();
  await using owner = await Engine.open(file, { clock, closeGrace: 0, zombieTimeout: "1m" });
  const handle = await owner.start(definition, { id: "w" });
  await eventually(() => begun.length === 1);
  await using other = await Engine.open(file, { clock, workflows: [definition] });
  for (const attempt of [() => other.run(definition, { id: "w" }), () => other.resume("w")]) {
    const error = await assertRejects(attempt, WorkflowBusyError);
    const { runId } = (await owner.get("w"))!;
    assertEquals(error.until, new Date(clock.now() + 60_000));
    assertEquals([error.workflowId, error.runId], ["w", runId]);
    assertEquals(error.message, `Cannot run "w": run "${runId}" owns it until ${error.until.toISOString()}`);
  }
  go[0]!.resolve("done");
  assertEquals([await handle.result(), begun.length], ["done", 1]);
  assertEquals(await other.run(definition, { id: "w" }), "done");
});

Deno.test("a workflow whose process is gone is taken over at once, long before its lease ends", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const crash = new Crash();
  const lost = workflow("lost", (ctx) => ctx.step("wait", () => crash.here()).then(() => "done"));
  await crash.happens(file, lost, { id: "l" }, { clock, zombieTimeout: "3d" });
  await using engine = await Engine.open(file, { clock, closeGrace: 0 });
  assertEquals(await engine.run(lost, { id: "l" }), "done");
});

Deno.test("a workflow whose process is gone is taken over at once by a process that was at work before, too", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const crash = new Crash();
  const lost = workflow("lost", (ctx) => ctx.step("wait", () => crash.here()).then(() => "done"));
  await using engine = await Engine.open(file, { clock });
  await engine.run(workflow("quick", () => {}));
  await crash.happens(file, lost, { id: "l" }, { clock, zombieTimeout: "3d" });
  assertEquals(await engine.run(lost, { id: "l" }), "done");
});

/** A database that is asked whether a process lives just as another one strikes that off. */
class SweptDatabase extends CrashingDatabase {
  probes = 0;

  override probeLock(executor: number): Liveness {
    if (this.probes++ > 0) return super.probeLock(executor);
    execute(this.location, `DELETE FROM executors WHERE executor = ${executor}`);
    return "alive";
  }
}

Deno.test("a workflow whose process is gone is not busy while another process strikes that off", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const lost = workflow("lost", (ctx) => ctx.step("wait", () => crash.here()).then(() => "done"));
  await crash.happens(file, lost, { id: "l" });
  let database: SweptDatabase;
  await using engine = Engine.openOn((settings, turns) =>
    database = new SweptDatabase(file, settings, turns, () => false)
  );
  await database!.open();
  assertEquals(await engine.run(lost, { id: "l" }), "done");
  assertGreaterOrEqual(database!.probes, 2);
});

Deno.test("a workflow whose process is gone is taken over at once, through whatever link its file was opened", async () => {
  await using folder = temporaryFolder();
  await using links = temporaryFolder();
  const file = folder.file("a.db");
  const link = links.file("link.db");
  for (const [before, after] of [[file, link], [link, file]] as const) {
    await Deno.remove(link).catch(() => {});
    const crash = new Crash();
    const id = before === file ? "one" : "two";
    const lost = workflow("lost", (ctx) => ctx.step("wait", () => crash.here()).then(() => "done"));
    // The second time, the file is made through the link.
    await Deno.remove(file).catch(() => {});
    if (before === file) await (await Engine.open(file)).close();
    await Deno.symlink(file, link);
    await crash.happens(before, lost, { id });
    await using engine = await Engine.open(after);
    assertEquals(await engine.run(lost, { id }), "done");
  }
});

Deno.test("a workflow whose process has closed its engine is taken over at once", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { definition, begun, go } = waiting();
  const first = await Engine.open(file, { clock, closeGrace: 0 });
  await first.start(definition, { id: "w" });
  await eventually(() => begun.length === 1);
  await first.close();
  await using second = await Engine.open(file, { clock, closeGrace: 0 });
  go[1]!.resolve("done");
  assertEquals(await second.run(definition, { id: "w" }), "done");
});

Deno.test("a process that does not answer keeps its workflow to the end of its lease, and no longer", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const stopped = new ManualClock();
  const clock = new ManualClock();
  const { definition, begun, go } = waiting();
  await using owner = await Engine.open(file, { clock: stopped, closeGrace: 0, zombieTimeout: "30s" });
  await owner.start(definition, { id: "w" });
  await eventually(() => begun.length === 1);
  await using other = await Engine.open(file, { clock, closeGrace: 0 });
  clock.advance(29_999);
  await assertRejects(() => other.run(definition, { id: "w" }), WorkflowBusyError);
  clock.advance(1);
  go[1]!.resolve("done by the other");
  assertEquals(await other.run(definition, { id: "w" }), "done by the other");
});

Deno.test("the lease is renewed while a workflow runs", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { definition, begun, go } = waiting();
  await using owner = await Engine.open(file, { clock, closeGrace: 0, zombieTimeout: "30s" });
  const handle = await owner.start(definition, { id: "w" });
  await eventually(() => begun.length === 1);
  await using other = await Engine.open(file, { clock, closeGrace: 0 });
  const owned = "SELECT lease_until FROM executors JOIN workflows USING (executor)";
  const leaseUntil = () => query(file, owned)[0]!.lease_until as number;
  for (let i = 0; i < 10; i++) {
    const before = leaseUntil();
    clock.advance(10_000);
    await eventually(() => leaseUntil() > before);
    assertLess(clock.now() + 20_000, leaseUntil() + 1);
    await assertRejects(() => other.run(definition, { id: "w" }), WorkflowBusyError);
  }
  go[0]!.resolve("done");
  assertEquals(await handle.result(), "done");
});

Deno.test("two processes that resume one lost workflow at once: one runs it, the other finds it busy", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  for (let round = 0; round < 5; round++) {
    const crash = new Crash();
    const runs = new Set<string>();
    const go = Promise.withResolvers<void>();
    const lost = workflow("lost", async (ctx) => {
      if (crash.passed) runs.add(ctx.runId);
      await ctx.step("wait", () => crash.here());
      await ctx.step("go", () => go.promise);
    });
    const id = `lost-${round}`;
    await crash.happens(file, lost, { id });
    await using one = await Engine.open(file);
    await using two = await Engine.open(file);
    const started = await Promise.allSettled([one.start(lost, { id }), two.start(lost, { id })]);
    const [winner] = started.filter((result) => result.status === "fulfilled");
    const [loser] = started.filter((result) => result.status === "rejected");
    assertInstanceOf(loser!.reason, WorkflowBusyError);
    go.resolve();
    await winner!.value.result();
    assertEquals(runs.size, 1);
  }
});

Deno.test("two processes that start one new id at once: one runs it, the other finds it busy", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using one = await Engine.open(file);
  await using two = await Engine.open(file);
  for (let round = 0; round < 10; round++) {
    const { definition, begun, go } = waiting();
    const id = `new-${round}`;
    const started = await Promise.allSettled([one.start(definition, { id }), two.start(definition, { id })]);
    assertEquals(started.map(({ status }) => status).sort(), ["fulfilled", "rejected"]);
    await eventually(() => begun.length === 1);
    go[0]!.resolve("done");
    assertEquals(await one.handle(id).result(), "done");
  }
});

Deno.test("a process that was lost while it owned nothing leaves nothing behind once another one works", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const quick = workflow("quick", () => "done");
  for (let i = 0; i < 3; i++) {
    const idle = await openMortal(file);
    await idle.engine.run(quick, { id: `${i}` });
    await idle.kill();
  }
  {
    await using engine = await Engine.open(file);
    await engine.run(quick);
  }
  assertEquals(query(file, "SELECT * FROM executors"), []);
  assertEquals(folder.names, ["a.db"]);
});
