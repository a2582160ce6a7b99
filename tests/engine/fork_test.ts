import {
  type Context,
  CorruptCheckpointError,
  Engine,
  type ForkOptions,
  NonDeterminismError,
  queue,
  QueueFullError,
  StepNotFoundError,
  type Workflow,
  workflow,
  WorkflowConflictError,
  WorkflowNotFoundError,
  WorkflowTimeoutError,
} from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { openCrashing, type StoreCall } from "../crashing_database.ts";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Three steps with a loop, whose calls are counted. */
function pages(calls: string[], version?: string): Workflow<number, string[]> {
  const run = async (ctx: Context, count: number) => {
    const found: string[] = [await ctx.step("first", () => note("first"))];
    for (let i = 0; i < count; i++) found.push(await ctx.step("page", () => note(`page ${i}`)));
    found.push(await ctx.step("last", () => note("last")));
    return found;
  };
  const note = (text: string) => `${text}, call ${calls.push(text)}`;
  return version === undefined ? workflow("pages", run) : workflow("pages", { version }, run);
}

function history(file: string, id: string): unknown[] {
  return query(
    file,
    `SELECT step_key, kind, status, completion, attempt, started_at, completed_at, run_id, output_json, error_json,
      topic FROM steps WHERE workflow_id = ? AND completion IS NOT NULL ORDER BY completion`,
    id,
  );
}

Deno.test("fork() begins with the checkpoints up to the step, and runs from there", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  await using engine = await Engine.open(file, { workflows: [pages(calls, "1"), pages([], "2")] });
  const output = await engine.run(pages(calls, "1"), { id: "a", input: 3 });
  const before = history(file, "a");
  calls.length = 0;

  const handle = await engine.fork<string[]>("a", { fromStep: "page#000002", newId: "b" });
  assertEquals(handle.id, "b");
  assertEquals(await handle.result(), [
    ...output.slice(0, 2),
    "page 1, call 1",
    "page 2, call 2",
    "last, call 3",
  ]);
  assertEquals(history(file, "b").slice(0, 2), before.slice(0, 2));
  assertEquals(history(file, "a"), before);

  const columns =
    "name, created_at, seed, input_json, workflows.version, inputs.version AS stored, parent_id";
  const of = (id: string) =>
    query(file, `SELECT ${columns} FROM workflows JOIN inputs USING (workflow) WHERE workflow_id = ?`, id);
  assertEquals(of("b"), of("a"));
  assertEquals((await engine.get("b"))!.forkedFrom, "a");
});

Deno.test("fork() takes an id for the first step of it, and makes up an id of its own", async () => {
  const calls: string[] = [];
  const definition = pages(calls);
  await using engine = await Engine.open(":memory:", { workflows: [definition] });
  await engine.run(definition, { id: "a", input: 2 });
  calls.length = 0;
  const forks = [await engine.fork("a", { fromStep: "page" }), await engine.fork("a", { fromStep: "first" })];
  await Promise.all(forks.map((fork) => fork.result()));
  assertNotEquals(forks[0]!.id, forks[1]!.id);
  assertEquals(calls.toSorted(), ["first", "last", "last", "page 0", "page 0", "page 1", "page 1"]);
});

Deno.test("fork() goes on with code that differs from the step on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const first = (ctx: Context) => ctx.step("first", () => 1);
  const mistaken = workflow("w", async (ctx) => {
    await first(ctx);
    await ctx.step("mistake", () => 2);
    await ctx.waitForSignal("go");
  });
  {
    await using engine = await Engine.open(file, { alwaysReplay: true });
    const handle = await engine.start(mistaken, { id: "a" });
    await eventually(async () => await handle.status() === "waiting");
  }
  const mended = workflow("w", async (ctx) => await first(ctx) + await ctx.step("mended", () => 2));
  await using engine = await Engine.open(file, { workflows: [mended] });
  await engine.signal("a", "go");
  await assertRejects(() => engine.run(mended, { id: "a" }), NonDeterminismError);
  const fork = await engine.fork("a", { fromStep: "mistake" });
  assertEquals(await fork.result(), 3);
  assertEquals(await engine.handle("a").status(), "blocked");
});

Deno.test("fork() takes workflows of every status, and changes none", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const gate = Promise.withResolvers<void>();
  let isLive = true;
  const definition = workflow("w", async (ctx, what: string) => {
    await ctx.step("first", () => 1);
    await ctx.step("second", async () => {
      if (!isLive) return;
      if (what === "running") await gate.promise;
      if (what === "failed") throw new Error("No");
    });
    if (isLive && what !== "completed") await ctx.waitForSignal("go");
    return what;
  });
  await using engine = await Engine.open(file, { workflows: [definition], alwaysReplay: true });
  const whats = ["completed", "failed", "running", "waiting", "blocked", "cancelled"];
  for (const what of whats) await engine.start(definition, { id: what, input: what });
  const isRunning = () =>
    query(file, "SELECT 1 FROM steps WHERE workflow_id = 'running' AND status = 'running'");
  await eventually(() => isRunning().length === 1);
  const status = (id: string) => engine.handle(id).status();
  for (const what of ["waiting", "blocked", "cancelled"]) {
    await eventually(async () => await status(what) === "waiting");
  }
  await eventually(async () => await status("failed") === "failed");
  await engine.pause("blocked");
  await engine.cancel("cancelled");
  for (const what of whats) await eventually(async () => await status(what) === what);

  isLive = false;
  const before = query(file, "SELECT * FROM workflows ORDER BY workflow");
  for (const what of whats) {
    const fork = await engine.fork(what, { fromStep: "second", newId: `fork of ${what}` });
    assertEquals(await fork.result(), what);
  }
  assertEquals(query(file, "SELECT * FROM workflows WHERE workflow <= 6 ORDER BY workflow"), before);
  isLive = true;
  gate.resolve();
  await engine.signal("running", "go");
  assertEquals(await engine.handle("running").result(), "running");
});

Deno.test("fork() leaves the fork to others where its name or version is not here", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file, { workflows: [pages([], "2")] });
  await engine.run(pages([], "1"), { id: "a", input: 1 });
  await engine.run(workflow("other", (ctx) => ctx.step("s", () => 1)), { id: "b" });
  const forks = [await engine.fork("a", { fromStep: "last" }), await engine.fork("b", { fromStep: "s" })];
  for (const fork of forks) assertEquals(await fork.status(), "pending");
  await using other = await Engine.open(file, { workflows: [pages([], "1")] });
  assertEquals(await (await other.resume<string[]>(forks[0]!.id)).result(), [
    "first, call 1",
    "page 0, call 2",
    "last, call 1",
  ]);
});

Deno.test("fork() refuses what is not there, and an id that is taken", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = pages([]);
  await using engine = await Engine.open(file, { workflows: [definition] });
  await engine.run(definition, { id: "a", input: 1 });
  await engine.run(definition, { id: "b", input: 2 });
  await (await engine.fork("a", { fromStep: "last", newId: "c" })).result();
  const all = () =>
    ["workflows", "inputs", "checkpoints", "patches"].map((table) => query(file, `SELECT * FROM ${table}`));
  const before = all();
  await assertRejects(() => engine.fork("none", { fromStep: "last" }), WorkflowNotFoundError);
  for (const fromStep of ["none", "page#000002", "pag", ""]) {
    const error = await assertRejects(() => engine.fork("a", { fromStep }), StepNotFoundError);
    assertEquals([error.workflowId, error.step], ["a", fromStep]);
  }
  for (const newId of ["a", "b"]) {
    const error = await assertRejects(
      () => engine.fork("a", { fromStep: "last", newId }),
      WorkflowConflictError,
    );
    assertEquals([error.workflowId, error.what, error.stored], [newId, "origin", "none"]);
    assertMatch(error.message, /the origin "a" before step "last"$/);
  }
  const again = await assertRejects(
    () => engine.fork("a", { fromStep: "last", newId: "c" }),
    WorkflowConflictError,
  );
  assertEquals(again.stored, '"a"');
  await assertRejects(() => engine.fork("a", { fromStep: "last", newId: "" }), RangeError);
  await assertRejects(() => engine.fork("a", { fromStep: 2 as unknown as string }), TypeError);
  await assertRejects(() => engine.fork("a", undefined as never), TypeError, "as fromStep, found undefined");
  assertEquals(all(), before);
});

Deno.test("fork() copies nothing that is not as it was written, and needs nothing of what comes later", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = pages([]);
  await using engine = await Engine.open(file, { workflows: [definition] });
  await engine.run(definition, { id: "a", input: 2 });
  execute(file, "UPDATE checkpoints SET output_json = '7' WHERE step_key = 'page#000002'");
  await (await engine.fork("a", { fromStep: "page#000002", newId: "b" })).result();
  const error = await assertRejects(
    () => engine.fork("a", { fromStep: "last", newId: "c" }),
    CorruptCheckpointError,
  );
  assertEquals(error.key, "page#000002");
  execute(file, "DELETE FROM checkpoints WHERE workflow = 1 AND completion = 2");
  await assertRejects(() => engine.fork("a", { fromStep: "last", newId: "c" }), CorruptCheckpointError);
  execute(file, "UPDATE inputs SET seed = seed + 1 WHERE workflow = 1");
  await assertRejects(() => engine.fork("a", { fromStep: "first", newId: "c" }), CorruptCheckpointError);
  assertEquals(await engine.get("c"), undefined);
});

Deno.test("a fork keeps what its history has of children, and starts those that were open anew", async () => {
  const started: string[] = [];
  const child = workflow("child", async (ctx, name: string) => {
    started.push(`${name} as ${ctx.workflowId}`);
    if (name === "open" && ctx.workflowId.startsWith("a/")) await ctx.waitForSignal("go");
    return name;
  });
  const parent = workflow("parent", async (ctx) => {
    const done = await ctx.child(child, { input: "done" });
    await ctx.step("between", () => 1);
    return [done, await ctx.child(child, { input: "open" })];
  });
  await using engine = await Engine.open(":memory:", { workflows: [parent, child] });
  await engine.start(parent, { id: "a" });
  await eventually(() => started.length === 2);
  const fork = await engine.fork("a", { fromStep: "between", newId: "b" });
  assertEquals(await fork.result(), ["done", "open"]);
  assertEquals(started, [
    "done as a/child:child#000001",
    "open as a/child:child#000002",
    "open as b/child:child#000002",
  ]);
});

Deno.test("a fork keeps the signals that its history has consumed, and no other", async () => {
  const definition = workflow("w", async (ctx) => {
    const one = await ctx.waitForSignal<number>("n");
    await ctx.step("between", () => 1);
    const two = await ctx.waitForSignal<number>("n", { timeout: 1 });
    return [one, two];
  });
  await using engine = await Engine.open(":memory:", { workflows: [definition] });
  await engine.signal("a", "n", 1);
  await engine.signal("a", "n", 2);
  assertEquals(await engine.run(definition, { id: "a" }), [1, 2]);
  assertEquals(await (await engine.fork("a", { fromStep: "between" })).result(), [1, undefined]);
});

Deno.test("a fork's deadline is counted anew, also that of a fork of a fork", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const definition = workflow("w", { timeout: "1h" }, async (ctx) => {
    await ctx.step("first", () => 1);
    await ctx.step("second", () => 2);
    await ctx.waitForSignal("go");
  });
  await using engine = await Engine.open(file, { clock, workflows: [definition], alwaysReplay: true });
  const forks = [await engine.start(definition, { id: "a" })];
  for (const [from, newId] of [["a", "b"], ["b", "c"]] as const) {
    await eventually(() =>
      query(file, "SELECT 1 FROM steps WHERE workflow_id = ? AND completion = 2", from).length === 1
    );
    clock.advance(600_000);
    forks.push(await engine.fork(from, { fromStep: "second", newId }));
  }
  const deadlines = query(
    file,
    "SELECT deadline_at - min(created_at) AS ms FROM inputs JOIN workflows USING (workflow) GROUP BY workflow",
  );
  assertEquals(deadlines.map(({ ms }) => ms), [3_600_000, 4_200_000, 4_800_000]);
  const refused = forks.map((fork) => assertRejects(() => fork.result(), WorkflowTimeoutError));
  clock.advance(3_600_000);
  await Promise.all(refused);

  clock.advance(600_000);
  const anew = [await engine.retry("b"), await engine.fork("b", { fromStep: "second", newId: "d" })];
  for (const handle of anew) await eventualStatus(handle, "waiting");
  clock.advance(3_599_999);
  assertEquals(await Promise.all(anew.map((handle) => handle.status())), ["waiting", "waiting"]);
  const over = anew.map((handle) => assertRejects(() => handle.result(), WorkflowTimeoutError));
  clock.advance(1);
  await Promise.all(over);
});

Deno.test("a fork has the changes that the other has taken up, and draws the same", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = workflow("w", async (ctx) => {
    const drawn = [ctx.uuid(), ctx.now().getTime()];
    const isNew = ctx.patched("change");
    await ctx.step("first", () => 1);
    return await ctx.step("second", () => [...drawn, isNew]);
  });
  await using engine = await Engine.open(file, { workflows: [definition] });
  const output = await engine.run(definition, { id: "a" });
  assertEquals(await (await engine.fork("a", { fromStep: "second", newId: "b" })).result(), output);
  assertEquals(
    query(file, "SELECT change_id, run, at FROM patches WHERE workflow = 2"),
    query(file, "SELECT change_id, run, at FROM patches WHERE workflow = 1"),
  );
});

Deno.test("a fork shows what its history has shown", async () => {
  let later = "first";
  const definition = workflow("w", async (ctx) => {
    await ctx.publish("kept", 1);
    await ctx.publish("replaced", 1);
    for (const entry of ["a", "b"]) await ctx.emit("log", entry);
    await ctx.step("step", () => 1);
    await ctx.emit("log", later);
    await ctx.publish("replaced", 2);
  });
  await using engine = await Engine.open(":memory:", { workflows: [definition] });
  await engine.run(definition, { id: "a" });
  later = "later";
  const fork = await engine.fork("a", { fromStep: "step", newId: "b" });
  await fork.result();
  const entries = await Array.fromAsync(fork.stream<string>("log"));
  assertEquals(entries.map(({ position, value }) => [position, value]), [[0, "a"], [1, "b"], [2, "later"]]);
  assertEquals([await fork.read("kept"), await fork.read("replaced")], [1, 2]);
  const others = await Array.fromAsync(engine.handle("a").stream<string>("log"));
  assertEquals(others.map(({ value }) => value), ["a", "b", "first"]);
});

Deno.test("a fork of a workflow that was retried begins with the first failure's history", async () => {
  let broken = true;
  const definition = workflow("w", async (ctx) => {
    const calls = await ctx.step("first", () => 1);
    await ctx.step("second", () => {
      if (broken) throw new Error("No");
    });
    return calls;
  });
  await using engine = await Engine.open(":memory:", { workflows: [definition] });
  await assertRejects(() => engine.run(definition, { id: "a" }), Error, "No");
  broken = false;
  await (await engine.retry("a")).result();
  const fork = await engine.fork("a", { fromStep: "second" });
  assertEquals(await fork.result(), 1);
  assertEquals((await engine.get(fork.id))!.steps.map(({ completion }) => completion), [1, 2]);
});

Deno.test("a process may be lost at any call of the store while it forks", async () => {
  const definition = (calls: string[] = []) => pages(calls);
  let calls = Infinity;
  let [made, missing] = [0, 0];
  for (let number = 1; number <= calls; number++) {
    for (const when of ["before", "after"] as const) {
      await using folder = temporaryFolder();
      const file = folder.file("a.db");
      {
        await using engine = await Engine.open(file, { durability: "normal" });
        await engine.run(definition(), { id: "a", input: 3 });
      }
      const before = history(file, "a");
      const crashesAt = (call: StoreCall) => call.number === number && call.when === when;
      const options = { clock: new ManualClock(), workflows: [definition()] };
      const { engine, database } = await openCrashing(file, options, crashesAt);
      const forked = engine.fork("a", { fromStep: "page#000003", newId: "b" }).then(async (fork) => {
        await fork.result();
        await engine.close();
        calls = database.calls;
      });
      await Promise.race([forked, database.crashed]);
      if (calls === Infinity && number > 100) throw new Error("It never ends");

      const where = `lost ${when} call ${number}`;
      assertEquals(history(file, "a"), before, where);
      await using next = await Engine.open(file, { workflows: [definition()] });
      if (await next.get("b") === undefined) {
        missing++;
        assertEquals(query(file, "SELECT count(*) AS n FROM inputs"), [{ n: 1 }], where);
        await next.fork("a", { fromStep: "page#000003", newId: "b" });
      } else {
        made++;
        assertEquals(history(file, "b").slice(0, 3), before.slice(0, 3), where);
      }
      const output = await (await next.resume<string[]>("b")).result();
      assertEquals(output.slice(0, 3), ["first, call 1", "page 0, call 2", "page 1, call 3"], where);
      assertEquals(output.length, 5, where);
    }
  }
  assertEquals([made > 0, missing > 0], [true, true]);
});

Deno.test("fork() of a workflow of a queue waits there for its turn, within the limits", async () => {
  await using folder = temporaryFolder();
  const mail = queue("mail", { concurrency: 2, partitionConcurrency: 1 });
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const begun: string[] = [];
  let before = 0;
  const send = workflow("send", async (ctx) => {
    await ctx.step("before", () => void before++);
    return await ctx.step("send", async () => {
      begun.push(ctx.workflowId);
      const gate = Promise.withResolvers<void>();
      gates.set(ctx.workflowId, gate);
      await gate.promise;
      return ctx.workflowId;
    });
  });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [send], queues: [mail] });
  engine.work();
  await engine.enqueue(send, { id: "a", queue: mail, partition: "p", deduplicationKey: "k" });
  await eventually(async () => (await engine.get("a"))!.steps.length === 2);
  const fork = await engine.fork<string>("a", { fromStep: "send", newId: "fork" });
  const { queue: name, status } = (await engine.get("fork"))!;
  assertEquals([name, status], ["mail", "pending"]);
  assertEquals((await engine.why("fork")).reason.includes("its partition"), true);
  assertEquals((await engine.queues()).map(({ depth, underWay }) => [depth, underWay]), [[1, 1]]);
  // Another partition has room; the key is the original's.
  await engine.fork("a", { fromStep: "send", newId: "other", partition: "q" });
  await eventually(() => begun.length === 2);
  assertEquals((await engine.enqueue(send, { queue: mail, deduplicationKey: "k" })).id, "a");
  // Beside the limits, where the caller says so.
  const beside = await engine.fork<string>("a", { fromStep: "send", newId: "beside", queue: null });
  await eventually(() => begun.length === 3);
  assertEquals(begun, ["a", "other", "beside"]);
  assertEquals((await engine.get("beside"))!.queue, undefined);
  gates.get("a")!.resolve();
  await eventually(() => begun.length === 4);
  for (const gate of gates.values()) gate.resolve();
  assertEquals([await fork.result(), await beside.result(), before], ["fork", "beside", 1]);
});

Deno.test("fork() puts a workflow into the queue that it is told, by priority and after a delay", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const order: string[] = [];
  const w = workflow("w", async (ctx) => {
    await ctx.step("first", () => {});
    await ctx.step("second", () => void (ctx.workflowId === "o" || order.push(ctx.workflowId)));
  });
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [w] });
  await engine.run(w, { id: "o" });
  const one = queue("one", { concurrency: 1, maxDepth: 3 });
  const fork = (newId: string, options: Partial<ForkOptions>) =>
    engine.fork("o", { fromStep: "second", newId, queue: one, ...options });
  await fork("low", { priority: -1 });
  await fork("high", { priority: 5 });
  const late = await fork("late", { delay: "1h", priority: 1_000 });
  assertEquals(await late.status(), "waiting");
  assertEquals((await engine.why("late")).waitsFor.map(({ kind }) => kind), ["time"]);
  await assertRejects(() => fork("full", {}), QueueFullError);
  assertEquals(await engine.get("full"), undefined);
  assertEquals((await engine.queues())[0]!.depth, 3);
  engine.work();
  await eventually(() => order.length === 2);
  assertEquals(order, ["high", "low"]);
  await eventually(() => clock.timers.some((ms) => ms === 3_600_000));
  clock.advance(3_600_000);
  await late.result();
  assertEquals(order.at(-1), "late");
  assertEquals((await engine.queues())[0]!.depth, 0);
  await assertRejects(() => fork("low", {}), WorkflowConflictError);
  for (
    const [options, message] of [
      [{ queue: null, partition: "p" }, "wanted a queue beside them"],
      [{ queue: undefined, delay: 5 }, "wanted a queue beside them"],
      [{ priority: 0.5 }, "Cannot use a priority"],
      [{ queue: 5 as never }, "Cannot use a queue"],
      [{ prio: 5 } as never, 'unknown option "prio"'],
    ] as [Partial<ForkOptions>, string][]
  ) await assertRejects(() => fork("x", options), Error, message);
});

Deno.test("fork() in a queue, delayed, that is cancelled has its steps undone", async () => {
  await using folder = temporaryFolder();
  const undone: string[] = [];
  const w = workflow("w", async (ctx) => {
    await ctx.step("book", () => {}, { compensate: () => void undone.push(ctx.workflowId) });
    await ctx.step("after", () => {});
  });
  await using engine = await Engine.open(folder.file("a.db"), { workflows: [w] });
  engine.work();
  await engine.run(w, { id: "o" });
  const fork = await engine.fork("o", { fromStep: "after", newId: "f", queue: "q", delay: "1h" });
  await fork.cancel();
  await assertRejects(() => fork.result(), Error, "was cancelled");
  assertEquals(undone, ["f"]);
});
