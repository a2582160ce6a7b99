import { Engine, LeaseLostError, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { waiting } from "./waiting_workflow.ts";

/** All rows of a file, but those of executors. */
function contents(file: string): unknown {
  return ["workflows", "inputs", "checkpoints"].map((table) => query(file, `SELECT * FROM ${table}`));
}

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
