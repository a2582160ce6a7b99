import { Engine, queue, workflow, WorkflowNotFoundError } from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const second = (from: number) => new Date(from + 1_000);

Deno.test("why() of a workflow that waits says for what, since and until when", async () => {
  const clock = new ManualClock();
  const now = clock.now();
  const child = workflow("child", (ctx) => ctx.waitForSignal("go"));
  const waiter = workflow("waiter", async (ctx) => {
    await ctx.all([
      (ctx) => ctx.sleep("1h"),
      (ctx) => ctx.waitForSignal("decided", { timeout: "1d" }),
      (ctx) => ctx.child(child, { id: "c" }),
    ]);
  });
  await using engine = await Engine.open(":memory:", {
    clock,
    workflows: [child, waiter],
    alwaysReplay: true,
  });
  await engine.start(waiter, { id: "w" });
  await eventually(async () => (await engine.handle("w").status()) === "waiting");
  const { reason, waitsFor, movesOn, status, since } = await engine.why("w");
  const hour = new Date(now + 3_600_000);
  const day = new Date(now + 86_400_000);
  assertEquals([status, since], ["waiting", new Date(now)]);
  assertEquals(
    reason,
    `It waits for the time ${hour.toISOString()}, signal "decided" until ${day.toISOString()}, ` +
      `the end of child "c"`,
  );
  const at = new Date(now);
  assertEquals(waitsFor, [
    { kind: "time", key: waitsFor[0]!.key!, since: at, until: hour },
    { kind: "signal", key: "signal:decided#000001", name: "decided", since: at, until: day },
    { kind: "child", key: waitsFor[2]!.key!, name: "c", since: at },
  ]);
  assertEquals(movesOn, [
    `The time ${hour.toISOString()}`,
    `engine.signal() with the name "decided", or ${day.toISOString()}`,
    'The end of workflow "c"',
  ]);
});

Deno.test("why() of a workflow that runs says who holds it, and which step runs", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  const gated = workflow("gated", (ctx) => ctx.step("gate", () => gate.promise));
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  const handle = await engine.start(gated, { id: "g" });
  await eventually(async () => {
    clock.advance(10);
    return (await engine.why("g")).waitsFor.length === 1;
  });
  const { reason, heldBy, waitsFor, movesOn } = await engine.why("g");
  assertMatch(reason, new RegExp(`^It is run by run r_[0-9a-f]{12} of process ${Deno.pid}$`));
  assertMatch(heldBy!.executorId, /^e_[0-9a-f]{12}$/);
  assertEquals([heldBy!.pid, heldBy!.state], [Deno.pid, "alive"]);
  assert(heldBy!.leaseUntil!.getTime() > clock.now());
  assertEquals([waitsFor[0]!.kind, waitsFor[0]!.key], ["step", "gate#000001"]);
  assertEquals(movesOn, ['The end of step "gate#000001", attempt 1']);
  gate.resolve();
  await handle.result();
  assertEquals((await engine.why("g")).reason, "It has ended: completed");
});

Deno.test("why() of a workflow whose process is gone, or that nobody runs, says that a process is wanted", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, workflow("lost", (ctx) => ctx.step("at", () => crash.here())), { id: "l" });
  await using engine = await Engine.open(file);
  const lost = await engine.why("l");
  assertMatch(lost.reason, /^It was run by run r_[0-9a-f]{12} of process \d+, which is gone$/);
  assertEquals([lost.heldBy!.state, lost.waitsFor[0]!.kind], ["gone", "process"]);
  assertEquals(lost.movesOn, ['A process that works and has the code of workflow "lost": none runs now']);

  {
    await using other = await Engine.open(file, { closeGrace: 0 });
    await other.start(workflow("stuck", (ctx) => ctx.step("stuck", () => new Promise<void>(() => {}))), {
      id: "p",
    });
  }
  await using worker = await Engine.open(file, { workflows: [workflow("unrelated", () => {})] });
  worker.work();
  await eventually(async () => (await engine.executors()).some(({ state }) => state === "alive"));
  const pending = await engine.why("p");
  assertEquals([pending.status, pending.reason], [
    "pending",
    'It was stopped at a checkpoint, and no living process has the code of workflow "stuck"',
  ]);
  assertMatch(pending.movesOn[0]!, /: none of the 1 that live has it$/);
});

Deno.test("why() says of which workflow and version no living process has the code, who has it, and who does not work", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const first = workflow("w", { version: "1" }, (ctx) => ctx.waitForSignal("go"));
  await using engine = await Engine.open(file);
  await engine.enqueue("w", { id: "old", version: "1", queue: "q" });
  const movesOn = async () => (await engine.why("old")).movesOn[0]!;
  const wanted = 'A process that works and has the code of workflow "w", version "1": ';
  assertEquals(await movesOn(), wanted + "none runs now");

  await using second = await Engine.open(file, { workflows: [workflow("w", { version: "2" }, () => {})] });
  second.work();
  await eventually(async () => (await engine.executors()).length === 1);
  assertMatch(
    (await engine.why("old")).reason,
    /no living process has the code of workflow "w", version "1"$/,
  );
  assertEquals(await movesOn(), wanted + "none of the 1 that live has it");

  await using idle = await Engine.open(file, { workflows: [first] });
  await idle.start(first, { id: "mine" });
  assertEquals(await movesOn(), wanted + "1 process has the code, and none works");
  idle.work({ queues: ["other"] });
  await eventually(async () => (await engine.executors()).filter(({ isWorking }) => isWorking).length === 2);
  assertEquals(await movesOn(), wanted + '1 process has it, and none works on queue "q"');
  assertEquals((await engine.executors()).find(({ queues }) => queues !== undefined)!.workflows, [
    { name: "w", version: "1" },
  ]);
});

Deno.test("why() of a copied file says that there is no sign of the process but its lease", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const gate = Promise.withResolvers<void>();
  const gated = workflow("gated", (ctx) => ctx.step("gate", () => gate.promise));
  await using engine = await Engine.open(folder.file("a.db"), { clock });
  await engine.start(gated, { id: "g" });
  for (const part of ["", "-wal"]) {
    await Deno.copyFile(folder.file(`a.db${part}`), folder.file(`copy.db${part}`));
  }
  await using copy = await Engine.open(folder.file("copy.db"), { clock });
  const { reason, waitsFor, movesOn, heldBy } = await copy.why("g");
  assertMatch(reason, /^It was run by run r_\w+ of process \d+, of which there is no sign but a lease/);
  assertEquals([heldBy!.state, waitsFor[0]!.kind], ["unknown", "process"]);
  assertMatch(movesOn[0]!, /from 2030-01-01T00:00:30.000Z on, when the lease ends$/);
  clock.advance(30_000);
  assertMatch((await copy.why("g")).reason, /which is gone$/);
  gate.resolve();
  await engine.handle("g").result();
});

Deno.test("why() of a workflow in a queue says what keeps it from its turn, and how many are before it", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const now = clock.now();
  const gate = Promise.withResolvers<void>();
  const gated = workflow("gated", (ctx) => ctx.step("gate", () => gate.promise));
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [gated] });
  engine.work();
  const run = async (name: string, limits: Parameters<typeof queue>[1]) => {
    const limited = queue(name, limits);
    const first = await engine.enqueue(gated, { queue: limited, partition: "p" });
    await eventually(async () => (await first.status()) === "running");
    for (const id of ["one", "two"]) {
      await engine.enqueue(gated, { queue: limited, id: `${name}-${id}`, partition: "p" });
    }
    const { reason, queue: place, waitsFor } = await engine.why(`${name}-two`);
    assertEquals([place, waitsFor[0]!.kind], [{ name, ahead: 1 }, "turn"]);
    return reason;
  };
  assertMatch(await run("all", { concurrency: 1 }), /its concurrency allows for$/);
  assertMatch(await run("parts", { partitionConcurrency: 1 }), /partitionConcurrency allows for$/);
  assertMatch(await run("rated", { rate: { limit: 1, period: "1h" } }), /rate allows for$/);
  await engine.enqueue("nobody", { id: "n", queue: "free" });
  assertEquals(
    (await engine.why("n")).reason,
    'It waits in queue "free" for its turn, and no living process has the code of workflow "nobody"',
  );
  await engine.enqueue("nobody", { id: "d", queue: "free", delay: "1s" });
  const delayed = await engine.why("d");
  assertEquals(delayed.waitsFor, [
    { kind: "time", name: "free", since: new Date(now), until: second(now) },
  ]);
  gate.resolve();
});

Deno.test("why() of a workflow that failed or is blocked says why, and what helps", async () => {
  await using engine = await Engine.open(":memory:");
  const failing = workflow("failing", () => {
    throw new RangeError("No such card");
  });
  await assertRejects(() => engine.run(failing, { id: "f" }));
  const failed = await engine.why("f");
  assertEquals([failed.reason, failed.error!.message], ["It has ended: failed", "No such card"]);
  assertMatch(failed.movesOn[0]!, /engine\.retry\(\)/);

  await engine.enqueue("w", { id: "p" });
  await engine.pause("p");
  const paused = await engine.why("p");
  assertMatch(paused.reason, /^It is blocked: .* it was paused/);
  assertEquals([paused.waitsFor[0]!.kind, paused.error!.name], ["person", "WorkflowPausedError"]);
  await assertRejects(() => engine.why("none"), WorkflowNotFoundError);
});
