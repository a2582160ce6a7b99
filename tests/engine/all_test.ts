import { type Context, Engine, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("ctx.all() returns the results in the order of its branches", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const second = Promise.withResolvers<void>();
  const all = workflow("all", (ctx) =>
    ctx.all([
      async (ctx) => {
        await second.promise;
        return await ctx.step("a", () => "first");
      },
      async (ctx) => {
        const value = await ctx.step("b", () => 2);
        second.resolve();
        return value;
      },
      () => true,
    ]));
  const [text, number, flag] = await engine.run(all);
  assertEquals([text.toUpperCase(), number.toFixed(1), !flag], ["FIRST", "2.0", false]);
});

Deno.test("ctx.all() without branches returns no results", async () => {
  await using engine = await Engine.open(":memory:");
  assertEquals(await engine.run(workflow("none", (ctx) => ctx.all([]))), []);
});

Deno.test("ctx.all() aborts the others' signals at the first failure, waits for them, and throws that error", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const aborted: string[] = [];
  let ended: string[] = [];
  const listening = Promise.withResolvers<void>();
  const all = workflow("all", async (ctx) => {
    ended = [];
    try {
      await ctx.all([
        (ctx) =>
          ctx.step("patient", ({ signal }) => {
            listening.resolve();
            return new Promise((_, reject) =>
              signal.addEventListener("abort", () => {
                aborted.push(signal.reason.message);
                reject(new Error("Second"));
              })
            );
          }),
        async (ctx) => {
          await listening.promise;
          await ctx.step("broken", () => Promise.reject(new Error("First")));
        },
        async (ctx) => {
          await new Promise((resolve) => ctx.signal.addEventListener("abort", resolve));
          ended.push("third");
        },
      ]);
    } finally {
      ended.push(`all, after ${aborted.length}`);
    }
  });
  await assertRejects(() => engine.run(all), Error, "First");
  assertEquals([aborted, ended], [["First"], ["third", "all, after 1"]]);
});

Deno.test("ctx.all() leaves the signal of the workflow around it alone, and that of later branches", async () => {
  await using engine = await Engine.open(":memory:");
  const all = workflow("all", async (ctx) => {
    const error = await ctx.all([() => Promise.reject(new Error("No"))]).catch((error) => error);
    const later = await ctx.all([(ctx) => ctx.step("later", ({ signal }) => signal.aborted)]);
    return [error.message, ctx.signal.aborted, ...later];
  });
  assertEquals(await engine.run(all), ["No", false, false]);
});

Deno.test("ctx.all() lets a branch that is given up begin no further step, in a replay neither", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const calls: string[] = [];
  const all = workflow("all", async (ctx) => {
    const failed = Promise.withResolvers<void>();
    let refused: unknown;
    const error = await ctx.all([
      async (ctx) => {
        await ctx.step("broken", () => Promise.reject(new Error("Broken"))).finally(failed.resolve);
      },
      async (ctx) => {
        await failed.promise;
        await new Promise((resolve) =>
          ctx.signal.aborted ? resolve(0) : ctx.signal.addEventListener("abort", resolve)
        );
        refused = await ctx.step("never", () => calls.push("never")).catch((error) => error);
      },
    ]).catch((error) => error);
    await ctx.step("wait", () => crash.here());
    return [error.message, (refused as Error).message];
  });
  await crash.happens(file, all, { id: "a" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(all, { id: "a" }), ["Broken", "Broken"]);
  assertEquals(calls, []);
  assertEquals((await engine.get("a"))!.steps.map(({ key }) => key), ["broken#000001", "wait#000001"]);
});

Deno.test("ctx.all() throws the same error in a replay, whichever branch is quicker then", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const started = Promise.withResolvers<void>();
  const all = workflow("all", async (ctx) => {
    const error = await ctx.all([
      (ctx) =>
        ctx.step("slow", async ({ signal }) => {
          started.resolve();
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          throw new Error("Slow");
        }),
      (ctx) =>
        ctx.step("fast", async () => {
          await started.promise;
          throw new Error("Fast");
        }),
    ]).catch((error) => error);
    await ctx.step("wait", () => crash.here());
    return error.message;
  });
  await crash.happens(file, all, { id: "a" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(all, { id: "a" }), "Fast");
});

Deno.test("ctx.all() can be nested: a failure within aborts what is within, and goes on outwards", async () => {
  await using engine = await Engine.open(":memory:");
  const aborted: string[] = [];
  const untilAborted = (name: string) => (ctx: Context) =>
    new Promise<void>((resolve) =>
      ctx.signal.addEventListener("abort", () => {
        aborted.push(name);
        resolve();
      })
    );
  const nested = workflow("nested", async (ctx) => {
    const error = await ctx.all([
      (ctx) =>
        ctx.all([
          untilAborted("inner"),
          (ctx) => ctx.step("broken", () => Promise.reject(new Error("Inner"))),
        ]),
      untilAborted("outer"),
    ]).catch((error) => error);
    return error.message;
  });
  assertEquals(await engine.run(nested), "Inner");
  assertEquals(aborted, ["inner", "outer"]);
});

Deno.test("ctx.all() aborts branches within branches when an outer one fails", async () => {
  await using engine = await Engine.open(":memory:");
  let innermost: AbortSignal | undefined;
  const started = Promise.withResolvers<void>();
  const nested = workflow("nested", (ctx) =>
    ctx.all([
      (ctx) =>
        ctx.all([(ctx) =>
          ctx.step("inner", ({ signal }) => {
            innermost = signal;
            started.resolve();
            return new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
          })]),
      async () => {
        await started.promise;
        throw new Error("Outer");
      },
    ]));
  await assertRejects(() => engine.run(nested), Error, "Outer");
  assert(innermost!.aborted);
});

Deno.test("ctx.all() runs no more branches at a time than its concurrency", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const limited = workflow("limited", async (ctx) => {
    let running = 0;
    let most = 0;
    const results = await ctx.all(
      Array.from({ length: 20 }, (_, i) => async (ctx: Context) => {
        most = Math.max(most, ++running);
        const value = await ctx.step("work", () => Promise.resolve(i));
        running--;
        return value;
      }),
      { concurrency: 3 },
    );
    return [most, results];
  });
  assertEquals(await engine.run(limited), [3, Array.from({ length: 20 }, (_, i) => i)]);
});

Deno.test("ctx.all() with a concurrency begins no further branch after a failure", async () => {
  await using engine = await Engine.open(":memory:");
  let begun: number[] = [];
  const limited = workflow("limited", (ctx) => {
    begun = [];
    return ctx.all(
      [0, 1, 2, 3].map((i) => (ctx: Context) => {
        begun.push(i);
        return ctx.step("work", () => i === 1 ? Promise.reject(new Error("No")) : i);
      }),
      { concurrency: 1 },
    );
  });
  await assertRejects(() => engine.run(limited), Error, "No");
  assertEquals(begun, [0, 1]);
});

Deno.test("ctx.all() catches a branch that throws before it is asynchronous", async () => {
  await using engine = await Engine.open(":memory:");
  const thrown = new RangeError("At once");
  const all = workflow("all", async (ctx) => {
    const error = await ctx.all([() => {
      throw thrown;
    }]).catch((error) => error);
    assertStrictEquals(error, thrown);
    return "caught";
  });
  assertEquals(await engine.run(all), "caught");
});

Deno.test("ctx.all() refuses what are no branches, and a concurrency that is none", async () => {
  await using engine = await Engine.open(":memory:");
  const all = workflow("all", async (ctx) => {
    await assertRejects(
      () => ctx.all([ctx.step("a", () => 1)] as never),
      TypeError,
      "wanted an array of functions",
    );
    await assertRejects(() => ctx.all("a" as never), TypeError, "wanted an array of functions");
    for (const concurrency of [0, 1.5, -1, NaN, "2" as never]) {
      await assertRejects(
        () => ctx.all([() => 1], { concurrency }),
        RangeError,
        "wanted a concurrency of 1 or more",
      );
    }
    return "refused";
  });
  assertEquals(await engine.run(all), "refused");
});
