import {
  CancelledError,
  type Context,
  Engine,
  type EngineEvent,
  type EngineOptions,
  StepTimeoutError,
  workflow,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** An engine that replays always, with what it tells. */
async function openReplaying(
  options: EngineOptions = {},
  file = ":memory:",
): Promise<{ engine: Engine; events: EngineEvent[] } & AsyncDisposable> {
  const events: EngineEvent[] = [];
  const onEvent = (event: EngineEvent) => void events.push(event);
  const engine = await Engine.open(file, { ...options, onEvent, alwaysReplay: true });
  return { engine, events, [Symbol.asyncDispose]: () => engine.close() };
}

Deno.test("alwaysReplay calls the function anew after each completion, and runs each step once", async () => {
  await using opened = await openReplaying();
  const steps: string[] = [];
  const calls: string[][] = [];
  const order = workflow("order", async (ctx) => {
    const seen: string[] = [];
    calls.push(seen);
    for (const id of ["a", "b", "c"]) {
      seen.push(
        await ctx.step(id, () => {
          steps.push(id);
          return id;
        }),
      );
    }
    return seen;
  });
  assertEquals(await opened.engine.run(order), ["a", "b", "c"]);
  assertEquals(calls, [[], ["a"], ["a", "b"], ["a", "b", "c"]]);
  assertEquals(steps, ["a", "b", "c"]);
});

Deno.test("alwaysReplay gives each call the input as it was, whatever the one before did to it", async () => {
  await using opened = await openReplaying();
  const shift = workflow("shift", async (ctx, items: string[]) => {
    const done: string[] = [];
    while (items.length > 0) {
      const item = items.shift()!;
      done.push(await ctx.step(item, () => item));
    }
    return done;
  });
  assertEquals(await opened.engine.run(shift, { input: ["a", "b", "c"] }), ["a", "b", "c"]);
});

Deno.test("alwaysReplay lets a long step go on while others call the function anew", async () => {
  await using opened = await openReplaying();
  const long = Promise.withResolvers<string>();
  const steps: string[] = [];
  const branches = workflow("branches", (ctx) =>
    ctx.all([
      (ctx) =>
        ctx.step("long", () => {
          steps.push("long");
          return long.promise;
        }),
      async (ctx) => {
        for (let i = 0; i < 3; i++) await ctx.step("short", () => steps.push("short"));
        return await ctx.step("last", () => long.resolve("long"));
      },
    ]));
  assertEquals(await opened.engine.run(branches), ["long", undefined]);
  assertEquals(steps, ["long", "short", "short", "short"]);
});

Deno.test("alwaysReplay aborts the step that an earlier call began when its branch is given up", async () => {
  await using opened = await openReplaying();
  const listening = Promise.withResolvers<void>();
  const aborted: unknown[] = [];
  const branches = workflow("branches", (ctx) =>
    ctx.all([
      (ctx) =>
        ctx.step("patient", ({ signal }) => {
          const given = Promise.withResolvers<void>();
          signal.addEventListener("abort", () => {
            aborted.push(signal.reason.message);
            given.reject(signal.reason);
          });
          listening.resolve();
          return given.promise;
        }),
      async (ctx) => {
        for (let i = 0; i < 3; i++) await ctx.step("short", () => listening.promise);
        throw new Error("Given up");
      },
    ]));
  await assertRejects(() => opened.engine.run(branches), Error, "Given up");
  assertEquals(aborted, ["Given up"]);
});

Deno.test("alwaysReplay has ctx.log tell each message once, also where completions come together", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const talking = workflow("talking", async (ctx) => {
    ctx.log.info("begin");
    await ctx.all(["a", "b", "c"].map((id) => async (ctx: Context) => {
      for (let i = 0; i < 3; i++) {
        await ctx.step(id, () => i);
        ctx.log.info(`${id}${i}`);
      }
    }));
    await ctx.step("wait", () => crash.here());
    ctx.log.info("end");
  });
  const messages: string[] = [];
  const onEvent = (event: EngineEvent) => void (event.type === "log" && messages.push(event.message));
  await crash.happens(file, talking, { id: "t" }, { alwaysReplay: true, onEvent });
  await using opened = await openReplaying({}, file);
  await opened.engine.run(talking, { id: "t" });
  const more = opened.events.flatMap((event) => event.type === "log" ? event.message : []);
  const branches = ["a", "b", "c"].flatMap((id) => [`${id}0`, `${id}1`, `${id}2`]);
  assertEquals([...messages, ...more].toSorted(), ["begin", ...branches, "end"].toSorted());
  assertEquals(more, ["end"]);
});

Deno.test("alwaysReplay tells once of what is replayed, and not of what this run has committed itself", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const order = workflow("order", async (ctx) => {
    await ctx.step("a", () => 1);
    await ctx.step("b", () => 2);
    await ctx.step("wait", () => crash.here());
    await ctx.step("c", () => 3);
    await ctx.step("d", () => 4);
  });
  await crash.happens(file, order, { id: "o" }, { alwaysReplay: true });
  await using opened = await openReplaying({}, file);
  await opened.engine.run(order, { id: "o" });
  const told = opened.events.flatMap((event) =>
    event.type === "replayed" || event.type === "stepCompleted" ? `${event.type} ${event.key}` : []
  );
  assertEquals(told, [
    "replayed a#000001",
    "replayed b#000001",
    "stepCompleted wait#000001",
    "stepCompleted c#000001",
    "stepCompleted d#000001",
  ]);
});

Deno.test("alwaysReplay lets a workflow go that waits while no step runs, however short that is", async () => {
  const clock = new ManualClock();
  await using opened = await openReplaying({ clock });
  const waiting = workflow("waiting", async (ctx) => {
    const [, first] = await ctx.all([(ctx) => ctx.sleep(5), (ctx) => ctx.step("a", () => "a")]);
    return [first, await ctx.waitForSignal("go"), ctx.now().getTime()];
  });
  const start = clock.now();
  const handle = await opened.engine.start(waiting, { id: "w" });
  await eventually(async () => (await handle.status()) === "waiting");
  clock.advance(5);
  await eventually(() => opened.events.filter(({ type }) => type === "waiting").length === 2);
  await handle.signal("go", 7);
  assertEquals(await handle.result(), ["a", 7, start + 5]);
});

Deno.test("alwaysReplay loses no signal that comes while the function is called anew", async () => {
  await using opened = await openReplaying();
  const both = workflow("both", (ctx) =>
    ctx.all([
      (ctx) => ctx.waitForSignal("go"),
      async (ctx) => {
        for (let i = 0; i < 3; i++) await ctx.step("busy", () => i);
      },
    ]));
  // It comes a little later each time.
  for (let round = 0; round < 50; round++) {
    const handle = await opened.engine.start(both, { id: `b-${round}` });
    for (let tick = 0; tick < round; tick++) await undefined;
    await handle.signal("go", round);
    assertEquals(await handle.result(), [round, undefined]);
  }
});

Deno.test("alwaysReplay starts each child once, and gives its parent the outcome", async () => {
  await using opened = await openReplaying();
  let calls = 0;
  const child = workflow("child", (ctx, n: number) =>
    ctx.step("work", () => {
      calls++;
      if (n === 2) throw new RangeError("Two");
      return n * 10;
    }));
  const parent = workflow("parent", async (ctx) => {
    const settled = await Promise.allSettled([1, 2, 3].map((input) => ctx.child(child, { input })));
    const last = await ctx.child(child, { input: 4 });
    return [
      ...settled.map((result) => result.status === "fulfilled" ? result.value : `${result.reason}`),
      last,
    ];
  });
  assertEquals(await opened.engine.run(parent), [10, "RangeError: Two", 30, 40]);
  assertEquals(calls, 4);
  assertEquals((await opened.engine.list()).length, 5);
});

Deno.test("alwaysReplay cancels a workflow, its children at once, and undoes its steps once each", async () => {
  await using opened = await openReplaying();
  const calls: string[] = [];
  const running = Promise.withResolvers<void>();
  const childEnded = Promise.withResolvers<void>();
  const child = workflow("child", async (ctx) => {
    await ctx.sleep("1h");
  });
  const parent = workflow("parent", async (ctx) => {
    await ctx.step("a", () => "A", { compensate: (a) => void calls.push(`undo ${a}`) });
    await ctx.step("b", () => "B", {
      // Only the child's end lets this go on: it is cancelled before its parent has ended.
      compensate: async (b) => {
        await childEnded.promise;
        calls.push(`undo ${b}`);
      },
    });
    await ctx.all([
      (ctx) => ctx.child(child, { id: "c" }),
      (ctx) =>
        ctx.step("patient", ({ signal }) => {
          running.resolve();
          return new Promise((_, reject) =>
            signal.addEventListener("abort", () => {
              calls.push("aborted");
              reject(signal.reason);
            })
          );
        }),
    ]);
  });
  const handle = await opened.engine.start(parent, { id: "p" });
  await running.promise;
  await eventually(async () => (await opened.engine.get("c"))?.status === "waiting");
  await handle.cancel();
  await eventually(async () => (await opened.engine.get("c"))!.status === "cancelled");
  childEnded.resolve();
  await assertRejects(() => handle.result(), CancelledError);
  assertEquals(calls, ["aborted", "undo B", "undo A"]);
});

Deno.test("alwaysReplay goes on with the attempts and the time of a step over calls of the function", async () => {
  const clock = new ManualClock();
  await using opened = await openReplaying({ clock });
  const attempts: number[] = [];
  const go = [Promise.withResolvers<void>(), Promise.withResolvers<void>()] as const;
  const steps = workflow("steps", (ctx) =>
    ctx.all([
      async (ctx) => {
        const error = await ctx.step("slow", ({ attempt }) => {
          attempts.push(attempt);
          return new Promise<never>(() => {});
        }, { timeout: 100, retry: { maxAttempts: 2, initialInterval: 0 } }).catch((error) => error);
        return error instanceof StepTimeoutError;
      },
      async (ctx) => {
        for (const { promise } of go) await ctx.step("other", () => promise);
      },
    ]));
  const handle = await opened.engine.start(steps, { id: "s" });
  const completed = () => opened.events.filter(({ type }) => type === "stepCompleted").length;
  await eventually(() => attempts.length === 1);
  clock.advance(60);
  go[0].resolve();
  await eventually(() => completed() === 1);
  clock.advance(60);
  await eventually(() => attempts.length === 2);
  go[1].resolve();
  await eventually(() => completed() === 2);
  clock.advance(100);
  assertEquals(await handle.result(), [true, undefined]);
  assertEquals(attempts, [1, 2]);
});

Deno.test("alwaysReplay keeps what a workflow draws, and when it saw what", async () => {
  await using opened = await openReplaying();
  const draws: unknown[][] = [];
  const drawing = workflow("drawing", async (ctx) => {
    const drawn: unknown[] = [];
    draws.push(drawn);
    for (let i = 0; i < 3; i++) {
      drawn.push(ctx.now().getTime(), ctx.random(), ctx.uuid());
      await ctx.step("a", () => i);
    }
  });
  await opened.engine.run(drawing);
  const last = draws.at(-1)!;
  assertEquals(last.length, 9);
  for (const drawn of draws) assertEquals(drawn, last.slice(0, drawn.length));
});

Deno.test("alwaysReplay stops at close(), and goes on in the next engine, also one that does not replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  const go = Promise.withResolvers<string>();
  const order = workflow("order", async (ctx) => {
    const a = await ctx.step("a", () => {
      calls.push("a");
      return "A";
    });
    const b = await ctx.step("b", () => {
      calls.push("b");
      return go.promise;
    });
    return a + b + await ctx.step("c", () => "C");
  });
  const opened = await openReplaying({}, file);
  const handle = await opened.engine.start(order, { id: "o" });
  const stopped = assertRejects(() => handle.result());
  await eventually(() => calls.length === 2);
  const closed = opened.engine.close();
  go.resolve("B");
  await Promise.all([closed, stopped]);
  await using next = await Engine.open(file, { alwaysReplay: false });
  assertEquals(await next.run(order, { id: "o" }), "ABC");
  assertEquals(calls, ["a", "b"]);
  assert(opened.events.some(({ type }) => type === "suspended"));
});
