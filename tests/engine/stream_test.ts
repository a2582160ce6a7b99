import {
  type Context,
  CorruptCheckpointError,
  Engine,
  EngineClosedError,
  LimitExceededError,
  type StreamEntry,
  workflow,
  WorkflowNotFoundError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertGreater, assertRejects, assertThrows } from "@std/assert";
import { Publications } from "../../engine/store/publications.ts";
import { startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { openDatabase } from "../../engine/store/open.ts";
import { engineSettings } from "../../engine/options.ts";
import { Turns } from "../../engine/turns.ts";
import { lostAtEveryCall } from "./lost_at_every_call.ts";

const READER = import.meta.resolve("./stream_reading_worker.ts");
const WRITER = import.meta.resolve("./stream_worker.ts");

/** A workflow that emits the numbers from 0 on, up to the one that it is sent, and ends when it is sent -1. */
const counting = workflow("counting", async (ctx) => {
  for (let i = 0;;) {
    const end = await ctx.waitForSignal<number>("up to");
    if (end === -1) return;
    while (i < end!) await ctx.emit("numbers", i++);
  }
});

/** The entries of numbers that are their own positions. */
const numbers = (from: number, end: number): StreamEntry<number>[] =>
  Array.from({ length: end - from }, (_, i) => ({ position: from + i, value: from + i }));

Deno.test("handle.stream() gives what ctx.emit() has added, and ends with the workflow", async () => {
  await using engine = await Engine.open(":memory:");
  const emitting = workflow("emitting", async (ctx) => {
    await ctx.emit("s", { rich: new Date(7) });
    await ctx.emit("other", "not this");
    await ctx.emit("s", undefined);
    await ctx.emit("s", "plain");
  });
  await engine.run(emitting, { id: "w" });
  const handle = engine.handle("w");
  assertEquals(await Array.fromAsync(handle.stream("s")), [
    { position: 0, value: { rich: new Date(7) } },
    { position: 1, value: undefined },
    { position: 2, value: "plain" },
  ]);
  assertEquals(await Array.fromAsync(handle.stream("s", { from: 2 })), [{ position: 2, value: "plain" }]);
  assertEquals(await Array.fromAsync(handle.stream("s", { from: 3 })), []);
  assertEquals(await Array.fromAsync(handle.stream("none")), []);
});

Deno.test("handle.stream() follows a workflow that runs here, without a look at a clock", async () => {
  // Its clock stands still: nothing that is polled would ever come.
  await using engine = await Engine.open(":memory:", { clock: new ManualClock() });
  const handle = await engine.start(counting);
  const stream = handle.stream<number>("numbers");
  const first = stream.next();
  await handle.signal("up to", 1);
  assertEquals((await first).value, { position: 0, value: 0 });
  const rest = Array.fromAsync(stream);
  const late = Array.fromAsync(handle.stream<number>("numbers", { from: 4 }));
  await handle.signal("up to", 3);
  await handle.signal("up to", 6);
  await handle.signal("up to", -1);
  assertEquals(await rest, numbers(1, 6));
  assertEquals(await late, numbers(4, 6));
});

Deno.test("handle.stream() follows a workflow that another engine runs on the file", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using reader = await Engine.open(file);
  await using writer = await Engine.open(file);
  const handle = await writer.start(counting, { id: "w" });
  const stream = reader.handle("w").stream<number>("numbers");
  for (let i = 0; i < 3; i++) {
    const next = stream.next();
    await handle.signal("up to", i + 1);
    assertEquals((await next).value, { position: i, value: i });
  }
  await handle.signal("up to", -1);
  assertEquals(await stream.next(), { done: true, value: undefined });
});

Deno.test("handle.stream() goes on across the end of the process that runs the workflow, and of the one that reads", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const all: StreamEntry<number>[] = [];
  let following: Promise<void> | undefined;
  for (const life of [0, 1, 2]) {
    await using writer = startChild(WRITER, file, "w");
    await writer.line("open");
    await eventually(() => engine.get("w"));
    following ??= (async () => {
      for await (const entry of engine.handle("w").stream<number>("numbers")) all.push(entry);
    })();
    await using reader = startChild(READER, file, "w", String(2 * life));
    await reader.line("open");
    for (const i of [2 * life, 2 * life + 1]) {
      await writer.say("next");
      await writer.line(`emitted ${i}`);
      assertEquals(await reader.line(`entry ${i} `), String(i));
    }
    if (life < 2) continue;
    assertEquals((await writer.ended()).code, 0);
    await reader.line("ended");
    assertEquals((await reader.ended()).code, 0);
  }
  await following;
  assertEquals(all, numbers(0, 6));
});

Deno.test("ctx.emit() adds each entry exactly once, at whatever call of the store its process is lost", async () => {
  const run = async (ctx: Context) => {
    await ctx.emit("all", "begun");
    await ctx.all(["a", "b"].map((name) => async (ctx: Context) => {
      await ctx.emit(name, 0);
      await ctx.step("work", () => name);
      await ctx.emit("all", `${name} worked`);
      await ctx.emit(name, new Set([1]));
    }));
    await ctx.emit("all", "done");
  };
  const calls = await lostAtEveryCall(run, {
    after: (file, where) => {
      const completions = (sql: string) => query(file, sql).map(({ completion }) => completion);
      assertEquals(
        completions("SELECT completion FROM emitted ORDER BY completion"),
        completions("SELECT completion FROM checkpoints WHERE kind = 7 ORDER BY completion"),
        where,
      );
    },
    atEnd: async (file, where) => {
      await using engine = await Engine.open(file);
      const read = async (stream: string) =>
        (await Array.fromAsync(engine.handle("w").stream(stream))).map(({ value }) => value);
      const all = await read("all") as string[];
      assertEquals([all[0], all[3], all.toSorted()], [
        "begun",
        "done",
        ["a worked", "b worked", "begun", "done"],
      ], where);
      assertEquals([await read("a"), await read("b")], [[0, new Set([1])], [0, new Set([1])]], where);
    },
  });
  assertGreater(calls, 10);
});

Deno.test("ctx.emit() keeps the order of its calls, in parallel branches, and however long a value takes to be encoded", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  await using engine = await Engine.open(":memory:", { alwaysReplay: false });
  const order: string[] = [];
  const parallel = workflow("parallel", async (ctx) => {
    const emit = (ctx: Context, name: string, value: unknown) => {
      order.push(name);
      return ctx.emit("s", value);
    };
    const mutable = { count: 1 };
    const unawaited = [
      emit(ctx, "rich", new Map([["name", "rich"]])),
      emit(ctx, "refused", () => {}).catch(() => {}),
      emit(ctx, "plain", mutable),
      emit(ctx, "rich again", new Map()),
    ];
    mutable.count = 99;
    await Promise.all(unawaited);
    await ctx.all(["a", "b", "c"].map((name) => async (ctx: Context) => {
      for (let i = 0; i < 5; i++) {
        await emit(ctx, `${name} ${i}`, i % 2 === 0 ? new Map([[name, i]]) : { [name]: i });
        if (name === "b") await ctx.step("work", () => i);
      }
    }));
  });
  await engine.run(parallel, { id: "w" });
  const entries = await Array.fromAsync(engine.handle("w").stream("s"));
  const names = entries.map(({ value }) => {
    if (value instanceof Map) {
      const [[key, number]] = value.size === 0 ? [["rich again"]] : [...value];
      return number === undefined || key === "name" ? number ?? key : `${key} ${number}`;
    }
    const [[key, number]] = Object.entries(value as object) as [[string, number]];
    return key === "count" ? number === 1 ? "plain" : "changed" : `${key} ${number}`;
  });
  assertEquals(names, order.filter((name) => name !== "refused"));
  assertEquals(entries.map(({ position }) => position), entries.map((_, i) => i));
});

Deno.test("ctx.emit() is silent in a replay, however often the workflow is let go", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"), { alwaysReplay: true });
  const handle = await engine.start(counting, { id: "w" });
  const read = Array.fromAsync(handle.stream<number>("numbers"));
  for (const end of [2, 3, 3, 5, -1]) {
    await eventually(async () => await handle.status() === "waiting");
    await handle.signal("up to", end);
  }
  assertEquals(await read, numbers(0, 5));
});

Deno.test("ctx.emit() goes on at the next position when a workflow that has failed is retried", async () => {
  let broken = true;
  const failing = workflow("failing", async (ctx) => {
    await ctx.emit("s", "before");
    try {
      await ctx.step("fragile", () => {
        if (broken) throw new Error("Broken");
      });
    } catch (error) {
      await ctx.emit("s", "failed");
      throw error;
    }
    await ctx.emit("s", "after");
  });
  await using engine = await Engine.open(":memory:", { workflows: [failing] });
  await assertRejects(() => engine.run(failing, { id: "w" }));
  const values = async () =>
    (await Array.fromAsync(engine.handle("w").stream("s"))).map(({ value }) => value);
  assertEquals(await values(), ["before", "failed"]);
  broken = false;
  await (await engine.retry("w")).result();
  assertEquals(await values(), ["before", "failed", "after"]);
});

Deno.test("ctx.emit() that was asked for, and is begun after its branch was given up, adds nothing", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const errors: string[] = [];
  const failing = workflow("failing", async (ctx) => {
    await ctx.all([
      (ctx) => ctx.step("too long", () => "long".repeat(30)),
      (ctx) => ctx.emit("s", 1).catch((error) => void errors.push(error.name)),
    ]).catch(() => {});
    await ctx.waitForSignal("end");
  });
  const options = { maxValueBytes: 100, workflows: [failing], alwaysReplay: false };
  {
    await using engine = await Engine.open(file, options);
    const handle = await engine.start(failing, { id: "w" });
    assertEquals((await handle.stream("s").next()).value!.value, 1);
    await eventually(() => query(file, "SELECT 1 FROM checkpoints WHERE completion = 2").length === 1);
  }
  // As if the process had been lost before this was committed.
  execute(file, "DELETE FROM checkpoints WHERE completion = 2; DELETE FROM emitted");
  await using engine = await Engine.open(file, options);
  const handle = await engine.resume("w");
  await handle.signal("end");
  await handle.result();
  assertEquals(errors, ["LimitExceededError"]);
  assertEquals(await Array.fromAsync(handle.stream("s")), []);
  assertEquals((await engine.get("w"))!.steps.map(({ key, status }) => `${key} ${status}`).slice(0, 2), [
    "too long#000001 failed",
    "emit:s#000001 failed",
  ]);
});

Deno.test("ctx.emit() counts for maxSteps: so a stream has a limit", async () => {
  await using engine = await Engine.open(":memory:", { maxSteps: 3 });
  const endless = workflow("endless", async (ctx) => {
    while (true) await ctx.emit("s", 1);
  });
  const error = await assertRejects(() => engine.run(endless, { id: "w" }), LimitExceededError);
  assertEquals(error.message, 'Cannot add step "emit:s" to "w": the limit maxSteps is 3');
  assertEquals((await Array.fromAsync(engine.handle("w").stream("s"))).length, 3);
});

Deno.test("ctx.emit() refuses bad names and values, and is refused in the function of a step", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  await using engine = await Engine.open(":memory:", { maxValueBytes: 100, alwaysReplay: false });
  const errors: string[] = [];
  const note = (error: Error) => void errors.push(`${error.name}: ${error.message}`);
  const refused = workflow("refused", async (ctx) => {
    await ctx.emit("", 1).catch(note);
    await ctx.emit("s", "long".repeat(50)).catch(note);
    await ctx.step("nesting", () => ctx.emit("s", 1).catch(note));
    await ctx.emit("s", "good");
  });
  await engine.run(refused, { id: "w" });
  assertEquals(errors, [
    "RangeError: Cannot use a stream's name: wanted 1 to 256 characters, found 0",
    'LimitExceededError: Cannot store an entry of stream "s": the limit maxValueBytes is 100',
    `TypeError: Cannot emit "s" in the function of step "nesting#000001": a step has no steps of its own, ` +
    "and would not run them again in a replay",
  ]);
  assertEquals(await Array.fromAsync(engine.handle("w").stream("s")), [{ position: 0, value: "good" }]);
});

Deno.test("handle.stream() gives each entry once, however many are asked for at a time", async () => {
  await using engine = await Engine.open(":memory:");
  const handle = await engine.start(counting);
  const stream = handle.stream<number>("numbers");
  const results = Array.from({ length: 5 }, () => stream.next());
  await handle.signal("up to", 3);
  await handle.signal("up to", -1);
  assertEquals((await Promise.all(results)).map(({ value }) => value?.value), [
    0,
    1,
    2,
    undefined,
    undefined,
  ]);
});

Deno.test("handle.stream() is released by return(), also while it waits", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  const handle = await engine.start(counting, { id: "w" });
  const held = () => clock.timers.length;
  await handle.signal("up to", 3);
  const stream = handle.stream<number>("numbers", { from: 1 });
  assertEquals((await stream.next()).value, { position: 1, value: 1 });
  assertEquals((await stream.next()).value, { position: 2, value: 2 });
  const before = held();
  const waiting = [stream.next(), stream.next()];
  await handle.status();
  assertEquals(await stream.return!(), { done: true, value: undefined });
  assertEquals((await Promise.all(waiting)).map(({ done }) => done), [true, true]);
  assertEquals((await stream.next()).done, true);
  assertEquals(held(), before);
  for await (const { value } of handle.stream<number>("numbers")) if (value === 1) break;
  await handle.signal("up to", -1);
  await handle.result();
});

Deno.test("handle.stream() reads in pages that are bounded, whatever the size of the values", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const long = "x".repeat(400);
  const emitting = workflow("emitting", async (ctx) => {
    for (let i = 0; i < 250; i++) await ctx.emit("small", i);
    for (let i = 0; i < 5; i++) await ctx.emit("large", i % 2 === 0 ? long : undefined);
  });
  await using engine = await Engine.open(file, { durability: "normal" });
  await engine.run(emitting, { id: "w" });
  const entries = await Array.fromAsync(engine.handle("w").stream<number>("small", { from: 5 }));
  assertEquals(entries, numbers(5, 250));

  const settings = engineSettings({});
  const database = await openDatabase(file, { ...settings, turns: new Turns(settings.clock) });
  const [{ workflow: key }] = query(file, "SELECT workflow FROM workflows") as [{ workflow: number }];
  const page = async (from: number, bytes: number) => {
    const after = { from, completion: 0 };
    const limits = { rows: 4, bytes };
    const rows = await new Publications(database).entries(
      { workflowId: "w", workflow: key },
      "large",
      after,
      limits,
    );
    return rows.map(({ position }) => position);
  };
  assertEquals(await page(0, 1), [0]);
  assertEquals(await page(0, 402), [0]);
  assertEquals(await page(0, 403), [0, 1, 2]);
  assertEquals(await page(1, 1), [1, 2]);
  assertEquals(await page(0, 10_000), [0, 1, 2, 3]);
  assertEquals(await page(4, 1), [4]);
  assertEquals(await page(5, 1), []);
  await database.close();
});

Deno.test("handle.stream() rejects for an unknown workflow and a closed engine, and refuses a bad name or position", async () => {
  const engine = await Engine.open(":memory:");
  await assertRejects(() => engine.handle("nobody").stream("s").next(), WorkflowNotFoundError);
  assertThrows(() => engine.handle("w").stream(""), RangeError, "a stream's name");
  assertThrows(() => engine.handle("w").stream("s", { from: -1 }), RangeError, "found -1");
  assertThrows(() => engine.handle("w").stream("s", { from: 0.5 }), RangeError, "found 0.5");
  const handle = await engine.start(counting, { id: "w" });
  await handle.signal("up to", 1);
  const stream = handle.stream<number>("numbers");
  assertEquals((await stream.next()).value, { position: 0, value: 0 });
  const waiting = stream.next();
  await Promise.all([engine.close(), assertRejects(() => waiting, EngineClosedError)]);
  await assertRejects(() => handle.stream("numbers").next(), EngineClosedError);
});

Deno.test("handle.stream() throws a CorruptCheckpointError where a row is missing or not as it was written, and not before", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const emitting = workflow("emitting", async (ctx) => {
    for (let i = 0; i < 5; i++) await ctx.emit("numbers", i);
    await ctx.emit("other", 2);
  });
  {
    await using engine = await Engine.open(file);
    await engine.run(emitting, { id: "w" });
  }
  const at = (position: number) => `stream = 'numbers' AND position = ${position}`;
  const spoiled = [
    "value_json = '7'",
    "value_json = NULL",
    "value_json = CAST(value_json AS BLOB)",
    "emitted_at = emitted_at + 1",
    "completion = completion + 1",
    "checksum = checksum + 1",
    "position = 7",
    "position = 2.5",
    "stream = 'elsewhere'",
    "workflow = 99",
    "(value_json, emitted_at, completion, checksum) = (SELECT value_json, emitted_at, completion, checksum " +
    `FROM emitted e WHERE e.stream = 'numbers' AND e.position = 1)`,
    "(value_json, emitted_at, completion, checksum) = (SELECT value_json, emitted_at, completion, checksum " +
    `FROM emitted e WHERE e.stream = 'other')`,
  ].map((damage) => ({ sql: `UPDATE emitted SET ${damage} WHERE ${at(2)}`, before: 2 }));
  const damages = [
    ...spoiled,
    { sql: `DELETE FROM emitted WHERE ${at(2)}`, before: 2 },
    { sql: `DELETE FROM emitted WHERE ${at(0)}`, before: 0 },
    {
      sql: `UPDATE emitted SET position = 9 WHERE ${at(2)}; UPDATE emitted SET position = 2 WHERE ${at(3)};
        UPDATE emitted SET position = 3 WHERE ${at(9)}`,
      before: 3,
    },
  ];
  for (const { sql, before } of damages) {
    const damaged = folder.file("damaged.db");
    await Deno.copyFile(file, damaged);
    execute(damaged, sql);
    {
      await using engine = await Engine.open(damaged);
      const read: StreamEntry<number>[] = [];
      const error = await assertRejects(async () => {
        for await (const entry of engine.handle("w").stream<number>("numbers")) read.push(entry);
      }, CorruptCheckpointError);
      assertEquals([error.workflowId, error.key], ["w", `emit:numbers[${before}]`], sql);
      assertEquals(read.length, before, sql);
      assert(read.every(({ position }, i) => position === i), sql);
    }
    await Deno.remove(damaged);
  }
});
