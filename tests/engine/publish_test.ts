import {
  CancelledError,
  type Context,
  CorruptCheckpointError,
  Engine,
  EngineClosedError,
  type Handle,
  LimitExceededError,
  SerializationError,
  workflow,
  WorkflowNotFoundError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertGreater, assertRejects } from "@std/assert";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { lostAtEveryCall } from "./lost_at_every_call.ts";

/** A workflow that publishes a value, waits for a signal, publishes another one, and waits again. */
const twice = workflow("twice", async (ctx) => {
  await ctx.publish("state", { place: 1 });
  await ctx.waitForSignal("go");
  await ctx.publish("state", { place: 2 });
  await ctx.waitForSignal("end");
});

/** All that a table has of the workflows in a file. */
const rowsOf = (file: string) => query(file, "SELECT * FROM published ORDER BY workflow, key");

Deno.test("ctx.publish() sets the latest value under a key, for handle.read()", async () => {
  await using engine = await Engine.open(":memory:");
  const handle = await engine.start(twice, { id: "w" });
  assertEquals(await handle.read("state", { wait: true }), { place: 1 });
  assertEquals(await handle.read("other"), undefined);
  await handle.signal("go");
  await eventually(async () => (await handle.read<{ place: number }>("state"))!.place === 2);
  await handle.signal("end");
  await handle.result();
  assertEquals(await handle.read("state"), { place: 2 });
  assertEquals(await handle.read("state", { wait: true }), { place: 2 });
});

Deno.test("ctx.publish() keeps the values of workflows and keys apart", async () => {
  await using engine = await Engine.open(":memory:");
  const named = workflow("named", async (ctx, name: string) => {
    await ctx.all(["a", "b"].map((key) => (ctx) => ctx.publish(key, `${key} of ${name}`)));
  });
  await Promise.all(["one", "two"].map((id) => engine.run(named, { id, input: id })));
  const read = (id: string, key: string) => engine.handle(id).read(key);
  assertEquals(
    await Promise.all([read("one", "a"), read("one", "b"), read("two", "a"), read("two", "b")]),
    ["a of one", "b of one", "a of two", "b of two"],
  );
});

Deno.test("ctx.publish() takes what a step may return, and a person can read what is plain", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const values = {
    rich: new Map([[1n, new Date(5)]]),
    plain: { list: [1, "two", null] },
    nothing: undefined,
  };
  const all = workflow("all", async (ctx) => {
    for (const [key, value] of Object.entries(values)) await ctx.publish(key, value);
  });
  await engine.run(all, { id: "w" });
  for (const [key, value] of Object.entries(values)) {
    assertEquals(await engine.handle("w").read(key, { wait: true }), value);
  }
  assertEquals(rowsOf(folder.file("a.db")).map(({ key, value_json }) => [key, value_json]), [
    ["nothing", null],
    ["plain", '{"list":[1,"two",null]}'],
    ["rich", rowsOf(folder.file("a.db"))[2]!.value_json],
  ]);
});

Deno.test("ctx.publish() publishes what was asked for last, as it was then, however long it takes to be encoded", async () => {
  await using engine = await Engine.open(":memory:");
  const racing = workflow("racing", async (ctx) => {
    const value = { count: 1 };
    const published = [
      ctx.publish("state", new Map([["count", 0]])),
      ctx.publish("state", value),
    ];
    value.count = 99;
    await Promise.all(published);
  });
  await engine.run(racing, { id: "w" });
  assertEquals(await engine.handle("w").read("state"), { count: 1 });
});

Deno.test("ctx.publish() is a checkpoint: a replay is silent", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  let before: unknown;
  {
    await using engine = await Engine.open(file, { clock });
    const handle = await engine.start(twice, { id: "w" });
    await handle.read("state", { wait: true });
    before = rowsOf(file);
  }
  clock.advance(1_000);
  await using engine = await Engine.open(file, { clock, workflows: [twice] });
  const handle = await engine.resume("w");
  clock.advance(1_000);
  assertEquals(rowsOf(file), before);
  await handle.signal("go");
  await eventually(async () => (await handle.read<{ place: number }>("state"))!.place === 2);
  assertEquals(
    (await engine.get("w"))!.steps.map(({ key, kind }) => `${kind} ${key}`).slice(0, 3),
    ["publish publish:state#000001", "signal signal:go#000001", "publish publish:state#000002"],
  );
});

Deno.test("ctx.publish() publishes exactly once, at whatever call of the store its process is lost", async () => {
  const run = async (ctx: Context) => {
    await ctx.publish("state", "begun");
    await ctx.all([1, 2].map((i) => async (ctx: Context) => {
      await ctx.publish(`branch ${i}`, i);
      await ctx.step("work", () => i);
      await ctx.publish(`branch ${i}`, new Set([i]));
    }));
    await ctx.publish("state", "done");
  };
  const calls = await lostAtEveryCall(run, {
    after: (file, where) => {
      // What is published is what the last of the checkpoints under its key says.
      const checkpoints = query(
        file,
        `SELECT substr(step_key, 9, length(step_key) - 15) AS key, max(completion) AS completion
          FROM checkpoints WHERE kind = 6 GROUP BY key ORDER BY key`,
      );
      const published = rowsOf(file).map(({ key, completion }) => ({ key, completion }));
      assertEquals(published, checkpoints, where);
    },
    atEnd: async (file, where) => {
      await using engine = await Engine.open(file);
      const keys = ["state", "branch 1", "branch 2"];
      const values = await Promise.all(keys.map((key) => engine.handle("w").read(key)));
      assertEquals(values, ["done", new Set([1]), new Set([2])], where);
      assertEquals((await engine.get("w"))!.steps.length, 8, where);
    },
  });
  assertGreater(calls, 8);
});

Deno.test("ctx.publish() publishes anew what it had published after the failure that a retry goes back to", async () => {
  let broken = true;
  const failing = workflow("failing", async (ctx) => {
    await ctx.publish("state", "begun");
    try {
      await ctx.step("fragile", () => {
        if (broken) throw new Error("Broken");
      });
    } catch (error) {
      await ctx.publish("state", "failed");
      throw error;
    }
    await ctx.publish("state", "done");
  });
  await using engine = await Engine.open(":memory:", { workflows: [failing] });
  await assertRejects(() => engine.run(failing, { id: "w" }), Error, "Broken");
  assertEquals(await engine.handle("w").read("state"), "failed");
  broken = false;
  await (await engine.retry("w")).result();
  assertEquals(await engine.handle("w").read("state"), "done");
  assertEquals((await engine.get("w"))!.steps.map(({ key, status }) => `${key} ${status}`), [
    "publish:state#000001 completed",
    "fragile#000001 completed",
    "publish:state#000002 completed",
  ]);
});

Deno.test("ctx.publish() refuses what cannot be stored or named, and the workflow may go on", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  await using engine = await Engine.open(":memory:", { maxValueBytes: 20, alwaysReplay: false });
  const attempts: [string, unknown][] = [
    ["state", { call: () => {} }],
    ["state", "a text of more than twenty bytes"],
    ["state", new Map([["key", "a text of more than twenty bytes"]])],
    ["", 1],
    ["new\nline", 1],
    [7 as unknown as string, 1],
  ];
  const errors: string[] = [];
  const refused = workflow("refused", async (ctx) => {
    await ctx.publish("state", "good");
    for (const [key, value] of attempts) {
      await ctx.publish(key, value).catch((error) => errors.push(`${error.name}: ${error.message}`));
    }
  });
  await engine.run(refused, { id: "w" });
  const tooLong =
    'LimitExceededError: Cannot store what is published as "state": the limit maxValueBytes is 20';
  assertEquals(errors, [
    'SerializationError: Cannot store what is published as "state": wanted a value of plain data, at .call, found a function',
    tooLong,
    tooLong,
    "RangeError: Cannot use a key to publish under: wanted 1 to 256 characters, found 0",
    "TypeError: Cannot use a key to publish under: wanted no control characters and whole characters only, " +
    'found "new\\nline"',
    "TypeError: Cannot use a key to publish under: wanted a string, found number",
  ]);
  assertEquals(await engine.handle("w").read("state"), "good");
  assertEquals((await engine.get("w"))!.steps.map(({ status }) => status), [
    "completed",
    "failed",
    "failed",
    "failed",
  ]);
});

Deno.test("ctx.publish() fails the workflow with what it refuses, of its own class, if nobody catches it", async () => {
  await using engine = await Engine.open(":memory:");
  const failing = workflow("failing", (ctx) => ctx.publish("state", Symbol("no")));
  await assertRejects(() => engine.run(failing, { id: "w" }), SerializationError);
  assertEquals(await engine.handle("w").read("state", { wait: true }), undefined);
});

Deno.test("ctx.publish() is refused in the function of a step, and in a branch that is given up", async () => {
  await using engine = await Engine.open(":memory:");
  const inStep = workflow("in step", async (ctx) => {
    return await ctx.step("nesting", () => ctx.publish("state", 1).catch((error) => error.message));
  });
  assert((await engine.run(inStep, { id: "s" }) as string).startsWith(
    'Cannot publish "state" in the function of step "nesting#000001"',
  ));
  const givenUp = workflow("given up", async (ctx) => {
    await ctx.all([
      (ctx) => ctx.step("broken", () => Promise.reject(new Error("Broken"))),
      async (ctx) => {
        await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
        await ctx.publish("state", 1);
      },
    ]).catch(() => {});
    await ctx.publish("outside", 2);
  });
  await engine.run(givenUp, { id: "g" });
  assertEquals(await engine.handle("g").read("state"), undefined);
  assertEquals(await engine.handle("g").read("outside"), 2);
  assertEquals(await engine.handle("s").read("state"), undefined);
});

Deno.test("ctx.publish() throws a CancelledError in a workflow that was cancelled", async () => {
  await using engine = await Engine.open(":memory:");
  const errors: unknown[] = [];
  const stubborn = workflow("stubborn", async (ctx) => {
    await ctx.waitForSignal("never").catch(() => {});
    await ctx.publish("state", "after all").catch((error) => errors.push(error));
  });
  const handle = await engine.start(stubborn, { id: "w" });
  await handle.cancel();
  await assertRejects(() => handle.result(), CancelledError);
  assert(errors[0] instanceof CancelledError);
  assertEquals(await handle.read("state"), undefined);
});

Deno.test("ctx.publish() counts for maxSteps: so the keys of a workflow have a limit", async () => {
  await using engine = await Engine.open(":memory:", { maxSteps: 2 });
  const many = workflow("many", async (ctx) => {
    for (let i = 0; i < 3; i++) await ctx.publish(`key ${i}`, i);
  });
  const error = await assertRejects(() => engine.run(many, { id: "w" }), LimitExceededError);
  assertEquals(error.message, 'Cannot add step "publish:key 2" to "w": the limit maxSteps is 2');
});

Deno.test("handle.read() waits until there is a value", async () => {
  await using engine = await Engine.open(":memory:");
  const late = workflow("late", async (ctx) => {
    await ctx.publish("other", 0);
    await ctx.waitForSignal("go");
    await ctx.publish("state", "there");
    await ctx.waitForSignal("end");
  });
  const handle = await engine.start(late);
  const reads = [handle.read("state", { wait: true }), handle.read("state", { wait: "1h" })];
  await handle.signal("go");
  assertEquals(await Promise.all(reads), ["there", "there"]);
  assertEquals(await handle.read("state", { wait: 0 }), "there");
});

Deno.test("handle.read() waits no longer than it is told, nor than the workflow takes to end", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const silent = workflow("silent", async (ctx) => void await ctx.waitForSignal("end"));
  const handle = await engine.start(silent);
  assertEquals(await handle.read("state"), undefined);
  assertEquals(await handle.read("state", { wait: false }), undefined);
  assertEquals(await handle.read("state", { wait: 0 }), undefined);
  let over = false;
  const timed = handle.read("state", { wait: "1m" }).finally(() => over = true);
  await eventually(() => clock.timers.includes(60_000));
  clock.advance(59_999);
  await handle.status();
  assertEquals(over, false);
  clock.advance(1);
  assertEquals(await timed, undefined);
  const untilEnd = handle.read("state", { wait: true });
  await handle.signal("end");
  assertEquals(await untilEnd, undefined);
  await handle.result();
  assertEquals(clock.timers.filter((ms) => ms > 31_000), []);
});

Deno.test("handle.read() reads and waits for what another process publishes", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using reader = await Engine.open(file);
  await using writer = await Engine.open(file);
  const handle = await writer.start(twice, { id: "w" });
  const other: Handle<unknown> = reader.handle("w");
  assertEquals(await other.read("state", { wait: true }), { place: 1 });
  const never = other.read("never", { wait: true });
  await handle.signal("go");
  await eventually(async () => (await other.read<{ place: number }>("state"))!.place === 2);
  await other.signal("end");
  assertEquals(await never, undefined);
  assertEquals(await other.read("state"), { place: 2 });
});

Deno.test("handle.read() rejects for an unknown workflow, a bad key, a bad time, and a closed engine", async () => {
  const engine = await Engine.open(":memory:");
  await assertRejects(() => engine.handle("nobody").read("state"), WorkflowNotFoundError);
  await assertRejects(() => engine.handle("nobody").read("state", { wait: true }), WorkflowNotFoundError);
  await assertRejects(() => engine.handle("w").read(""), RangeError, "a key of what is published");
  await assertRejects(() => engine.handle("w").read("a", { wait: "soon" as "1s" }), TypeError);
  const handle = await engine.start(twice, { id: "w" });
  const waiting = handle.read("never", { wait: true });
  await handle.read("state", { wait: true });
  await Promise.all([engine.close(), assertRejects(() => waiting, EngineClosedError)]);
  await assertRejects(() => handle.read("state"), EngineClosedError);
});

Deno.test("handle.read() throws a CorruptCheckpointError for a row that is not as it was written", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const publishing = workflow("publishing", async (ctx) => {
    await ctx.publish("one", { n: 1 });
    await ctx.publish("two", { n: 2 });
  });
  {
    await using engine = await Engine.open(file);
    await engine.run(publishing, { id: "w" });
    await engine.run(publishing, { id: "v" });
  }
  const damages = [
    `value_json = '{"n":3}'`,
    "value_json = substr(value_json, 1, 4)",
    "value_json = NULL",
    "value_json = CAST(value_json AS BLOB)",
    "published_at = published_at + 1",
    "completion = completion + 1",
    "checksum = checksum + 1",
    "(value_json, published_at, completion, checksum) = (SELECT value_json, published_at, completion, checksum " +
    "FROM published p WHERE p.key = 'two' AND p.workflow = published.workflow)",
    "(value_json, published_at, completion, checksum) = (SELECT value_json, published_at, completion, checksum " +
    "FROM published p WHERE p.key = 'one' AND p.workflow <> published.workflow)",
  ];
  const whereOne = "key = 'one' AND workflow = (SELECT workflow FROM workflows WHERE workflow_id = 'w')";
  for (const damage of damages) {
    const damaged = folder.file("damaged.db");
    await Deno.copyFile(file, damaged);
    execute(damaged, `UPDATE published SET ${damage} WHERE ${whereOne}`);
    {
      await using engine = await Engine.open(damaged);
      const error = await assertRejects(() => engine.handle("w").read("one"), CorruptCheckpointError);
      assertEquals([error.workflowId, error.key], ["w", "publish:one"], damage);
      assertEquals(await engine.handle("w").read("two"), { n: 2 });
    }
    await Deno.remove(damaged);
  }
});
