import {
  CancelledError,
  CleanupTimeoutError,
  type Context,
  Engine,
  workflow,
  WorkflowTimeoutError,
} from "@stepwell/stepwell";
import { crashEverywhere } from "@stepwell/stepwell/testing";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const MINUTE = 60_000;

/** Waits to be cancelled, and then cleans up. */
function cleaning(clean: (ctx: Context) => unknown, options?: { timeout?: number }) {
  return workflow("cleaning", async (ctx) => {
    try {
      await ctx.publish("state", "waiting");
      await ctx.waitForSignal("never");
    } finally {
      await ctx.cleanup(clean, options);
    }
  });
}

/** What is thrown. */
async function thrown(act: () => Promise<unknown>): Promise<Error> {
  return await act().then(() => new Error("nothing"), (error) => error);
}

Deno.test("cleanup() runs steps in finally after a cancel, and the error of a step outside of it says so", async () => {
  await using engine = await Engine.open(":memory:");
  let notes: unknown[] = [];
  const w = workflow("w", async (ctx) => {
    try {
      await ctx.publish("state", "waiting");
      await ctx.waitForSignal("never");
    } finally {
      notes = [];
      const refused = await thrown(() => ctx.step("outside", () => notes.push("ran outside")));
      notes.push(refused instanceof CancelledError, refused.message);
      const returned = await ctx.cleanup(async (ctx) => {
        notes.push(ctx.signal.aborted);
        return await ctx.step("release", ({ signal }) => `released, aborted: ${signal.aborted}`);
      });
      notes.push(returned, ctx.signal.aborted);
    }
  });
  const handle = await engine.start(w, { id: "w" });
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  const error = await assertRejects(() => handle.result(), CancelledError);
  assertEquals(error.message, 'Workflow "w" was cancelled');
  assertEquals(notes, [
    true,
    'Workflow "w" was cancelled: it begins nothing more, except in ctx.cleanup()',
    false,
    "released, aborted: false",
    true,
  ]);
  const { status, steps } = (await engine.get("w"))!;
  assertEquals(status, "cancelled");
  assertEquals(steps.map(({ key, kind, status }) => [key, kind, status]).slice(2), [
    ["signal:never#000001", "signal", "failed"],
    ["release#000001", "step", "completed"],
    ["cleanup#000001", "cleanup", "completed"],
  ]);
});

Deno.test("cleanup() runs steps although the workflow is out of time, and an error of its function is thrown", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock });
  let notes: string[] = [];
  const w = workflow("w", { timeout: "1m" }, async (ctx) => {
    try {
      await ctx.waitForSignal("never");
    } catch (error) {
      notes = [];
      notes.push((await thrown(() => ctx.step("outside", () => {}))).message);
      await ctx.cleanup(async (ctx) => {
        notes.push(await ctx.step("release", () => "released"));
        throw new RangeError("in it");
      }).catch((error) => notes.push(error.message));
      throw error;
    }
  });
  const handle = await engine.start(w, { id: "w" });
  await eventually(() => clock.timers.some((ms) => ms <= MINUTE));
  clock.advance(MINUTE);
  await assertRejects(() => handle.result(), WorkflowTimeoutError);
  assertEquals(notes, [
    'Workflow "w" did not end before its deadline, 2030-01-01T00:01:00.000Z: ' +
    "it begins nothing more, except in ctx.cleanup()",
    "released",
    "in it",
  ]);
});

Deno.test("cleanup() of a workflow to which nothing has happened runs as any other part, also with a cancel in it", async () => {
  await using engine = await Engine.open(":memory:");
  const plain = workflow("plain", (ctx) => ctx.cleanup((ctx) => ctx.step("one", () => 1)));
  assertEquals(await engine.run(plain), 1);
  const value = workflow(
    "value",
    async (ctx) => [await ctx.cleanup(() => 5), await ctx.step("after", () => 6)],
  );
  assertEquals(await engine.run(value), [5, 6]);

  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<string>();
  const cancelled = workflow("cancelled", async (ctx) => {
    const one = await ctx.cleanup(async (ctx) => [
      await ctx.step("slow", () => (begun.resolve(), gate.promise)),
      await ctx.step("then", () => "then"),
    ]);
    return await ctx.step("outside", () => one);
  });
  const handle = await engine.start(cancelled, { id: "c" });
  await begun.promise;
  await handle.cancel();
  await eventually(async () => (await engine.get("c"))!.steps.some(({ kind }) => kind === "cancel"));
  gate.resolve("slow");
  await assertRejects(() => handle.result(), CancelledError);
  const { steps } = (await engine.get("c"))!;
  assertEquals(steps.filter(({ kind }) => kind === "step").map(({ key, status }) => [key, status]), [
    ["slow#000001", "completed"],
    ["then#000001", "completed"],
  ]);
});

Deno.test("cleanup() refuses what it cannot use", async () => {
  await using engine = await Engine.open(":memory:");
  const w = workflow("w", async (ctx) => {
    const refusals = [
      () => ctx.cleanup("clean" as never),
      () => ctx.cleanup(() => {}, { timeout: -1 }),
      () => ctx.cleanup(() => {}, { timeoutMs: 5 } as never),
      () => ctx.step("s", () => ctx.cleanup(() => {})),
    ];
    const messages: string[] = [];
    for (const act of refusals) messages.push((await thrown(act)).message);
    return messages;
  });
  const messages = await engine.run(w);
  for (
    const [i, part] of [
      "wanted a function",
      "wanted 0 to",
      'unknown option "timeoutMs"',
      "in the function of step",
    ]
      .entries()
  ) assertStringIncludes(messages[i]!, part);
});

Deno.test("cleanup() gives up its steps and waits once its time is over, and nothing else", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const options = { clock, durability: "normal" } as const;
  let aborted: unknown;
  let begun = 0;
  const make = () =>
    workflow("w", async (ctx) => {
      const notes: unknown[] = [];
      await ctx.cleanup(async (ctx) => {
        const stuck = thrown(() =>
          ctx.step("stuck", ({ signal }) => {
            begun++;
            return new Promise((_, reject) =>
              signal.addEventListener("abort", () => {
                aborted = signal.reason;
                reject(signal.reason);
              })
            );
          })
        );
        const waits = thrown(() => ctx.waitForSignal("never"));
        for (const error of await Promise.all([stuck, waits])) {
          notes.push([error.name, (error as CleanupTimeoutError).timeoutMs]);
        }
        notes.push((await thrown(() => ctx.step("late", () => notes.push("ran late")))).message);
      }, { timeout: "10m" });
      return [...notes, await ctx.step("after", () => "after")];
    });
  // Its first process is lost after a while: that does not reset the time.
  const first = await openMortal(file, options);
  (await first.engine.start(make(), { id: "w" })).result().catch(() => {});
  await eventually(() => begun === 1);
  clock.advance(100);
  await eventually(() => query(file, "SELECT 1 FROM steps WHERE kind = 'cleanup'").length === 1);
  await first.kill();
  clock.advance(9 * MINUTE);
  await using engine = await Engine.open(file, options);
  const handle = await engine.start(make(), { id: "w" });
  await eventually(() => begun === 2);
  clock.advance(MINUTE - 101);
  assertEquals(aborted, undefined);
  clock.advance(1);
  assertEquals(await handle.result(), [
    ["CleanupTimeoutError", 600_000],
    ["CleanupTimeoutError", 600_000],
    'Cleanup "cleanup#000001" did not end within its timeout of 600000 ms',
    "after",
  ]);
  assert(aborted instanceof CleanupTimeoutError);
});

Deno.test("cleanup() whose time is over while no process runs it is given up by who takes it up", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const w = workflow("w", (ctx) =>
    ctx.cleanup(async (ctx) => {
      await ctx.step("before", () => 1);
      return (await thrown(() => ctx.sleep("1h"))).name;
    }));
  {
    await using engine = await Engine.open(file, { clock, workflows: [w] });
    const handle = await engine.start(w, { id: "w" });
    await eventualStatus(handle, "waiting");
    const { reason, movesOn } = await engine.why("w");
    assertStringIncludes(
      reason,
      ', in cleanup "cleanup#000001", which has time until 2030-01-01T00:05:00.000Z',
    );
    assertEquals(movesOn.at(-1), 'The end of the time of cleanup "cleanup#000001", 2030-01-01T00:05:00.000Z');
  }
  clock.advance(6 * MINUTE);
  await using engine = await Engine.open(file, { clock });
  assertEquals(await engine.run(w, { id: "w" }), "CleanupTimeoutError");
});

Deno.test("why() says that a workflow which runs is in a cleanup", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const begun = Promise.withResolvers<void>();
  const gate = Promise.withResolvers<void>();
  const w = cleaning((ctx) => ctx.step("release", () => (begun.resolve(), gate.promise)));
  const handle = await engine.start(w, { id: "w" });
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  await begun.promise;
  await eventually(async () => (await engine.why("w")).waitsFor.length === 1);
  const { reason, waitsFor } = await engine.why("w");
  assertStringIncludes(reason, ', in cleanup "cleanup#000001", which has time until ');
  assertEquals(waitsFor.map(({ kind, key }) => [kind, key]), [["step", "release#000001"]]);
  gate.resolve();
  await assertRejects(() => handle.result(), CancelledError);
});

Deno.test("cleanup() may do all that a workflow can, and be nested", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  let notes: unknown[] = [];
  const child = workflow("child", async (ctx, text: string) => {
    await ctx.sleep("1m");
    return text;
  });
  const w = cleaning(async (ctx) => {
    const mine: unknown[] = [];
    mine.push(
      await ctx.all([
        (ctx) => ctx.step("branch", () => 1),
        (ctx) => ctx.child(child, { id: "child", input: "of it" }),
        (ctx) => ctx.waitForSignal("more"),
      ]),
    );
    mine.push(
      await Promise.race([ctx.step("quick", () => "quick"), ctx.sleep("1s")]),
      await ctx.transaction("tx", (tx) => tx.get("SELECT 2 AS two")),
    );
    await ctx.publish("state", "clean");
    await ctx.emit("log", "cleaned");
    await ctx.sleep("1s");
    mine.push(await ctx.cleanup((ctx) => ctx.step("inner", () => "inner")));
    mine.push((await thrown(() => ctx.all([() => Promise.reject(new Error("a branch"))]))).message);
    mine.push(await ctx.step("last", () => "last"));
    notes = mine;
  }, { timeout: 10_000 * MINUTE });
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [w, child] });
  const handle = await engine.start(w, { id: "w" });
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  await eventually(async () => (await engine.get("child"))?.status === "waiting");
  await handle.signal("more", "and more");
  await eventually(() => {
    clock.advance(1_000);
    return notes.length === 6;
  });
  await assertRejects(() => handle.result(), CancelledError);
  assertEquals(notes, [[1, "of it", "and more"], "quick", { two: 2 }, "inner", "a branch", "last"]);
  assertEquals(await handle.read("state"), "clean");
  assertEquals(await engine.handle("child").status(), "completed");
});

Deno.test("compensations run after the cleanup, once the function has ended", async () => {
  await using engine = await Engine.open(":memory:");
  const order: string[] = [];
  const w = workflow("w", async (ctx) => {
    await ctx.step("book", () => "room", { compensate: () => void order.push("compensated") });
    try {
      await ctx.publish("state", "waiting");
      await ctx.waitForSignal("never");
    } finally {
      await ctx.cleanup((ctx) => ctx.step("release", () => order.push("released")));
      order.push("unwound");
    }
  });
  const handle = await engine.start(w);
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  await assertRejects(() => handle.result(), CancelledError);
  assertEquals([...new Set(order)], ["released", "unwound", "compensated"]);
});

Deno.test("a workflow that is stopped or paused in a cleanup goes on with it, elsewhere too", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const done: string[] = [];
  let gate = Promise.withResolvers<void>();
  const make = () =>
    cleaning(async (ctx) => {
      for (const id of ["one", "two", "three"]) {
        await ctx.step(id, async () => {
          await gate.promise;
          done.push(id);
        });
      }
    });
  const running = (engine: Engine, key: string) =>
    eventually(async () =>
      (await engine.get("w"))!.steps.some((step) => step.key === key && step.status === "running")
    );
  {
    await using engine = await Engine.open(file, { workflows: [make()] });
    const handle = await engine.start(make(), { id: "w" });
    await handle.read("state", { wait: "10s" });
    await handle.cancel();
    await running(engine, "one#000001");
    const closed = engine.close();
    gate.resolve();
    await closed;
    assertEquals(done, ["one"]);
  }
  gate = Promise.withResolvers();
  {
    await using engine = await Engine.open(file, { workflows: [make()] });
    const handle = await engine.resume("w");
    await running(engine, "two#000001");
    await handle.pause();
    gate.resolve();
    await eventualStatus(handle, "blocked");
    assertEquals(done, ["one", "two"]);
  }
  await using engine = await Engine.open(file, { workflows: [make()] });
  await assertRejects(async () => await (await engine.resume("w")).result(), CancelledError);
  assertEquals(done, ["one", "two", "three"]);
});

Deno.test("a child that a cleanup has started is not cancelled with its parent, also after a crash", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const child = workflow("child", async (ctx) => await ctx.waitForSignal<string>("answer"));
  const make = () => cleaning((ctx) => ctx.child(child, { id: "child" }));
  const first = await openMortal(file, { workflows: [make(), child] });
  const handle = await first.engine.start(make(), { id: "w" });
  handle.result().catch(() => {});
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  await eventually(async () => (await first.engine.get("child"))?.status !== undefined);
  await first.kill();
  await using engine = await Engine.open(file, { workflows: [make(), child] });
  const resumed = await engine.resume("w");
  await engine.signal("child", "answer", "yes");
  assertEquals(await engine.handle("child").result(), "yes");
  await assertRejects(() => resumed.result(), CancelledError);
});

Deno.test("code in a cleanup that awaits something of its own is not taken for one that waits", async () => {
  await using engine = await Engine.open(":memory:");
  const gate = Promise.withResolvers<string>();
  const w = cleaning(async () => {
    await gate.promise;
  });
  const handle = await engine.start(w, { id: "w" });
  await handle.read("state", { wait: "10s" });
  await handle.cancel();
  await eventually(async () => (await engine.get("w"))!.steps.some(({ kind }) => kind === "cancel"));
  gate.resolve("by itself");
  await assertRejects(() => handle.result(), CancelledError);
});

Deno.test("a workflow that failed in a cleanup's time is retried with a time anew", async () => {
  await using folder = temporaryFolder();
  const clock = new ManualClock();
  let isBroken = true;
  const w = workflow(
    "w",
    (ctx) =>
      ctx.cleanup(
        (ctx) =>
          ctx.step("release", ({ signal }) =>
            isBroken
              ? new Promise<string>((_, reject) =>
                signal.addEventListener("abort", () =>
                  reject(signal.reason))
              )
              : "released"),
        { timeout: "1m" },
      ),
  );
  await using engine = await Engine.open(folder.file("a.db"), { clock, workflows: [w] });
  const handle = await engine.start(w, { id: "w" });
  await eventually(() => clock.timers.includes(MINUTE));
  clock.advance(MINUTE);
  await assertRejects(() => handle.result(), CleanupTimeoutError);
  isBroken = false;
  assertEquals(await (await engine.retry("w")).result(), "released");
});

for (const alwaysReplay of [false, true]) {
  const mode = alwaysReplay ? ", called anew at every await" : "";

  Deno.test(`a workflow that cleans up after a cancel may be lost anywhere${mode}`, async () => {
    const effects: string[] = [];
    const act = (effect: string) => void (effects.includes(effect) || effects.push(effect));
    const child = workflow("child", (ctx) => ctx.step("in the child", () => act("in the child")));
    const w = workflow("w", async (ctx) => {
      await ctx.step("book", () => act("booked"), { compensate: () => act("undone") });
      try {
        await ctx.publish("state", "waiting");
        await ctx.waitForSignal("never");
      } finally {
        await ctx.cleanup(async (ctx) => {
          await ctx.all([
            (ctx) => ctx.step("release", () => act("released")),
            (ctx) => ctx.sleep("10s"),
            (ctx) => ctx.child(child),
          ]);
          await ctx.cleanup((ctx) => ctx.step("inner", () => act("inner")));
          const late = await thrown(() => ctx.sleep("1h"));
          act(late.name);
          await ctx.cleanup((ctx) => ctx.step("at last", () => act("at last")));
        }, { timeout: "1m" });
      }
    });
    const report = await crashEverywhere(w, {
      id: "w",
      alwaysReplay,
      workflows: [child],
      prepare: () => void effects.splice(0),
      drive: async (engine, id) => {
        await engine.handle(id).read("state", { wait: "10d" });
        await engine.cancel(id);
      },
      observe: () => effects.toSorted(),
    });
    assertEquals(report.differences, []);
    assertEquals(report.ending.status, "cancelled");
    assertEquals(effects.length, 7);
  });
}
