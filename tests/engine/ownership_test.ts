import { Engine, LeaseLostError, workflow, WorkflowBusyError } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertLess, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** A workflow of one step that waits to be let go, in each engine that runs it. */
function waiting() {
  const begun: AbortSignal[] = [];
  const go = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const errors: unknown[] = [];
  const definition = workflow("waiting", async (ctx) => {
    ctx.signal.addEventListener("abort", () => errors.push(ctx.signal.reason));
    return await ctx.step("wait", ({ signal }) => go[begun.push(signal) - 1]!.promise);
  });
  return { definition, begun, go, errors };
}

/** All rows of a file, but those of executors. */
function contents(file: string): unknown {
  return ["workflows", "inputs", "checkpoints"].map((table) => query(file, `SELECT * FROM ${table}`));
}

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

Deno.test("a process that lost its lease changes nothing, and its function is aborted with LeaseLostError", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { definition, begun, go, errors } = waiting();
  await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
  const lost = await zombie.start(definition, { id: "w" });
  await eventually(() => begun.length === 1);
  clock.advance(60_000);
  await using owner = await Engine.open(file, { clock, closeGrace: 0 });
  const handle = await owner.start(definition, { id: "w" });
  await eventually(() => begun.length === 2);

  const before = contents(file);
  go[0]!.resolve("by a zombie");
  const error = await assertRejects(() => lost.result(), LeaseLostError);
  assertEquals(
    error.message,
    `Cannot record step "wait#000001" of workflow "w": the lease of run "${error.runId}" has passed to another run`,
  );
  assertEquals(contents(file), before);
  assertEquals(errors, [error]);
  assert(!begun[1]!.aborted);
  go[1]!.resolve("by its owner");
  assertEquals(await handle.result(), "by its owner");
});

Deno.test("a process that lost its lease can record no outcome, no failed attempt and no block either", async () => {
  const ends: Record<string, (wait: Promise<string>) => Promise<unknown>> = {
    output: (wait) => wait,
    error: (wait) => wait.then(() => Promise.reject(new Error("No"))),
  };
  for (const [name, end] of Object.entries(ends)) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock();
    const go = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
    let begun = 0;
    const ending = workflow("ending", () => end(go[begun++]!.promise));
    await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
    const lost = await zombie.start(ending, { id: "e" });
    await eventually(() => begun === 1);
    clock.advance(60_000);
    await using owner = await Engine.open(file, { clock, closeGrace: 0 });
    const handle = await owner.start(ending, { id: "e" });
    await eventually(() => begun === 2);
    const before = contents(file);
    go[0]!.resolve("by a zombie");
    await assertRejects(() => lost.result(), LeaseLostError, "Cannot record the outcome", name);
    assertEquals(contents(file), before);
    go[1]!.resolve("by its owner");
    await handle.result().catch(() => {});
    assertEquals(await handle.status(), name === "output" ? "completed" : "failed");
  }

  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { begun, go } = waiting();
  const retrying = workflow(
    "retrying",
    (ctx) =>
      ctx.step("wait", ({ signal }) => go[begun.push(signal) - 1]!.promise, { retry: { maxAttempts: 9 } }),
  );
  await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
  const lost = await zombie.start(retrying, { id: "r" });
  await eventually(() => begun.length === 1);
  clock.advance(60_000);
  await using owner = await Engine.open(file, { clock, closeGrace: 0 });
  const handle = await owner.start(retrying, { id: "r" });
  await eventually(() => begun.length === 2);
  const before = contents(file);
  go[0]!.reject(new Error("A zombie's failure"));
  await assertRejects(() => lost.result(), LeaseLostError);
  assertEquals(contents(file), before);
  go[1]!.resolve("by its owner");
  assertEquals(await handle.result(), "by its owner");
});

Deno.test("steps that still run when the lease is lost have their signals aborted", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const go = Promise.withResolvers<void>();
  const signals: AbortSignal[] = [];
  const parallel = workflow("parallel", (ctx) =>
    ctx.all([
      (ctx) => ctx.step("quick", () => go.promise),
      (ctx) => ctx.step("slow", ({ signal }) => new Promise<void>(() => void signals.push(signal))),
    ]));
  await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
  const lost = await zombie.start(parallel, { id: "p" });
  await eventually(() => signals.length === 1);
  clock.advance(60_000);
  await using owner = await Engine.open(file, { clock, closeGrace: 0 });
  await owner.start(parallel, { id: "p" });
  go.resolve();
  await assertRejects(() => lost.result(), LeaseLostError);
  assertInstanceOf(signals[0]!.reason, LeaseLostError);
});

Deno.test("steps that a workflow asks for after it has lost its lease are refused with LeaseLostError", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const go = Promise.withResolvers<string>();
  const seen: unknown[] = [];
  let calls = 0;
  const stubborn = workflow("stubborn", async (ctx) => {
    await ctx.step("wait", () => calls++ === 0 ? go.promise : "done").catch((error) => seen.push(error));
    if (seen.length > 0) await ctx.step("more", () => calls++).catch((error) => seen.push(error));
  });
  await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
  const lost = await zombie.start(stubborn, { id: "s" });
  await eventually(() => calls === 1);
  clock.advance(60_000);
  await using owner = await Engine.open(file, { clock, closeGrace: 0 });
  await owner.run(stubborn, { id: "s" });
  go.resolve("by a zombie");
  await assertRejects(() => lost.result(), LeaseLostError);
  await eventually(() => seen.length === 2);
  for (const error of seen) assertInstanceOf(error, LeaseLostError);
  assertEquals(calls, 2);
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
    const runs: string[] = [];
    const go = Promise.withResolvers<void>();
    const lost = workflow("lost", async (ctx) => {
      if (crash.passed) runs.push(ctx.runId);
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
    assertEquals(runs.length, 1);
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
