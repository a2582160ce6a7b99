import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  CancelledError,
  CompensationError,
  type Context,
  Engine,
  workflow,
  WorkflowStateError,
  WorkflowTimeoutError,
} from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR_MS = 3_600_000;

/** A step that notes that it is undone. */
function undoable(ctx: Context, id: string, notes: string[]): Promise<string> {
  return ctx.step(id, () => id, { compensate: (output) => void notes.push(`undo ${output}`) });
}

Deno.test("compensate undoes what was completed, in the reverse of its order, also of parallel branches", async () => {
  await using engine = await Engine.open(":memory:");
  const notes: string[] = [];
  const gate = Promise.withResolvers<void>();
  const saga = workflow("saga", async (ctx) => {
    await undoable(ctx, "a", notes);
    await ctx.all([
      async (ctx) => {
        await ctx.step("b", async () => {
          await gate.promise;
          return "b";
        }, { compensate: (output) => void notes.push(`undo ${output}`) });
        await undoable(ctx, "d", notes);
      },
      async (ctx) => {
        await undoable(ctx, "c", notes);
        gate.resolve();
      },
    ]);
    await ctx.step("not undone", () => "x");
    await ctx.step("failed", () => Promise.reject(new Error("caught")), {
      compensate: () => void notes.push("undo failed"),
    }).catch(() => {});
    await ctx.step("fails", () => Promise.reject(new RangeError("the end")));
  });
  const error = await assertRejects(() => engine.run(saga, { id: "s" }), RangeError, "the end");
  assertEquals(error.message, "the end");
  assertEquals(notes, ["undo d", "undo b", "undo c", "undo a"]);
  const { status, steps } = (await engine.get("s"))!;
  assertEquals(status, "failed");
  assertEquals(
    steps.slice(-4).map(({ key, kind, status }) => [key, kind, status]),
    ["d", "b", "c", "a"].map((id) => [`compensate:${id}#000001`, "compensation", "completed"]),
  );
});

Deno.test("compensate undoes nothing of a workflow that completes, though it has caught an error", async () => {
  await using engine = await Engine.open(":memory:");
  const notes: string[] = [];
  const saga = workflow("saga", async (ctx) => {
    await undoable(ctx, "a", notes);
    await ctx.step("fails", () => Promise.reject(new Error("caught"))).catch(() => {});
    return "done";
  });
  assertEquals(await engine.run(saga), "done");
  assertEquals(notes, []);
});

Deno.test("compensate undoes where the workflow's output cannot be stored", async () => {
  await using engine = await Engine.open(":memory:");
  const notes: string[] = [];
  const saga = workflow("saga", async (ctx) => {
    await undoable(ctx, "a", notes);
    return () => 1;
  });
  await assertRejects(() => engine.run(saga), Error, "Cannot store the output of workflow");
  assertEquals(notes, ["undo a"]);
});

Deno.test("compensate undoes a workflow that is cancelled or out of time, whatever its function makes of it", async () => {
  for (const how of ["cancel", "timeout"] as const) {
    for (const alwaysReplay of [false, true]) {
      const clock = new ManualClock();
      await using engine = await Engine.open(":memory:", { clock, alwaysReplay });
      const notes: string[] = [];
      const saga = workflow("saga", { timeout: "1h" }, async (ctx) => {
        await undoable(ctx, "a", notes);
        await undoable(ctx, "b", notes);
        await ctx.waitForSignal("s").catch(() => {});
        return "as if nothing had been";
      });
      const handle = await engine.start(saga, { id: "s" });
      await eventually(async () => (await engine.get("s"))!.steps.length >= 2);
      if (how === "cancel") await handle.cancel();
      else {
        await eventually(() => clock.timers.length > 0);
        clock.advance(HOUR_MS);
      }
      await assertRejects(() => handle.result(), how === "cancel" ? CancelledError : WorkflowTimeoutError);
      assertEquals(notes, ["undo b", "undo a"]);
      assertEquals(await handle.status(), how === "cancel" ? "cancelled" : "failed");
    }
  }
});

Deno.test("compensate undoes a step that was in flight when the workflow ended, once it completes", async () => {
  for (const how of ["failure", "cancel"] as const) {
    await using engine = await Engine.open(":memory:");
    const notes: string[] = [];
    const go = Promise.withResolvers<string>();
    let begun = false;
    const saga = workflow("saga", async (ctx) => {
      await undoable(ctx, "a", notes);
      ctx.step("in flight", () => {
        begun = true;
        return go.promise;
      }, { compensate: (output) => void notes.push(`undo ${output}`) }).catch(() => {});
      ctx.step("in flight, and fails", async () => {
        await go.promise;
        throw new Error("no");
      }, { compensate: () => void notes.push("undo what failed") }).catch(() => {});
      await ctx.waitForSignal("s");
      throw new RangeError("the end");
    });
    const handle = await engine.start(saga, { id: "s" });
    await eventually(() => begun);
    if (how === "cancel") await handle.cancel();
    else await handle.signal("s");
    await eventually(async () =>
      (await engine.get("s"))!.steps.some(({ kind, status }) =>
        kind === (how === "cancel" ? "cancel" : "signal") && status !== "running"
      )
    );
    assertEquals(notes, []);
    go.resolve("in flight");
    await assertRejects(() => handle.result(), how === "cancel" ? CancelledError : RangeError);
    assertEquals(notes, ["undo in flight", "undo a"]);
  }
});

Deno.test("compensate gets a key of its own, the same at each attempt, and is tried again with a durable backoff", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const infos: [string, number][] = [];
  let calls = 0;
  const saga = workflow("saga", async (ctx) => {
    calls++;
    await ctx.step("a", () => "A", {
      compensate: {
        undo: (output, { idempotencyKey, attempt }) => {
          infos.push([`${output} ${idempotencyKey}`, attempt]);
          if (attempt < 3) throw new Error("not yet");
        },
        retry: { maxAttempts: 4, initialInterval: "1h", maxInterval: "1h", jitter: 0 },
      },
    });
    throw new RangeError("the end");
  });
  {
    const mortal = await openMortal(file, { clock });
    const handle = await mortal.engine.start(saga, { id: "s" });
    await eventualStatus(handle, "waiting");
    clock.advance(HOUR_MS);
    await eventually(() => infos.length === 2);
    await eventualStatus(handle, "waiting");
    await mortal.kill();
  }
  await using engine = await Engine.open(file, { clock });
  const handle = await engine.start(saga, { id: "s" });
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  await assertRejects(() => handle.result(), RangeError, "the end");
  const key = "A s/compensate:a#000001";
  assertEquals(infos, [[key, 1], [key, 2], [key, 3]]);
  assertEquals(calls > 1, true);
});

Deno.test("cancel() and a timeout do not change how a workflow ends that is undoing its steps", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  let attempts = 0;
  const saga = workflow("saga", { timeout: "3h" }, async (ctx) => {
    await ctx.step("a", () => "A", {
      compensate: {
        undo: () => {
          if (++attempts < 3) throw new Error("not yet");
        },
        retry: { maxAttempts: 4, initialInterval: "2h", maxInterval: "2h", jitter: 0 },
      },
    });
    throw new RangeError("the end");
  });
  {
    await using engine = await Engine.open(file, { clock, workflows: [saga] });
    const handle = await engine.start(saga, { id: "s" });
    await eventualStatus(handle, "waiting");
    await handle.cancel();
    await eventualStatus(handle, "waiting");
    clock.advance(2 * HOUR_MS);
    await eventually(() => attempts === 2);
    await eventualStatus(handle, "waiting");
    clock.advance(1.5 * HOUR_MS);
    await eventualStatus(handle, "waiting");
  }
  await using engine = await Engine.open(file, { clock, workflows: [saga] });
  const handle = await engine.resume("s");
  await eventualStatus(handle, "waiting");
  clock.advance(HOUR_MS);
  await assertRejects(() => handle.result(), RangeError, "the end");
  assertEquals([await handle.status(), attempts], ["failed", 3]);
});

Deno.test("compensate that fails for good blocks the workflow with both errors, and resume() tries it again", async () => {
  for (const end of ["failure", "cancel"] as const) {
    const notes: string[] = [];
    let broken = true;
    const saga = workflow("saga", async (ctx) => {
      await undoable(ctx, "a", notes);
      await ctx.step("b", () => "b", {
        compensate: {
          undo: () => {
            notes.push("undo b");
            if (broken) throw new TypeError("no undo");
          },
          retry: { maxAttempts: 2, initialInterval: 0 },
        },
      });
      await undoable(ctx, "c", notes);
      await ctx.waitForSignal("s");
      throw new RangeError("the end");
    });
    await using engine = await Engine.open(":memory:", { workflows: [saga] });
    const handle = await engine.start(saga, { id: "s" });
    await eventually(async () => (await engine.get("s"))!.steps.length >= 3);
    if (end === "cancel") await handle.cancel();
    else await handle.signal("s");
    const error = await assertRejects(() => handle.result(), CompensationError);
    assertEquals([error.workflowId, error.key], ["s", "b#000001"]);
    assertInstanceOf(error.cause, AggregateError);
    assertEquals(error.cause.errors.map((error) => error.name), [
      "TypeError",
      end === "cancel" ? "CancelledError" : "RangeError",
    ]);
    assertEquals(await handle.status(), "blocked");
    assertEquals(notes.splice(0), ["undo c", "undo b", "undo b"]);
    await assertRejects(async () => await (await engine.resume("s")).result(), CompensationError);
    notes.length = 0;
    broken = false;
    await assertRejects(
      async () => await (await engine.resume("s")).result(),
      end === "cancel" ? CancelledError : RangeError,
    );
    assertEquals(notes, ["undo b", "undo a"]);
    assertEquals(await handle.status(), end === "cancel" ? "cancelled" : "failed");
  }
});

Deno.test("retry() refuses a workflow whose steps have been undone, and takes one that had nothing to undo", async () => {
  const notes: string[] = [];
  let broken = true;
  const saga = workflow("saga", async (ctx, undo: boolean) => {
    if (undo) await undoable(ctx, "a", notes);
    return await ctx.step("fails", () => broken ? Promise.reject(new Error("broken")) : "mended");
  });
  await using engine = await Engine.open(":memory:", { workflows: [saga] });
  await assertRejects(() => engine.run(saga, { id: "undone", input: true }), Error, "broken");
  await assertRejects(() => engine.run(saga, { id: "plain", input: false }), Error, "broken");
  broken = false;
  const error = await assertRejects(() => engine.retry("undone"), WorkflowStateError);
  assertEquals(error.found, "compensated");
  assertEquals(await (await engine.retry("plain")).result(), "mended");
});

Deno.test("a parent that is tried again does not take up a child whose steps have been undone", async () => {
  const notes: string[] = [];
  let broken = true;
  const child = workflow("child", async (ctx) => {
    await undoable(ctx, "a", notes);
    return await ctx.step("fails", () => broken ? Promise.reject(new Error("broken")) : "mended");
  });
  const parent = workflow("parent", (ctx) => ctx.child(child, { id: "c" }));
  await using engine = await Engine.open(":memory:", { workflows: [parent, child] });
  await assertRejects(() => engine.run(parent, { id: "p" }), Error, "broken");
  broken = false;
  await assertRejects(async () => await (await engine.retry("p")).result(), Error, "broken");
  assertEquals([notes, await engine.handle("c").status()], [["undo a"], "failed"]);
});

Deno.test("compensate refuses what is no function", async () => {
  await using engine = await Engine.open(":memory:");
  const bad = workflow("bad", async (ctx) => {
    const compensate = { undo: "undo" } as unknown as () => void;
    return await ctx.step("step", () => 1, { compensate }).catch((error) => `${error}`);
  });
  assertEquals(
    await engine.run(bad),
    'TypeError: Cannot run step "step": wanted a function that undoes it, found string',
  );
});

Deno.test("compensate is given what the step had returned, whatever the workflow has made of it since", async () => {
  await using engine = await Engine.open(":memory:");
  const undone: unknown[] = [];
  const saga = workflow("saga", async (ctx) => {
    const reserved = await ctx.step("reserve", () => ({ ids: [1, 2], at: new Date(0) }), {
      compensate: (output) => {
        undone.push(structuredClone(output));
        output.ids.length = 0;
        if (undone.length === 1) throw new Error("try again");
      },
    });
    while (reserved.ids.length > 0) reserved.ids.pop();
    throw new Error("no");
  });
  const clock = new ManualClock();
  await using timed = await Engine.open(":memory:", { clock });
  const handle = await timed.start(saga);
  const failed = assertRejects(() => handle.result(), Error, "no");
  await eventually(() => (clock.advance(60_000), undone.length === 2));
  await failed;
  assertEquals(undone, Array(2).fill({ ids: [1, 2], at: new Date(0) }));
  assertEquals(await engine.list(), []);
});

Deno.test("a workflow that throws what has no text is blocked where it cannot be undone, and its undo runs once", async () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  for (
    const thrown of [Symbol("why"), Object.create(null), undefined, 10n, proxy, { message: Symbol("m") }]
  ) {
    for (const undone of [thrown, new Error("No")]) {
      await using engine = await Engine.open(":memory:");
      let undos = 0;
      const saga = workflow("saga", async (ctx) => {
        await ctx.step("pay", () => "paid", {
          compensate: {
            undo: () => {
              undos++;
              throw undone;
            },
            retry: { maxAttempts: 1 },
          },
        });
        throw thrown;
      });
      for (let i = 0; i < 2; i++) {
        const error = await assertRejects(() => engine.run(saga, { id: "s" }), CompensationError);
        assertEquals([error.key, (error.cause as AggregateError).errors.length], ["pay#000001", 2]);
      }
      assertEquals([await engine.handle("s").status(), undos], ["blocked", 1]);
    }
  }
});
