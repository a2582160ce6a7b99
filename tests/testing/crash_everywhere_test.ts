import {
  type Context,
  LimitExceededError,
  NonRetryableError,
  signal,
  StepwellError,
  workflow,
} from "@stepwell/stepwell";
import {
  assertSurvivesCrashes,
  CrashDifferenceError,
  crashEverywhere,
  type CrashPoint,
} from "@stepwell/stepwell/testing";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { z } from "zod";

/** How often each kind of point is among these. */
function count(points: readonly CrashPoint[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const point of points) {
    const name = point.at === "nowhere" ? point.at : `${point.when} ${point.at}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
  return counts;
}

Deno.test("crashEverywhere() loses a workflow at every commit and at both ends of every step", async () => {
  const good = workflow("good", async (ctx, start: number) => {
    let sum = start;
    for (let i = 0; i < 3; i++) sum += await ctx.step("add", () => i);
    return sum;
  });
  const report = await crashEverywhere(good, { input: 10 });
  assertEquals(report.differences, []);
  assertEquals(report.unreached, []);
  assertEquals(report.ending, { status: "completed", outputJson: "13" });
  const counts = count(report.points);
  assertEquals([counts["before step"], counts["during step"]], [3, 3]);
  assertEquals(counts["before commit"], counts["after commit"]);
  assert(counts["before commit"]! >= 5, `${counts["before commit"]} commits`);
  assertEquals(report.repeated.map(({ key, times }) => [key, times]), [
    ["add#000001", 2],
    ["add#000002", 2],
    ["add#000003", 2],
  ]);
  for (const { points } of report.repeated) {
    assertEquals(
      count(points),
      { "before commit": 1, "during step": 1 },
      "before its checkpoint, and during it",
    );
  }
  assertStringIncludes(report.text, 'add#000002 of "good-1", 2 times: before commit');
});

Deno.test("assertSurvivesCrashes() takes a workflow whose schema transforms its input", async () => {
  const input = z.object({ day: z.string().transform((text) => text.length) });
  const transforming = workflow("transforming", { input }, async (ctx, { day }) => {
    return await ctx.step("double", () => day * 2);
  });
  const report = await assertSurvivesCrashes(transforming, { input: { day: "today" } });
  assertEquals(report.ending, { status: "completed", outputJson: "10" });
});

Deno.test("crashEverywhere() passes branches, children, sleeps, signals, retries and compensations", async () => {
  const decided = signal<string>("decided");
  const effects = new Set<string>();
  const effect = (key: string) => void effects.add(key);
  const part = workflow("part", async (ctx, name: string) => {
    await ctx.step("work", ({ idempotencyKey }) => effect(idempotencyKey));
    await ctx.sleep("1h");
    return `${name} ${ctx.random()} ${ctx.uuid()}`;
  });
  const whole = workflow("whole", async (ctx) => {
    await ctx.step("book", ({ idempotencyKey }) => effect(idempotencyKey), {
      compensate: (_, { idempotencyKey }) => effect(idempotencyKey),
    });
    const parts = await ctx.all(["a", "b"].map((name) => async (ctx: Context) => {
      await ctx.step("prepare", async () => await Promise.resolve(name));
      return await ctx.child(part, { id: `${ctx.workflowId}/${name}`, input: name });
    }));
    const decision = await ctx.waitForSignal(decided, { timeout: "3d" });
    await ctx.step("tried", ({ attempt }) => {
      if (attempt < 3) throw new Error("Not yet");
    }, { retry: { maxAttempts: 3 } });
    throw new NonRetryableError(`${decision}: ${parts.join()} ${ctx.random()}`);
  });
  const report = await assertSurvivesCrashes(whole, {
    id: "w",
    prepare: () => effects.clear(),
    drive: (engine, id) => engine.signal(id, decided, "no", { idempotencyKey: "click-1" }),
    observe: () => [...effects].sort(),
  });
  assertEquals(report.ending.status, "failed");
  assertStringIncludes(report.ending.error!.message, "no: a 0.");
  assertEquals(report.unreached, []);
  const keys = report.repeated.map(({ workflowId, key }) => `${workflowId} ${key}`).sort();
  assertEquals(keys, [
    "w book#000001",
    "w compensate:book#000001",
    "w prepare#000001",
    "w prepare#000002",
    "w tried#000001",
    "w/a work#000001",
    "w/b work#000001",
  ]);
});

Deno.test("crashEverywhere() has children go on in the version that they were started in", async () => {
  const older = workflow("part", { version: "1" }, async (ctx) => {
    await ctx.sleep("1h");
    return await ctx.step("work", () => "older");
  });
  const newer = workflow("part", { version: "2" }, (ctx) => ctx.step("work", () => "newer"));
  const whole = workflow("whole", (ctx) => ctx.all([(ctx) => ctx.child(older), (ctx) => ctx.child(newer)]));
  const { ending } = await assertSurvivesCrashes(whole, { workflows: [newer, older] });
  assertEquals(ending.outputJson, '["older","newer"]');
});

Deno.test("crashEverywhere() finds a workflow that counts outside of steps", async () => {
  let starts = 0;
  const counting = workflow("counting", async (ctx) => {
    const start = ++starts;
    await ctx.step("work", () => {});
    return start;
  });
  // Where it is called anew all the time, the end without a crash is another one.
  const options = { prepare: () => void (starts = 0), alwaysReplay: false };
  const { differences, text } = await crashEverywhere(counting, options);
  assert(differences.length > 2);
  for (const difference of differences) assertEquals(difference.what, "ending");
  assertStringIncludes(text, "it did not always come to the same end");
  assertStringIncludes(text, "wanted completed with 1\n    found  completed with 2");
});

Deno.test("crashEverywhere() finds a workflow that reads the time of the machine, without any crash", async () => {
  const reading = workflow("reading", async (ctx) => {
    await ctx.step("work", () => {});
    return performance.now();
  });
  const { differences } = await crashEverywhere(reading);
  assertEquals(differences[0]!.point, { at: "nowhere" });
});

Deno.test("crashEverywhere() finds a workflow that goes another way in a replay", async () => {
  let starts = 0;
  const forking = workflow("forking", async (ctx) => {
    const way = starts++ === 0 ? "left" : "right";
    await ctx.step(way, () => {});
    await ctx.step("end", () => {});
  });
  // Replays are to come of crashes alone.
  const { differences } = await crashEverywhere(forking, {
    prepare: () => void (starts = 0),
    alwaysReplay: false,
  });
  assert(
    differences.some(({ found }) => found.startsWith("blocked with NonDeterminismError")),
    differences[0]?.found,
  );
});

Deno.test("crashEverywhere() with alwaysReplay has a replay's block for the end, in whichever life it was stored", async () => {
  let starts = 0;
  const forking = workflow("forking", async (ctx) => {
    const way = starts++ === 0 ? "left" : "right";
    await ctx.step(way, () => {});
    await ctx.step("end", () => {});
  });
  const options = { prepare: () => void (starts = 0), alwaysReplay: true };
  const { ending, unreached } = await crashEverywhere(forking, options);
  assertEquals([ending.status, ending.error?.name], ["blocked", "NonDeterminismError"]);
  assertEquals(unreached, []);
});

Deno.test("crashEverywhere() goes to the same end with alwaysReplay as without it", async () => {
  const good = workflow("good", async (ctx) => {
    const [first, second] = await ctx.all([
      (ctx) => ctx.step("one", () => 1),
      async (ctx) => await ctx.waitForSignal<number>("sent", { timeout: "1d" }) ?? 0,
    ]);
    await ctx.sleep("1h");
    return first + second + await ctx.step("last", () => 3);
  });
  for (const alwaysReplay of [false, true]) {
    const { ending } = await assertSurvivesCrashes(good, {
      alwaysReplay,
      drive: (engine, id) => engine.signal(id, "sent", 2, { idempotencyKey: "s" }),
    });
    assertEquals(ending, { status: "completed", outputJson: "6" });
  }
});

Deno.test("crashEverywhere() finds an effect without an idempotency key that doubles", async () => {
  const ledger: string[] = [];
  const paying = workflow("paying", (ctx) => ctx.step("pay", () => void ledger.push("paid")));
  const report = await crashEverywhere(paying, {
    prepare: () => void ledger.splice(0),
    observe: () => ledger,
  });
  assertEquals(report.repeated.map(({ key }) => key), ["pay#000001"]);
  assertEquals(report.differences.map(({ what, wanted, found }) => [what, wanted, found]), [
    ["world", '["paid"]', '["paid","paid"]'],
    ["world", '["paid"]', '["paid","paid"]'],
  ]);
});

Deno.test("crashEverywhere() finds a workflow that does not end after a crash", async () => {
  let starts = 0;
  const hanging = workflow("hanging", async (ctx) => {
    if (starts++ > 0) await ctx.waitForSignal("never");
    await ctx.step("work", () => {});
  });
  const report = await crashEverywhere(hanging, {
    prepare: () => void (starts = 0),
    timeout: "200ms",
    alwaysReplay: false, // It is to end where there is no crash.
  });
  assertEquals(report.differences.map(({ what }) => what).filter((what) => what === "hang").length, 3);
  const never = workflow("never", (ctx) => ctx.waitForSignal("never"));
  await assertRejects(
    () => crashEverywhere(never, { timeout: "50ms" }),
    StepwellError,
    'Cannot crash workflow "never" everywhere: wanted it to end without any crash, found no end within 50 ms',
  );
});

Deno.test("crashEverywhere() takes the error of a workflow for its end", async () => {
  const failing = workflow("failing", async (ctx) => {
    await ctx.step("fail", () => {
      throw new TypeError("No", { cause: new RangeError("Because") });
    });
  });
  const { differences, ending } = await crashEverywhere(failing);
  assertEquals(differences, []);
  assertEquals([ending.status, ending.error?.name, ending.error?.cause?.message], [
    "failed",
    "TypeError",
    "Because",
  ]);
});

Deno.test("crashEverywhere() throws what drive, prepare and observe throw", async () => {
  const quick = workflow("quick", () => 1);
  const fail = () => {
    throw new RangeError("No");
  };
  for (const options of [{ drive: fail }, { prepare: fail }, { observe: fail }]) {
    await assertRejects(() => crashEverywhere(quick, options), RangeError, "No");
  }
});

Deno.test("crashEverywhere() refuses more points than maxPoints", async () => {
  const many = workflow("many", async (ctx) => {
    for (let i = 0; i < 20; i++) await ctx.step("one", () => {});
  });
  await assertRejects(() => crashEverywhere(many, { maxPoints: 20 }), LimitExceededError, "maxPoints");
  await assertRejects(() => crashEverywhere(many, { maxPoints: 0 }), RangeError, "maxPoints");
});

Deno.test("assertSurvivesCrashes() throws the text of the report, and returns it where there is no difference", async () => {
  let starts = 0;
  const counting = workflow("counting", () => ++starts);
  const error = await assertRejects(
    () => assertSurvivesCrashes(counting, { prepare: () => void (starts = 0) }),
    CrashDifferenceError,
    "wanted completed with 1",
  );
  assertEquals(error.message, error.report.text);
  assertEquals((await assertSurvivesCrashes(workflow("quick", () => 1))).repeated, []);
});
