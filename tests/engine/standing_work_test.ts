import { Engine, type EngineEvent, queue, StoreError, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { Mailbox } from "../../engine/store/mailbox.ts";
import { eventually } from "../eventually.ts";
import { assertLines } from "../lines.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute } from "../raw_sqlite.ts";
import { SettableClock } from "../settable_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** A workflow whose step ends when a test says so. */
function gated(name = "gated") {
  const gates = new Map<string, PromiseWithResolvers<void>>();
  const gate = (id: string) => {
    const found = gates.get(id) ?? Promise.withResolvers<void>();
    gates.set(id, found);
    return found;
  };
  return {
    open: (id: string) => gate(id).resolve(),
    workflow: workflow(name, (ctx) => ctx.step("at", () => gate(ctx.workflowId).promise)),
  };
}

Deno.test("work() runs what waited for room as soon as there is some, whatever else is due before", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const { open, workflow: busy } = gated();
  const quick = workflow("quick", () => "done");
  const later = workflow("later", (ctx) => ctx.sleep("2s"));
  await using engine = await Engine.open(folder.file("a.db"), {
    clock,
    workflows: [busy, quick, later],
    maxRunning: 1,
  });
  await engine.enqueue(later, { delay: "500ms" });
  await engine.start(busy, { id: "busy" });
  engine.work();
  const waiting = await engine.enqueue(quick, { id: "quick" });
  await eventually(async () => (await engine.executors())[0]?.isWorking === true);
  open("busy");
  // The clock stands still: it is the end of the other that wakes the worker.
  assertEquals(await waiting.result(), "done");
});

for (const how of ["retry", "resume", "start"] as const) {
  Deno.test(`the end of a workflow that ${how}() has claimed gives its slot to the next of its queue`, async () => {
    const clock = new ManualClock();
    const { open, workflow: job } = gated();
    let broken = how === "retry";
    const failing = workflow("failing", async (ctx) => {
      await ctx.step("fail", () => {
        if (broken) throw new Error("broken");
      });
      await job.run(ctx);
    });
    const one = queue("one", { concurrency: 1 });
    await using engine = await Engine.open(":memory:", { clock, workflows: [failing], queues: [one] });
    const first = await engine.enqueue(failing, { id: "first", queue: one });
    if (how === "retry") {
      engine.work();
      await assertRejects(() => first.result());
      broken = false;
      await engine.retry("first");
    } else {
      await (how === "resume" ? engine.resume("first") : engine.start(failing, { id: "first" }));
      engine.work();
    }
    const second = await engine.enqueue(failing, { id: "second", queue: one });
    open("second");
    open("first");
    await first.result();
    await second.result();
  });
}

Deno.test("work() runs all of a queue, with nothing else going on, and passes over hardly any", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const one = workflow("one", (ctx, n: number) => ctx.step("a", () => n + 1));
  const ten = queue("ten", { concurrency: 10 });
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [one], queues: [ten] });
  const handles = await Promise.all(
    Array.from({ length: 500 }, (_, i) => engine.enqueue(one, { queue: ten, id: `w${i}`, input: i })),
  );
  engine.work();
  // The clock stands still: none is left alone for a while first.
  assertEquals(await Promise.all(handles.map((handle) => handle.result())), handles.map((_, i) => i + 1));
  assertLines(folder.file("a.db"));
});

Deno.test("a partition goes on after one of it is paused, resumed and cancelled", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  const { open, workflow: job } = gated();
  const split = queue("split", { partitionConcurrency: 1 });
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [job], queues: [split] });
  engine.work();
  const ids = ["a", "b", "c", "d"];
  for (const id of ids) await engine.enqueue(job, { id, queue: split, partition: "p" });
  const statuses = () => Promise.all(ids.map((id) => engine.handle(id).status()));
  await eventually(async () => (await statuses())[0] === "running");
  await engine.pause("a");
  open("a");
  await eventually(async () => (await statuses()).join() === "blocked,running,pending,pending");
  assertLines(folder.file("a.db"));
  // It goes on to be told, beside the limit; and has nothing left to be told at.
  await engine.cancel("a");
  await eventually(async () => (await statuses())[0] === "completed");
  assertLines(folder.file("a.db"));
  await engine.pause("d");
  await engine.cancel("d");
  for (const id of ["b", "c"]) open(id);
  await eventually(async () => (await statuses()).join() === "completed,completed,completed,cancelled");
  assertLines(folder.file("a.db"));
});

Deno.test("what a storage error suspended goes on when the store is back, with nothing else going on", async () => {
  for (const how of ["queued", "started", "child", "without work()"] as const) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock();
    const job = workflow("job", async (ctx) => {
      for (let i = 0; i < 3; i++) await ctx.step("s", () => i);
      await ctx.step("lock", () => locked.promise);
      return "done";
    });
    const parent = workflow("parent", (ctx) => ctx.child(job, { id: "victim" }));
    const locked = Promise.withResolvers<void>();
    await using engine = await Engine.open(file, { clock, workflows: [job, parent], busyTimeout: 300 });
    if (how !== "without work()") engine.work();
    const rejected: Promise<unknown>[] = [];
    if (how === "queued") await engine.enqueue(job, { id: "victim", queue: "q" });
    else if (how === "child") await engine.start(parent, { id: "parent" });
    else rejected.push((await engine.start(job, { id: "victim" })).result().catch((error) => error));
    const status = () => engine.handle("victim").status().catch(() => "none");
    await eventually(async () => {
      clock.advance(10);
      return await status() === "running";
    });
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    locked.resolve();
    for (let i = 0; i < 40; i++) {
      clock.advance(20);
      await eventually(() => true);
    }
    other.exec("ROLLBACK");
    other.close();
    await eventually(async () => {
      clock.advance(100);
      return await status() === "completed";
    });
    await Promise.all(rejected);
  }
});

Deno.test("what an engine cannot read for itself is told at once, each minute, and when it is over; the rest goes on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const job = workflow("job", () => "done");
  const events: EngineEvent[] = [];
  const onEvent = (event: EngineEvent) => void (event.workflowId ?? events.push(event));
  await using engine = await Engine.open(file, { clock, workflows: [job], onEvent });
  execute(file, "ALTER TABLE lines RENAME COLUMN is_full TO gone");
  engine.work();
  const types = () => events.map(({ type }) => type);
  await eventually(() => types().includes("storageFailed"));
  // What is in no queue is found nevertheless.
  const id = await engine.transaction((tx) => tx.start(job));
  assertEquals(await engine.handle(id).result(), "done");
  const first = events[0]!;
  assertEquals(first.type === "storageFailed" && first.error instanceof StoreError, true);
  const before = events.length;
  for (let i = 0; i < 70; i++) {
    clock.advance(1_000);
    await eventually(() => true);
  }
  await eventually(() => events.length > before);
  execute(file, "ALTER TABLE lines RENAME COLUMN gone TO is_full");
  await eventually(() => {
    clock.advance(1_000);
    return types().includes("storageRecovered");
  });
  assertEquals(await (await engine.enqueue(job, { queue: "q" })).result(), "done");
});

Deno.test("work() waits for a store that is locked when it begins, as later", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const job = workflow("job", () => "done");
  const events: string[] = [];
  await using engine = await Engine.open(file, {
    clock,
    workflows: [job],
    queues: [queue("q", { concurrency: 1 })],
    busyTimeout: 10,
    onEvent: ({ type }) => events.push(type),
  });
  const handle = await engine.enqueue(job, { queue: "q" });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  const working = engine.work();
  await eventually(() => {
    clock.advance(50);
    return events.includes("storageFailed");
  });
  other.exec("ROLLBACK");
  other.close();
  await eventually(async () => {
    clock.advance(100);
    return await handle.status() === "completed";
  });
  await engine.close();
  await working;
});

Deno.test("work({ giveUpAfter }) rejects once the store has failed for so long, and can be called again", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const job = workflow("job", () => "done");
  await using engine = await Engine.open(file, { clock, workflows: [job], busyTimeout: 10 });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  let error: unknown;
  engine.work({ giveUpAfter: "5s" }).catch((reason) => error = reason);
  await eventually(() => {
    clock.advance(100);
    return error !== undefined;
  });
  assertEquals(error instanceof StoreError, true);
  other.exec("ROLLBACK");
  other.close();
  engine.work();
  assertEquals(await (await engine.enqueue(job)).result(), "done");
  await assertRejects(() => engine.work({ giveUpAfter: -1 }), RangeError);
});

Deno.test("work({ giveUpAfter }) gives up what failed before it was called, and not for one queue", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const job = workflow("job", () => "done");
  const told: string[] = [];
  await using engine = await Engine.open(file, {
    clock,
    workflows: [job],
    busyTimeout: 10,
    onEvent: (event) => event.type === "storageFailed" && told.push(event.doing),
  });
  await engine.enqueue(job, { queue: "broken" });
  execute(file, "UPDATE queues SET ageing_ms = 'x' WHERE name = 'broken'");
  const errors: unknown[] = [];
  const work = () => {
    engine.work({ giveUpAfter: "5s" }).catch((reason) => errors.push(reason));
  };
  work();
  await eventually(() => told.includes('read queue "broken"'));
  for (let i = 0; i < 100; i++) {
    clock.advance(100);
    await Promise.resolve();
  }
  assertEquals(await (await engine.enqueue(job, { queue: "sound" })).result(), "done");
  assertEquals(errors, []);
  await engine.close();

  await using again = await Engine.open(file, { clock, workflows: [job], busyTimeout: 10 });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  for (const times of [1, 2]) {
    again.work({ giveUpAfter: "5s" }).catch((reason) => errors.push(reason));
    await eventually(() => {
      clock.advance(100);
      return errors.length === times;
    });
  }
  other.exec("ROLLBACK");
  other.close();
});

Deno.test("work() goes on with very many queues and little room, with no time going by", async () => {
  const clock = new ManualClock();
  const job = workflow("job", (ctx) => ctx.step("a", () => ctx.workflowId));
  await using engine = await Engine.open(":memory:", { clock, workflows: [job], maxRunning: 2 });
  const handles = [];
  for (let i = 0; i < 80; i++) handles.push(await engine.enqueue(job, { id: `w${i}`, queue: `q${i % 40}` }));
  engine.work();
  assertEquals((await Promise.all(handles.map((handle) => handle.result()))).length, 80);
});

Deno.test("a parent and its children go on in turns where one of them has room at a time, with no time going by", async () => {
  const clock = new ManualClock();
  const child = workflow("child", (ctx, i: number) => ctx.step("s", () => i));
  const parent = workflow("parent", async (ctx, children: number) => {
    const sums = [];
    for (let round = 0; round < 2; round++) {
      const all = Array.from({ length: children }, (_, i) => ctx.child(child, { input: i }));
      sums.push((await Promise.all(all)).reduce((sum, i) => sum + i, 0));
    }
    return sums;
  });
  for (const [children, sum] of [[1, 0], [2, 1], [5, 10]] as const) {
    await using engine = await Engine.open(":memory:", { clock, workflows: [child, parent], maxRunning: 1 });
    assertEquals(await engine.run(parent, { input: children }), [sum, sum]);
  }
});

Deno.test("a slot that a claim seemed to have is given away once the claim is over", async () => {
  const clock = new ManualClock();
  const checked = Promise.withResolvers<void>();
  const { open, workflow: busy } = gated();
  const validated = workflow("validated", {
    input: {
      "~standard": {
        version: 1,
        vendor: "test",
        validate: async (value: unknown) => {
          await checked.promise;
          return { value };
        },
      },
    },
  }, (ctx) => busy.run(ctx, undefined));
  const quick = workflow("quick", () => "done");
  const two = queue("two", { concurrency: 2 });
  await using engine = await Engine.open(":memory:", { clock, workflows: [validated, quick], queues: [two] });
  const first = await engine.enqueue("validated", { id: "first", queue: two, input: 1 });
  engine.work();
  await eventually(async () => await first.status() === "running");
  const second = await engine.enqueue(quick, { queue: two });
  checked.resolve();
  assertEquals(await second.result(), "done");
  assertEquals(await first.status(), "running");
  open("first");
  await first.result();
});

Deno.test("a message that comes just before a process begins to look for messages wakes what waits there", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const waiting = workflow("waiting", (ctx) => ctx.waitForSignal<number>("go"));
  await using other = await Engine.open(file, { clock });
  {
    await using before = await Engine.open(file, { clock, workflows: [waiting] });
    const handle = await before.start(waiting, { id: "w" });
    await eventually(async () => {
      clock.advance(100);
      return await handle.status() === "waiting";
    });
  }
  const last = Mailbox.prototype.last;
  let isSent = false;
  Mailbox.prototype.last = async function () {
    if (!isSent) {
      isSent = true;
      await other.signal("w", "go", 5);
    }
    return await last.call(this);
  };
  try {
    await using engine = await Engine.open(file, { clock, workflows: [waiting] });
    const result = engine.run(waiting, { id: "w" });
    let ended: number | undefined;
    result.then((value) => ended = value);
    await eventually(() => ended === 5);
    assertEquals(isSent, true);
  } finally {
    Mailbox.prototype.last = last;
  }
});

Deno.test("a delayed fork in a queue keeps its delay through pause() and resume(), and ends when it is cancelled", async () => {
  const clock = new ManualClock();
  const job = workflow("job", async (ctx) => {
    await ctx.step("a", () => 1);
    return await ctx.step("b", () => 2);
  });
  await using engine = await Engine.open(":memory:", { clock, workflows: [job] });
  await engine.run(job, { id: "first" });
  const forks = [];
  for (const newId of ["kept", "cancelled"]) {
    forks.push(await engine.fork("first", { fromStep: "b", newId, queue: "q", delay: "1h" }));
  }
  const [kept, cancelled] = forks;
  await engine.pause("kept");
  await engine.resume("kept");
  assertEquals(await kept!.status(), "waiting");
  await engine.pauseQueue("q");
  engine.work();
  await engine.cancel("cancelled");
  await eventually(async () => await cancelled!.status() === "cancelled");
  await engine.resumeQueue("q");
  clock.advance(3_600_000);
  await eventually(async () => await kept!.status() === "completed");
});

Deno.test("a pause after a failed claim lasts as long as it is, whatever the clock is set back to", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new SettableClock();
  const job = workflow("job", () => "done");
  const events: string[] = [];
  await using engine = await Engine.open(file, {
    clock,
    workflows: [job],
    busyTimeout: 10,
    onEvent: ({ type }) => events.push(type),
  });
  engine.work();
  await eventually(async () => (await engine.executors())[0]?.isWorking === true);
  const handle = await engine.enqueue(job, { id: "j", delay: "1s" });
  const other = new DatabaseSync(file);
  other.exec("BEGIN IMMEDIATE");
  await eventually(() => {
    clock.advance(100);
    return events.includes("storageFailed");
  });
  clock.jump(-3_600_000);
  other.exec("ROLLBACK");
  other.close();
  clock.jump(3_600_000);
  await eventually(async () => {
    clock.advance(100);
    return await handle.status() === "completed";
  });
});

Deno.test("codeMissing tells once of workflows that no living process has the code of", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const missing: unknown[] = [];
  await using engine = await Engine.open(file, {
    clock,
    workflows: [workflow("own", () => {})],
    onEvent: (event) => event.type === "codeMissing" && missing.push([event.workflow, event.version]),
  });
  engine.work();
  await engine.enqueue("other", { queue: "q" });
  await engine.enqueue("own", { version: "2", queue: "q" });
  for (let i = 0; i < 3; i++) {
    await eventually(() => {
      clock.advance(60_000);
      return missing.length >= 2;
    });
  }
  assertEquals(missing, [["other", undefined], ["own", "2"]]);
  await using second = await Engine.open(file, { clock, workflows: [workflow("other", () => {})] });
  second.work();
  await eventually(async () => {
    clock.advance(100);
    return (await engine.queues())[0]!.depth === 1;
  });
});

for (
  const [what, sql] of Object.entries({
    "a name that no code has": "name = 'jnb'",
    "another version": "version = 'x'",
    "a status that there is not": "status = 'pendilg'",
    "a queue that there is not": "queue = 999",
    "an outcome that it cannot have": "checksum = 1",
    "a time that is none": "retried_at = 9e17",
  })
) {
  Deno.test(`a workflow with ${what} in its row is blocked or told of, and why() says what is wrong`, async () => {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const clock = new ManualClock();
    const job = workflow("job", () => "done");
    {
      await using engine = await Engine.open(file);
      await engine.enqueue(job, { id: "victim", queue: "q" });
      await engine.enqueue(job, { id: "bystander", queue: "q" });
    }
    execute(file, `UPDATE workflows SET ${sql} WHERE workflow_id = 'victim'`);
    const told: string[] = [];
    await using engine = await Engine.open(file, {
      clock,
      workflows: [job],
      onEvent: ({ type, workflowId }) =>
        (type === "blocked" && workflowId === "victim" || type === "storageFailed") && told.push(type),
    });
    engine.work();
    assertEquals(await engine.handle("bystander").result(), "done");
    await eventually(() => {
      clock.advance(6_000);
      return told.length > 0;
    });
    const { status, reason } = await engine.why("victim");
    assertEquals([status, /victim|not as it was|checksum|no time|no integer|queue 999|status/.test(reason)], [
      "blocked",
      true,
    ], reason);
  });
}
