import { Engine, EngineClosedError, queue, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("close() lets running steps finish, commits them, and begins no other", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const engine = await Engine.open(file);
  const go = Promise.withResolvers<void>();
  const calls: string[] = [];
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {
      calls.push("first");
      return go.promise;
    });
    await ctx.step("second", () => calls.push("second"));
    return "done";
  });
  const handle = await engine.start(two, { id: "t" });
  const result = handle.result();
  await eventually(() => calls.length === 1);
  const closed = engine.close();
  go.resolve();
  await assertRejects(
    () => result,
    EngineClosedError,
    'Cannot go on with workflow "t": its engine was closed',
  );
  await closed;
  assertEquals(calls, ["first"]);
  assertEquals(query(file, "SELECT step_key, status FROM steps"), [{
    step_key: "first#000001",
    status: "completed",
  }]);
  assertEquals(query(file, "SELECT status, executor FROM workflows"), [{
    status: "pending",
    executor: null,
  }]);

  await using next = await Engine.open(file);
  assertEquals(await next.run(two, { id: "t" }), "done");
  assertEquals(calls, ["first", "second"]);
});

Deno.test("close() waits no longer than closeGrace, and aborts what still runs", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const engine = await Engine.open(folder.file("a.db"), { clock, closeGrace: "5s" });
  const signals: AbortSignal[] = [];
  const stuck = workflow(
    "stuck",
    (ctx) => ctx.step("stuck", ({ signal }) => new Promise<void>(() => void signals.push(signal))),
  );
  const handle = await engine.start(stuck, { id: "s" });
  await eventually(() => signals.length === 1);
  const rejected = assertRejects(() => handle.result(), EngineClosedError);
  const closed = engine.close();
  assertEquals(await clock.nextTimer(), 5_000);
  clock.advance(4_999);
  assert(!signals[0]!.aborted);
  clock.advance(1);
  await Promise.all([rejected, closed]);
  assertInstanceOf(signals[0]!.reason, EngineClosedError);
});

Deno.test("close() does not wait for a step that waits for its next attempt", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const engine = await Engine.open(file, { clock });
  const attempts: number[] = [];
  const flaky = workflow("flaky", (ctx) =>
    ctx.step("call", ({ attempt }) => {
      attempts.push(attempt);
      if (attempt === 1) throw new Error("No");
    }, { retry: { maxAttempts: 2, initialInterval: "1h", jitter: 0 } }));
  await engine.start(flaky, { id: "f" });
  await clock.nextTimer();
  await engine.close();
  assertEquals(clock.timers, []);

  await using next = await Engine.open(file, { clock });
  const handle = await next.start(flaky, { id: "f" });
  assertEquals(await clock.nextTimer(), 3_600_000);
  clock.advance(3_600_000);
  await handle.result();
  assertEquals(attempts, [1, 2]);
});

Deno.test("close() makes no attempt that comes due meanwhile, and waits no longer for it", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const engine = await Engine.open(folder.file("a.db"), { clock, closeGrace: "10s" });
  const go = Promise.withResolvers<void>();
  let begun = 0;
  const attempts: number[] = [];
  const both = workflow("both", (ctx) =>
    ctx.all([
      (ctx) =>
        ctx.step("flaky", ({ attempt }) => {
          attempts.push(attempt);
          throw new Error("No");
        }, { retry: { maxAttempts: 9, initialInterval: "1s", jitter: 0 } }),
      (ctx) =>
        ctx.step("slow", () => {
          begun++;
          return go.promise;
        }),
    ]));
  await engine.start(both, { id: "b" });
  await eventually(() => begun === 1 && clock.timers.includes(1_000));
  const closed = engine.close();
  clock.advance(2_000);
  go.resolve();
  await closed;
  assertEquals(attempts, [1]);
});

Deno.test("close() leaves no timer behind, whatever runs", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const engine = await Engine.open(folder.file("a.db"), { clock, closeGrace: "1s" });
  const stuck = workflow(
    "stuck",
    (ctx) => ctx.step("stuck", () => new Promise<void>(() => {}), { timeout: "1h" }),
  );
  await engine.start(stuck);
  await clock.nextTimer();
  engine.handle((await engine.list())[0]!.id).result().catch(() => {});
  const closed = engine.close();
  await eventually(() => clock.timers.includes(1_000));
  clock.advance(1_000);
  await closed;
  assertEquals(clock.timers, []);
});

Deno.test("close() ends what work() was about to begin, whenever it comes, and leaves no timer", async () => {
  await using folder = temporaryFolder();
  const report = workflow("report", () => {});
  const hourly = schedule("hourly", { cron: "@hourly", workflow: report });
  for (let turns = 0; turns < 30; turns++) {
    const clock = new ManualClock();
    const engine = await Engine.open(folder.file(`${turns % 3}.db`), {
      clock,
      workflows: [report],
      schedules: [hourly],
      queues: [queue("q", { concurrency: 1 })],
    });
    const working = engine.work();
    for (let i = 0; i < turns; i++) await Promise.resolve();
    if (turns % 2 === 1) await eventually(() => true);
    await engine.close();
    await working;
    await eventually(() => true);
    assertEquals(clock.timers, [], `after ${turns} turns`);
  }
});

Deno.test("close() right after start() leaves the workflow to the next engine, without having begun it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  const events: string[] = [];
  const quick = workflow("quick", async (ctx) => {
    calls.push("function");
    await ctx.step("step", () => calls.push("step"));
  });
  const engine = await Engine.open(file, { onEvent: ({ type }) => events.push(type) });
  const handle = await engine.start(quick, { id: "q" });
  const rejected = assertRejects(() => handle.result(), EngineClosedError);
  await Promise.all([rejected, engine.close()]);
  assertEquals([calls, events.filter((type) => type !== "suspended")], [[], []]);
  await using next = await Engine.open(file);
  await next.run(quick, { id: "q" });
  assertEquals(calls.slice(0, 2), ["function", "step"]);
});

Deno.test("close() while workflows are being started waits for that, and loses none", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const quick = workflow("quick", (ctx) => ctx.step("step", () => "done"));
  const engine = await Engine.open(file);
  const starts = Array.from({ length: 20 }, (_, i) => engine.start(quick, { id: `q-${i}` }));
  const settled = Promise.allSettled(starts);
  await engine.close();
  const started = (await settled).filter(({ status }) => status === "fulfilled").length;
  const [{ n }] = query(file, "SELECT count(*) AS n FROM workflows") as [{ n: number }];
  assert(n >= started, `${started} of ${n}`);
  assertEquals(query(file, "SELECT * FROM workflows WHERE status = 'running' OR executor IS NOT NULL"), []);
  await using next = await Engine.open(file);
  await Promise.all(starts.map((_, i) => next.run(quick, { id: `q-${i}` })));
});

Deno.test("close() may be called again, and comes with await using", async () => {
  await using folder = temporaryFolder();
  const engine = await Engine.open(folder.file("a.db"));
  const [first, second] = [engine.close(), engine.close()];
  await Promise.all([first, second]);
  await engine[Symbol.asyncDispose]();
});

Deno.test("close() leaves only the database in the folder", async () => {
  await using folder = temporaryFolder();
  {
    await using engine = await Engine.open(folder.file("a.db"));
    await engine.run(workflow("quick", (ctx) => ctx.step("step", () => "done")));
  }
  assertEquals(folder.names, ["a.db"]);
});

Deno.test("an engine that is closed refuses to be used", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const engine = await Engine.open(file);
  const quick = workflow("quick", () => "done");
  await engine.run(quick, { id: "q" });
  await engine.close();
  const message = `Cannot use the engine on "${file}": it is closed`;
  const handle = engine.handle("q");
  for (
    const use of [
      () => engine.run(quick, { id: "q" }),
      () => engine.start(quick),
      () => engine.get("q"),
      () => engine.list(),
      () => engine.signal("q", "go"),
      () => engine.cancel("q"),
      () => engine.pause("q"),
      () => engine.resume("q"),
      () => engine.retry("q"),
      () => engine.fork("q", { fromStep: "step" }),
      () => engine.transaction(() => {}),
      () => engine.work(),
      () => handle.result(),
      () => handle.status(),
      () => handle.read("key"),
      () => handle.stream("stream").next(),
    ]
  ) {
    await assertRejects(use, EngineClosedError, message);
  }
});

Deno.test("handle.result() of a workflow that nobody runs rejects when the engine is closed", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const stuck = workflow("stuck", (ctx) => ctx.step("stuck", () => new Promise<void>(() => {})));
  {
    await using engine = await Engine.open(file, { closeGrace: 0 });
    await engine.start(stuck, { id: "s" });
  }
  const engine = await Engine.open(file);
  const rejected = assertRejects(() => engine.handle("s").result(), EngineClosedError);
  assertEquals(await engine.handle("s").status(), "pending");
  await Promise.all([rejected, engine.close()]);
});
