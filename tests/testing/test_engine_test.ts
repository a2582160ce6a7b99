import { type Context, Engine, NonRetryableError, signal, step, workflow } from "@stepwell/stepwell";
import { type Fault, TestEngine } from "@stepwell/stepwell/testing";
import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";

const DAY_MS = 24 * 60 * 60 * 1000;

const two = workflow("two", async (ctx) => {
  const first = await ctx.step("first", () => 1);
  return first + await ctx.step("second", () => 2);
});

Deno.test("TestEngine.run() gives a workflow's output, and throws its error", async () => {
  await using test = await TestEngine.open();
  assertEquals(await test.run(two), 3);
  const fails = workflow("fails", () => Promise.reject(new RangeError("No")));
  await assertRejects(() => test.run(fails), RangeError, "No");
});

Deno.test("TestEngine.open() with alwaysReplay calls a workflow anew after each completion, in every life", async () => {
  const calls = new Map<string, number>();
  const counted = workflow("counted", async (ctx) => {
    calls.set(ctx.runId, (calls.get(ctx.runId) ?? 0) + 1);
    for (let i = 0; i < 3; i++) await ctx.step("add", () => i);
  });
  for (const alwaysReplay of [true, false]) {
    calls.clear();
    await using test = await TestEngine.open({
      alwaysReplay,
      faults: [{ crash: "before", step: "add#000002" }],
    });
    await test.run(counted);
    assertEquals(test.lives, 2);
    assertEquals(test.count("add"), 3);
    assertEquals([...calls.values()], alwaysReplay ? [2, 3] : [1, 1]);
  }
});

Deno.test("TestEngine jumps over whatever a workflow waits for", async () => {
  await using test = await TestEngine.open({ start: new Date(0) });
  const waits = workflow("waits", async (ctx) => {
    await ctx.sleep("30d");
    const nothing = await ctx.waitForSignal("never", { timeout: "10d" });
    const attempts = await ctx.step("tried", ({ attempt }) => {
      if (attempt < 3) throw new Error("Not yet");
      return attempt;
    }, { retry: { maxAttempts: 3, initialInterval: "1d", backoff: 1, jitter: 0 } });
    return { nothing, attempts, now: ctx.now().getTime() };
  });
  const result = await test.run(waits);
  assertEquals(result.nothing, undefined);
  assertEquals(result.attempts, 3);
  assertEquals(Math.round(result.now / DAY_MS), 42);
});

Deno.test("TestEngine gives the same ids, chance and times for the same seed", async () => {
  const draws = workflow("draws", async (ctx) => {
    await ctx.step("tried", ({ attempt }) => {
      if (attempt < 4) throw new Error("Not yet");
    }, { retry: { maxAttempts: 4, initialInterval: "1h" } });
    return [ctx.workflowId, ctx.runId, ctx.random(), ctx.uuid(), ctx.now().getTime()];
  });
  const run = async (seed?: number) => {
    await using test = await TestEngine.open({ seed });
    return await test.run(draws);
  };
  const first = await run(7);
  assertEquals(await run(7), first);
  const other = await run(8);
  for (const [i, value] of first.entries()) assertNotEquals(other[i], value, `${i}`);
  assertEquals(await run(), await run());
});

Deno.test("TestEngine.signal() reaches a workflow that waits, before its time is over", async () => {
  const collected = signal<string>("collected");
  const waits = workflow("waits", (ctx) => ctx.waitForSignal(collected, { timeout: "3d" }));
  await using test = await TestEngine.open();
  const result = test.run(waits, { id: "w" });
  await test.signal("w", collected, "here");
  assertEquals(await result, "here");
});

for (const crash of ["before", "during", "after"] as const) {
  Deno.test(`a fault that crashes ${crash} a step has it run ${crash === "during" ? "again" : "once"}`, async () => {
    await using test = await TestEngine.open({ faults: [{ crash, step: "second" }] });
    assertEquals(await test.run(two), 3);
    assertEquals(test.lives, 2);
    assertEquals(test.count("first"), 1);
    assertEquals(test.count("second"), crash === "during" ? 2 : 1);
    assertEquals(test.calls.at(-1)!.life, crash === "after" ? 1 : 2);
    assertEquals(test.faultsLeft, []);
  });
}

Deno.test("a fault that crashes during a step does so also where its function fails", async () => {
  const fails = workflow("fails", async (ctx) => {
    await ctx.step("only", () => Promise.reject(new NonRetryableError("No")));
  });
  await using test = await TestEngine.open({ faults: [{ crash: "during", step: "only#000001" }] });
  await assertRejects(() => test.run(fails), Error, "No");
  assertEquals(test.count("only"), 2);
});

Deno.test("a fault that crashes before a commit stores nothing of it, one after it all of it", async () => {
  const attempts: number[] = [];
  for (const crash of ["before", "after"] as const) {
    await using undisturbed = await TestEngine.open();
    await undisturbed.run(two, { id: "t" });
    for (let commit = 1; commit <= undisturbed.commits; commit++) {
      await using test = await TestEngine.open({ faults: [{ crash, commit }] });
      assertEquals(await test.run(two, { id: "t" }), 3, `${crash} commit ${commit}`);
      assertEquals(test.lives, 2);
      attempts.push(test.calls.length);
    }
  }
  const half = attempts.length / 2;
  assertEquals(attempts.slice(0, half).reduce((a, b) => a + b), 2 * half + 2, "each step runs again once");
  assertEquals(attempts.slice(half), attempts.slice(half).map(() => 2), "no step runs again");
});

Deno.test("a fault that fails a step does so as often as it says, with its error", async () => {
  const patient = workflow(
    "patient",
    (ctx) => ctx.step("asks", ({ attempt }) => attempt, { retry: { maxAttempts: 3 } }),
  );
  await using test = await TestEngine.open({ faults: [{ fail: "asks", times: 2 }] });
  assertEquals(await test.run(patient), 3);
  assertEquals(test.count("asks"), 1);
  const error = new RangeError("No answer");
  await using failing = await TestEngine.open({ faults: [{ fail: "asks", times: 3, error }] });
  await assertRejects(() => failing.run(patient), RangeError, "No answer");
});

Deno.test("a fault that fails a step does so again where the failure was lost in a crash", async () => {
  const patient = workflow(
    "patient",
    (ctx) => ctx.step("asks", ({ attempt }) => attempt, { retry: { maxAttempts: 3 } }),
  );
  await using reference = await TestEngine.open({ faults: [{ fail: "asks", times: 2 }] });
  await reference.run(patient);
  for (let commit = 1; commit <= reference.commits; commit++) {
    for (const crash of ["before", "after"] as const) {
      await using test = await TestEngine.open({
        faults: [{ fail: "asks", times: 2 }, { crash, commit }],
      });
      assertEquals(await test.run(patient), 3, `${crash} commit ${commit}`);
    }
  }
});

Deno.test("a fault that repeats a signal delivers it twice, and once where it has a key", async () => {
  const counts = workflow("counts", async (ctx) => {
    let count = 0;
    while (await ctx.waitForSignal<true>("go", { timeout: "1h" })) count++;
    return count;
  });
  await using test = await TestEngine.open({ faults: [{ repeat: "go" }] });
  const unkeyed = test.run(counts, { id: "unkeyed" });
  await test.signal("unkeyed", "go", true);
  assertEquals(await unkeyed, 2);
  const keyed = test.run(counts, { id: "keyed" });
  await test.engine.handle("keyed").signal("go", true, { idempotencyKey: "click-1" });
  assertEquals(await keyed, 1);
});

Deno.test("TestEngine.crash() loses the engine now, and run() goes on with the next", async () => {
  let crash = () => {};
  const crashing = workflow("crashing", async (ctx) => {
    await ctx.step("first", () => {});
    await ctx.step("second", async () => {
      await Promise.resolve();
      crash();
      crash = () => {};
    });
    return await ctx.step("third", () => 3);
  });
  await using test = await TestEngine.open();
  const { engine } = test;
  crash = () => test.crash();
  assertEquals(await test.run(crashing), 3);
  assertEquals(test.lives, 2);
  assertEquals([test.count("first"), test.count("second"), test.count("third")], [1, 2, 1]);
  assert(test.engine !== engine);
});

Deno.test("nothing of a workflow's code is called in a life that is over", async () => {
  const seen: string[] = [];
  const branches = workflow("branches", async (ctx) => {
    await ctx.all(["a", "b"].map((name) => async (ctx: Context) => {
      for (let i = 0; i < 3; i++) {
        await ctx.step(name, () => {});
        seen.push(`${ctx.runId} ${name}${i}`);
      }
    }));
    return ctx.runId;
  });
  // What one call of the function sees is counted, in each life.
  await using test = await TestEngine.open({
    faults: [{ crash: "after", step: "a#000002" }],
    alwaysReplay: false,
  });
  const run = await test.run(branches, { id: "b" });
  const before = seen.filter((line) => !line.startsWith(run));
  assert(before.length < 6 && !before.some((line) => line.endsWith("a1")), before.join(", "));
  assertEquals(seen.filter((line) => line.startsWith(run)).length, 6);
});

Deno.test("children and what undoes steps are counted, and go on after a crash", async () => {
  const child = workflow("child", (ctx) => ctx.step("work", () => ctx.workflowId));
  const parent = workflow("parent", async (ctx) => {
    await ctx.step("book", () => "booked", { compensate: () => {} });
    const found = await ctx.child(child, { id: "c" });
    throw new Error(found);
  });
  await using test = await TestEngine.open({
    faults: [{ crash: "during", step: "work" }, { crash: "after", step: "compensate:book#000001" }],
  });
  await assertRejects(() => test.run(parent, { id: "p" }), Error, "c");
  assertEquals(test.lives, 3);
  assertEquals(test.count("work", "c"), 2);
  assertEquals(test.count("compensate:book#000001", "p"), 1);
});

Deno.test("steps without an id keep the name that the engine gives them", async () => {
  const unnamed = workflow("unnamed", async (ctx) => {
    await step(ctx, "", () => 1);
    await ctx.all([(ctx) => ctx.step("", () => 2)]);
  });
  const keysIn = async (engine: Engine) => {
    await engine.run(unnamed, { id: "u" });
    return (await engine.get("u"))!.steps.map(({ key }) => key);
  };
  await using engine = await Engine.open(":memory:");
  await using test = await TestEngine.open();
  const keys = await keysIn(test.engine);
  assertEquals(keys, await keysIn(engine));
  for (const key of keys) assertMatch(key, /^test_engine_test\.ts:\d+:\d+#000001$/);
});

Deno.test("a step whose function does not return is stopped by its time-out", async () => {
  const hangs = workflow(
    "hangs",
    (ctx) => ctx.step("hang", () => new Promise<number>(() => {}), { timeout: "1h" }),
  );
  await using test = await TestEngine.open({ patience: "10ms" });
  await assertRejects(() => test.run(hangs), Error, "hang#000001");
});

Deno.test("TestEngine.open() refuses what is no seed and no fault", async () => {
  await assertRejects(() => TestEngine.open({ seed: -1 }), RangeError, "Cannot seed a test");
  await assertRejects(() => TestEngine.open({ faults: [{ fail: "" }] }), TypeError, "Cannot plan a fault");
  await assertRejects(
    () => TestEngine.open({ faults: [{ crash: "before", commit: 0 }] }),
    RangeError,
    'wanted an integer from 1 as "commit", found 0',
  );
  await assertRejects(
    () => TestEngine.open({ faults: [{ crash: "never" } as unknown as Fault] }),
    TypeError,
    '{"crash":"never"}',
  );
});

for (const crash of ["before", "during", "after"] as const) {
  Deno.test(`a fault that crashes ${crash} a transaction leaves its effect there once`, async () => {
    const move = workflow("move", async (ctx) => {
      await ctx.transaction("move", async (tx) => {
        await tx.run("UPDATE accounts SET euros = euros - 10");
        await tx.signal("other", "moved", 10);
      }, { retry: { maxAttempts: 2 } });
    });
    await using test = await TestEngine.open({
      faults: [{ fail: "move" }, { crash, step: "move", attempt: 2 }],
    });
    await test.engine.transaction(async (tx) => {
      await tx.run("CREATE TABLE accounts (euros INTEGER)");
      await tx.run("INSERT INTO accounts VALUES (100)");
    });
    await test.run(move, { id: "m" });
    assertEquals(test.lives, 2);
    assertEquals(test.count("move#000001", "m"), crash === "during" ? 2 : 1);
    assertEquals(await test.engine.transaction((tx) => tx.all("SELECT * FROM accounts")), [{ euros: 90 }]);
    assertEquals(test.faultsLeft, []);
  });
}
