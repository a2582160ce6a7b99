import { type Duration, Engine, type EngineOptions, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { durationMs } from "../../engine/duration.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("Engine.open() refuses an option that is not as it must be, and names it", async () => {
  const twice = [workflow("same", () => {}), workflow("same", () => {})];
  const cases: [Record<string, unknown>, typeof TypeError | typeof RangeError, string][] = [
    [{ durability: "some" }, TypeError, 'the option durability: wanted "full" or "normal", found "some"'],
    [{ sqlite: "wasm" }, TypeError, 'the option sqlite: wanted "builtin" or "ffi", found "wasm"'],
    [{ workflows: twice }, TypeError, 'two of them are named "same"'],
    [{ workflows: [() => {}] }, TypeError, "wanted what workflow() returns"],
    [{ workflows: "order" }, TypeError, "wanted an array"],
    [{ onEvent: "print" }, TypeError, "the option onEvent: wanted a function, found string"],
    [{ zombieTimeout: "soon" }, TypeError, "option zombieTimeout"],
    [{ zombieTimeout: -1 }, RangeError, "option zombieTimeout"],
    [{ closeGrace: {} }, TypeError, "option closeGrace"],
    [{ busyTimeout: NaN }, RangeError, "option busyTimeout"],
    [{ maxRecoveries: -1 }, RangeError, "the option maxRecoveries: wanted an integer from 0, found -1"],
    [{ maxValueBytes: 0 }, RangeError, "option maxValueBytes"],
    [{ maxSteps: 1.5 }, RangeError, "option maxSteps"],
    [{ maxRunning: "9" }, RangeError, "option maxRunning"],
  ];
  for (const [options, Class, message] of cases) {
    await assertRejects(() => Engine.open(":memory:", options as EngineOptions), Class, message);
  }
});

Deno.test("Engine.open() refuses a location that is none", async () => {
  for (
    const location of ["", undefined, 5, "postgres://u:secret@localhost/shop", "http://example.com/a.db"]
  ) {
    const error = await assertRejects(
      () => Engine.open(location as string),
      TypeError,
      'wanted a file\'s path or ":memory:"',
    );
    assertEquals(error.message.includes("secret"), false);
  }
});

Deno.test("Engine.open() on :memory: keeps everything until it is closed, and shares it with no other", async () => {
  const quick = workflow("quick", (ctx) => ctx.step("step", () => ctx.runId));
  await using one = await Engine.open(":memory:");
  await using two = await Engine.open(":memory:", { durability: "normal", growWal: true });
  const first = await one.run(quick, { id: "q" });
  assertEquals(await one.run(quick, { id: "q" }), first);
  assertEquals(await two.get("q"), undefined);
});

Deno.test("Engine.open() makes the file where it is missing", async () => {
  await using folder = temporaryFolder();
  for (const name of ["new.db", "with space & ünïcode 'quote'.db", "no_extension"]) {
    await using engine = await Engine.open(folder.file(name));
    assertEquals(await engine.list(), []);
    assertEquals(query(folder.file(name), "SELECT count(*) AS n FROM workflows"), [{ n: 0 }]);
  }
});

Deno.test("Engine.open() takes a path that is relative to what the current folder is at that time", async () => {
  await using folder = temporaryFolder();
  const cwd = Deno.cwd();
  Deno.chdir(folder.path);
  try {
    await using engine = await Engine.open("relative.db");
    Deno.chdir(cwd);
    const quick = workflow(
      "quick",
      () => folder.names.filter((name) => name.includes("executor")).length > 0,
    );
    assertEquals(await engine.run(quick), true);
  } finally {
    Deno.chdir(cwd);
  }
  assertEquals(folder.names, ["relative.db"]);
});

Deno.test("zombieTimeout is the lease that is written down", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const lease = (zombieTimeout?: Duration) => async () => {
    const clock = { now: () => 1_000_000, setTimer: () => () => {} };
    await using engine = await Engine.open(file, {
      clock,
      ...(zombieTimeout !== undefined && { zombieTimeout }),
    });
    return await engine.run(
      workflow("look", () => query(file, "SELECT lease_until - 1000000 AS ms FROM executors")),
    );
  };
  assertEquals(await lease()(), [{ ms: 30_000 }]);
  assertEquals(await lease("2h")(), [{ ms: 7_200_000 }]);
  assertEquals(await lease(500)(), [{ ms: 500 }]);
});

Deno.test("durationMs() takes milliseconds, or a number with a unit", () => {
  const durations: Duration[] = [0, 1.5, "250ms", "10s", "5m", "2h", "3d", "1.5h", "0s"];
  assertEquals(durations.map((duration) => durationMs(duration)), [
    0,
    1.5,
    250,
    10_000,
    300_000,
    7_200_000,
    259_200_000,
    5_400_000,
    0,
  ]);
});

Deno.test("durationMs() refuses what is no duration", () => {
  for (const text of ["", "10", "s", "10 s", "-1s", "1e3s", "10S", "1h30m", ".5s", "1.s", " 1s"]) {
    assertThrows(() => durationMs(text), TypeError, "wanted a number with a unit");
  }
  for (const number of [-1, NaN, Infinity, 9_000_000_000_001, "104166.7d"]) {
    assertThrows(() => durationMs(number), RangeError, "wanted 0 to 9000000000000 ms");
  }
  for (const other of [undefined, null, {}, true]) {
    assertThrows(() => durationMs(other as never, "pause"), TypeError, "Cannot read the pause");
  }
});
