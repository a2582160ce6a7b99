import {
  Engine,
  type EngineEvent,
  TooManyRecoveriesError,
  UnknownWorkflowError,
  workflow,
  WorkflowNotFoundError,
} from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("a workflow that loses its process maxRecoveries times without a new checkpoint is blocked", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash(4);
  let calls = 0;
  const deadly = workflow("deadly", async (ctx) => {
    await ctx.step("first", () => {});
    await ctx.step("deadly", () => {
      calls++;
      return crash.here();
    });
    return "survived";
  });
  // The first recovery finds a new checkpoint, the one of the first step; then there are three in vain.
  for (let i = 0; i < 4; i++) await crash.happens(file, deadly, { id: "d" }, { maxRecoveries: 3 });
  assertEquals(calls, 4);
  const events: string[] = [];
  await using engine = await Engine.open(file, {
    maxRecoveries: 3,
    workflows: [deadly],
    onEvent: (e) => events.push(e.type),
  });
  for (let i = 0; i < 2; i++) {
    const error = await assertRejects(() => engine.run(deadly, { id: "d" }), TooManyRecoveriesError);
    assertEquals([error.recoveries, error.limit, error.workflowId], [4, 3, "d"]);
    assertEquals(
      error.message,
      'Cannot recover workflow "d" again: its process was lost 4 times in a row without a new checkpoint, ' +
        "and maxRecoveries is 3",
    );
  }
  assertEquals([calls, await engine.handle("d").status()], [4, "blocked"]);
  assertEquals((await engine.get("d"))!.error!.name, "TooManyRecoveriesError");
  assertEquals(await (await engine.resume("d")).result(), "survived");
});

Deno.test("a new checkpoint begins the count of recoveries anew", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash(9);
  let step = 0;
  const slow = workflow("slow", async (ctx) => {
    for (let i = 0; i < 9; i++) await ctx.step("work", () => i === step ? (step++, crash.here()) : undefined);
  });
  // Each process gets one step further before it is lost.
  for (let i = 0; i < 9; i++) await crash.happens(file, slow, { id: "s" }, { maxRecoveries: 1 });
  await using engine = await Engine.open(file, { maxRecoveries: 1 });
  await engine.run(slow, { id: "s" });
  assertEquals(await engine.handle("s").status(), "completed");
});

Deno.test("maxRecoveries: 0 blocks a workflow at the first loss of its process", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const once = workflow("once", (ctx) => ctx.step("call", () => crash.here()));
  await crash.happens(file, once, { id: "o" });
  await using engine = await Engine.open(file, { maxRecoveries: 0 });
  await assertRejects(() => engine.run(once, { id: "o" }), TooManyRecoveriesError);
});

Deno.test("get() and list() tell how often in a row a workflow lost its process", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash(3);
  const lost = workflow("lost", (ctx) => ctx.step("call", () => crash.here()));
  for (let i = 0; i < 3; i++) await crash.happens(file, lost, { id: "l" });
  await using engine = await Engine.open(file);
  assertEquals((await engine.get("l"))!.recoveries, 2);
  assertEquals((await engine.list())[0]!.recoveries, 2);
});

Deno.test("an engine that was closed has not lost its workflows", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const waiting = workflow("waiting", (ctx) => ctx.step("wait", () => new Promise<void>(() => {})));
  const recovered: boolean[] = [];
  const onEvent = (event: EngineEvent) => void (event.type === "started" && recovered.push(event.recovered));
  for (let i = 0; i < 5; i++) {
    await using engine = await Engine.open(file, { maxRecoveries: 0, closeGrace: 0, onEvent });
    await engine.start(waiting, { id: "w" });
    await eventually(() => recovered.length === i + 1);
    assertEquals((await engine.get("w"))!.recoveries, 0);
  }
  assertEquals(new Set(recovered), new Set([false]));
});

Deno.test("started tells whether the workflow was taken over from a process that was lost", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const lost = workflow("lost", (ctx) => ctx.step("call", () => crash.here()));
  const recovered: boolean[] = [];
  const onEvent = (event: EngineEvent) => void (event.type === "started" && recovered.push(event.recovered));
  await crash.happens(file, lost, { id: "l" }, { onEvent });
  await using engine = await Engine.open(file, { onEvent });
  await engine.run(lost, { id: "l" });
  assertEquals(recovered, [false, true]);
});

Deno.test("resume() goes on with a workflow by its id alone", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const echo = workflow("echo", async (ctx, input: string) => {
    await ctx.step("wait", () => crash.here());
    return input;
  });
  await crash.happens(file, echo, { id: "e", input: "kept" });
  await using engine = await Engine.open(file, { workflows: [echo] });
  assertEquals(await (await engine.resume("e")).result(), "kept");
  assertEquals(await (await engine.resume("e")).result(), "kept");
});

Deno.test("resume() of an unknown id is a WorkflowNotFoundError", async () => {
  await using engine = await Engine.open(":memory:");
  const error = await assertRejects(() => engine.resume("nobody"), WorkflowNotFoundError);
  assertEquals([error.workflowId, error.message], ["nobody", 'Cannot find workflow "nobody" in ":memory:"']);
  await assertRejects(() => engine.resume(""), RangeError);
});

Deno.test("resume() without the workflow's code blocks it, and an engine that has the code goes on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const echo = workflow("echo", (ctx, input: string) => ctx.step("wait", () => input));
  const other = workflow("other", () => {});
  {
    await using engine = await Engine.open(file, { closeGrace: 0 });
    const hanging = workflow(
      "echo",
      (ctx, _: string) => ctx.step("wait", () => new Promise<string>(() => {})),
    );
    await engine.start(hanging, { id: "e", input: "kept" });
  }
  {
    await using engine = await Engine.open(file, { workflows: [other] });
    const error = await assertRejects(() => engine.resume("e"), UnknownWorkflowError);
    assertEquals(
      error.message,
      'Cannot run workflow "e": this engine has no workflow named "echo", only "other"',
    );
    assertEquals([error.workflow, error.known], ["echo", ["other"]]);
    assertEquals((await engine.get("e"))!.error!.name, "UnknownWorkflowError");
  }
  assertEquals(query(file, "SELECT status FROM workflows"), [{ status: "blocked" }]);
  await using engine = await Engine.open(file, { workflows: [other, echo] });
  assertEquals(await (await engine.resume("e")).result(), "kept");
});

Deno.test("run() goes on with a workflow that was blocked only because its code was missing", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const echo = workflow(
    "echo",
    (ctx, input: string) => ctx.step("wait", () => crash.here()).then(() => input),
  );
  await crash.happens(file, echo, { id: "e", input: "kept" });
  await using engine = await Engine.open(file);
  await assertRejects(() => engine.resume("e"), UnknownWorkflowError, "only none at all");
  assertEquals(await engine.run(echo, { id: "e" }), "kept");
});

/** Does something so many times, with some turns of the event loop after each. */
async function looks(times: number, act: () => void): Promise<void> {
  let left = times;
  await eventually(() => (act(), --left === 0));
}

for (const end of ["lost", "closed"] as const) {
  Deno.test(`run() takes a workflow over that another process was first to take up, once that is ${end}`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const by: string[] = [];
    const begun = Promise.withResolvers<void>();
    const napping = (name: string) =>
      workflow("nap", async (ctx) => {
        await ctx.sleep("1h");
        return await ctx.step("work", () => {
          by.push(name);
          if (name === "second") return "done";
          begun.resolve();
          return new Promise<string>(() => {});
        });
      });
    const parent = workflow("parent", (ctx) => ctx.child(napping("second"), { id: "child" }));
    const clocks = { first: new ManualClock(), second: new ManualClock() };
    const { engine: first, kill } = await openMortal(file, {
      clock: clocks.first,
      closeGrace: 0,
      zombieTimeout: "10d",
    });
    await using second = await Engine.open(file, { clock: clocks.second, zombieTimeout: "10d" });
    const child = end === "lost";
    const result = child
      ? second.run(parent, { id: "parent" })
      : second.run(napping("second"), { id: "child" });
    await eventually(async () => {
      clocks.second.advance(10);
      return (await second.get("child"))?.status === "waiting";
    });
    void first.run(napping("first"), { id: "child" }).catch(() => {});
    await eventually(() => (clocks.first.advance(1_000_000), by.length === 1));
    await begun.promise;
    // It is due here too by now, and another process runs it.
    clocks.second.advance(3_600_000);
    if (end === "lost") await kill();
    else await first.close();
    await eventually(() => (clocks.second.advance(300), by.length === 2));
    assertEquals([await result, by], ["done", ["first", "second"]]);
    if (end === "closed") await kill();
  });
}

Deno.test("a workflow that another process was first to take up, and let go, is this one's again when it is due", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const by: string[] = [];
  const two = (name: string) =>
    workflow("two", async (ctx) => {
      await ctx.sleep("1h");
      await ctx.step("first", () => void by.push(name));
      await ctx.sleep("1h");
      return await ctx.step("second", () => by.push(name));
    });
  const clocks = { first: new ManualClock(), second: new ManualClock() };
  const first = await Engine.open(file, { clock: clocks.first, zombieTimeout: "10d" });
  await using second = await Engine.open(file, { clock: clocks.second, zombieTimeout: "10d" });
  const handle = await second.start(two("second"), { id: "w" });
  await eventually(async () => (clocks.second.advance(10), (await handle.status()) === "waiting"));
  void first.run(two("first"), { id: "w" }).catch(() => {});
  await eventually(() => (clocks.first.advance(100_000), by.length === 1));
  await eventually(async () => (clocks.first.advance(10), (await handle.status()) === "waiting"));
  // Looked at while nobody waits for it.
  clocks.second.advance(3_600_000);
  await looks(20, () => clocks.second.advance(300));
  await first.close();
  const result = handle.result();
  await eventually(() => (clocks.second.advance(100_000), by.length === 2));
  assertEquals([await result, by], [2, ["first", "second"]]);
});

Deno.test("a workflow that is lost elsewhere is taken over once somebody waits for it, however late", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const by: string[] = [];
  const nap = (name: string) =>
    workflow("nap", async (ctx) => {
      await ctx.sleep("1h");
      return await ctx.step("work", () => {
        by.push(name);
        return name === "second" ? "done" : new Promise<string>(() => {});
      });
    });
  const clocks = { first: new ManualClock(), second: new ManualClock() };
  const { engine: first, kill } = await openMortal(file, {
    clock: clocks.first,
    closeGrace: 0,
    zombieTimeout: "10d",
  });
  await using second = await Engine.open(file, { clock: clocks.second, zombieTimeout: "10d" });
  const handle = await second.start(nap("second"), { id: "w" });
  await eventually(async () => (clocks.second.advance(10), (await handle.status()) === "waiting"));
  void first.run(nap("first"), { id: "w" }).catch(() => {});
  await eventually(() => (clocks.first.advance(100_000), by.length === 1));
  clocks.second.advance(3_600_000);
  await looks(20, () => clocks.second.advance(300));
  await kill();
  await looks(20, () => clocks.second.advance(300));
  const result = handle.result();
  await eventually(() => (clocks.second.advance(300), by.length === 2));
  assertEquals(await result, "done");
});

Deno.test("two processes that wait for one workflow do not take it from each other while it waits", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const child = workflow("child", (ctx) => ctx.waitForSignal<string>("go"));
  const parent = workflow("parent", (ctx) => ctx.child(child, { id: "child" }));
  const clocks = [new ManualClock(), new ManualClock()];
  const begun = [0, 0];
  const engines = await Promise.all(
    clocks.map((clock, i) =>
      Engine.open(file, {
        clock,
        zombieTimeout: "10d",
        onEvent: ({ type }) => void (type === "started" && begun[i]!++),
      })
    ),
  );
  await using _first = engines[0]!;
  await using _second = engines[1]!;
  const advance = () => clocks.forEach((clock) => clock.advance(300));
  const waiting = (id: string) => async () => (advance(), (await engines[0]!.get(id))?.status === "waiting");
  const results = [engines[0]!.run(parent, { id: "parent" })];
  await eventually(waiting("parent"));
  results.push(engines[1]!.run(parent, { id: "parent" }));
  await eventually(waiting("parent"));
  await looks(30, advance);
  const before = begun.reduce((sum, count) => sum + count);
  await looks(200, advance);
  assertEquals(begun.reduce((sum, count) => sum + count), before);
  await engines[0]!.signal("child", "go", "gone");
  const ended = Promise.all(results);
  let isEnded = false;
  ended.then(() => isEnded = true);
  await eventually(() => (advance(), isEnded));
  assertEquals(await ended, ["gone", "gone"]);
});
