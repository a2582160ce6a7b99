import { assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  CancelledError,
  type Context,
  Engine,
  type Handle,
  NonRetryableError,
  type Workflow,
  workflow,
  WorkflowConflictError,
} from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("the types have an input be given to what takes one, wherever a workflow is made for certain", async () => {
  const none = workflow("none", () => 1);
  const optional = workflow("optional", (_, input?: string) => input ?? "none");
  const text = workflow("text", (_, input: string) => input);
  const forward = <I, O>(ctx: Context, child: Workflow<I, O>, input: I): Promise<O> =>
    ctx.child(child, { input });
  const parent = workflow("parent", async (ctx) => {
    const one: number = await ctx.child(none);
    // @ts-expect-error no input
    const missing: string | undefined = await ctx.child(text, { id: "b" });
    // @ts-expect-error no input, and no options
    await ctx.child(text);
    // @ts-expect-error no input, said aloud
    await ctx.child(text, { input: undefined });
    // @ts-expect-error another input
    await ctx.child(text, { input: 1 });
    return [
      one,
      await ctx.child(optional),
      await ctx.child(text, { input: "a" }),
      missing,
      await forward(ctx, text, "f"),
    ];
  });
  await using engine = await Engine.open(":memory:", { workflows: [text, optional] });
  assertEquals(await engine.run(parent), [1, "none", "a", undefined, "f"]);
  await engine.transaction(async (tx) => {
    await tx.start(optional);
    await tx.start(text, { input: "a" });
    // @ts-expect-error no input
    await tx.start(text, { id: "c" });
  });
  await engine.enqueue(optional, { queue: "q" });
  await engine.enqueue("text", { queue: "q" });
  // @ts-expect-error no input
  await engine.enqueue(text, { queue: "q" });
  assertEquals((await engine.list({ workflow: "text" })).length, 10);
});

Deno.test("child() gives the child's output, of any kind, and its error as it was thrown", async () => {
  for (const alwaysReplay of [false, true]) {
    await using engine = await Engine.open(":memory:", { alwaysReplay });
    const child = workflow("child", async (ctx, input: string) => {
      const made = await ctx.step("make", () => new Map([[input, ctx.workflowId]]));
      if (input === "range") throw new RangeError("out of range");
      if (input === "code") throw Object.assign(new Error("no file"), { code: "ENOENT" });
      if (input === "own") throw new NonRetryableError("ours");
      return made;
    });
    const parent = workflow("parent", async (ctx) => {
      const errors: unknown[] = [];
      for (const input of ["range", "code", "own"]) {
        const error = await ctx.child(child, { input }).catch((error) => error);
        errors.push([error.constructor.name, error.name, error.message, error.code]);
      }
      return { output: await ctx.child(child, { input: "fine", id: "named" }), errors };
    });
    assertEquals(await engine.run(parent, { id: "p" }), {
      output: new Map([["fine", "named"]]),
      errors: [
        ["RangeError", "RangeError", "out of range", undefined],
        ["Error", "Error", "no file", "ENOENT"],
        ["NonRetryableError", "NonRetryableError", "ours", undefined],
      ],
    });
    assertEquals((await engine.list()).map(({ id, status }) => [id, status]), [
      ["named", "completed"],
      ["p/child:child#000003", "failed"],
      ["p/child:child#000002", "failed"],
      ["p/child:child#000001", "failed"],
      ["p", "completed"],
    ]);
  }
});

Deno.test("child() refuses an id that is not this child's, and what cannot be given to one", async () => {
  await using engine = await Engine.open(":memory:");
  const child = workflow("child", (_, input: number) => input);
  const other = workflow("other", (_, input: number) => input);
  await engine.run(child, { id: "mine", input: 1 });
  const parent = workflow("parent", async (ctx) => {
    const refusals: string[] = [];
    const note = (error: Error) => void refusals.push(error.name);
    await ctx.child(child, { id: "mine", input: 1 }).catch(note);
    await ctx.child(child, { id: "parent", input: 1 }).catch(note);
    await ctx.child(child, { id: "c", input: 1 });
    await ctx.child(child, { id: "c", input: 2 }).catch(note);
    await ctx.child(other, { id: "c", input: 1 }).catch(note);
    await ctx.child(child, { id: "", input: 1 }).catch(note);
    await ctx.child(child, { id: "x", input: (() => 1) as unknown as number }).catch(note);
    await ctx.child({} as Workflow<number, number>, { input: 1 }).catch(note);
    await ctx.child(child, { id: "y", timeout: "soon" as "1s", input: 1 }).catch(note);
    await ctx.child(child, { id: "z", detached: "yes" as unknown as boolean, input: 1 }).catch((error) => {
      refusals.push(error.message);
    });
    return [refusals, await ctx.child(child, { id: "c", input: 1 })];
  });
  assertEquals(await engine.run(parent, { id: "parent" }), [
    [
      ...Array(4).fill(WorkflowConflictError.name),
      "RangeError",
      "SerializationError",
      "TypeError",
      "TypeError",
      'Cannot start child "child": wanted a boolean as detached, found string',
    ],
    1,
  ]);
});

Deno.test("child() for one child at several places at once tells all of them of its end", async () => {
  for (const alwaysReplay of [false, true]) {
    await using engine = await Engine.open(":memory:", { alwaysReplay });
    const child = workflow("child", (ctx) => ctx.waitForSignal<string>("s"));
    const parent = workflow(
      "parent",
      (ctx) => Promise.all([1, 2, 3].map(() => ctx.child(child, { id: "c" }))),
    );
    const handle = await engine.start(parent, { id: "p" });
    await eventually(async () => (await engine.get("c"))?.status === (alwaysReplay ? "waiting" : "running"));
    await engine.signal("c", "s", "once");
    assertEquals(await handle.result(), ["once", "once", "once"]);
  }
});

Deno.test("child() a thousand times side by side, and a thousand generations deep", async () => {
  await using engine = await Engine.open(":memory:");
  const leaf = workflow("leaf", (ctx, n: number) => ctx.step("step", () => n));
  const wide = workflow("wide", async (ctx) => {
    const results = await Promise.all(
      Array.from({ length: 1_000 }, (_, input) => ctx.child(leaf, { input })),
    );
    return results.reduce((sum, n) => sum + n, 0);
  });
  assertEquals(await engine.run(wide, { id: "w" }), 499_500);
  const deep: Workflow<number, number> = workflow(
    "deep",
    async (ctx, n: number) => n === 0 ? 0 : 1 + await ctx.child(deep, { input: n - 1 }),
  );
  assertEquals(await engine.run(deep, { id: "d", input: 1_000 }), 1_000);
});

Deno.test("child() waits for room where maxRunning workflows run, and runs then", async () => {
  await using engine = await Engine.open(":memory:", { maxRunning: 3, alwaysReplay: true });
  let most = 0;
  let running = 0;
  const leaf = workflow("leaf", (ctx, n: number) =>
    ctx.step("step", async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
      return n;
    }));
  const wide = workflow(
    "wide",
    (ctx) => Promise.all(Array.from({ length: 50 }, (_, input) => ctx.child(leaf, { input }))),
  );
  const outputs = await engine.run(wide, { id: "w" });
  assertEquals(outputs, Array.from({ length: 50 }, (_, i) => i));
  assertEquals(most <= 3, true);
});

Deno.test("a workflow that is due or was sent a signal waits for room where maxRunning workflows run", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { maxRunning: 2, alwaysReplay: true, clock });
  const waits = workflow("waits", async (ctx, wait: "sleep" | "signal") => {
    await (wait === "sleep" ? ctx.sleep("1h") : ctx.waitForSignal("s"));
    return wait;
  });
  const handles: Handle[] = [];
  for (const wait of ["sleep", "signal", "sleep", "signal"] as const) {
    handles.push(await engine.start(waits, { input: wait }));
    await eventualStatus(handles.at(-1)!, "waiting");
  }
  const go = Promise.withResolvers<void>();
  const busy = workflow("busy", (ctx) => ctx.step("step", () => go.promise));
  const both = [await engine.start(busy), await engine.start(busy)];
  clock.advance(3_600_000);
  for (const handle of handles) await handle.signal("s");
  await eventually(async () => (await engine.list({ status: "running" })).length === 2);
  go.resolve();
  await Promise.all(both.map((handle) => handle.result()));
  assertEquals(await Promise.all(handles.map((handle) => handle.result())), [
    "sleep",
    "signal",
    "sleep",
    "signal",
  ]);
});

/** A parent with a child that is detached and one that is not; each waits for a signal. */
function family() {
  const child = workflow("child", (ctx) => ctx.waitForSignal<string>("s"));
  const parent = workflow("parent", async (ctx, how: "fails" | "returns" | "waits") => {
    const children = [
      ctx.child(child, { id: "attached" }),
      ctx.child(child, { id: "detached", detached: true }),
    ];
    if (how === "waits") return await Promise.all(children);
    for (const child of children) child.catch(() => {});
    await ctx.waitForSignal("end");
    if (how === "fails") throw new Error("as told");
    return how;
  });
  return { child, parent };
}

Deno.test("a child ends with its parent, however that ends, unless it is detached", async () => {
  for (const how of ["fails", "returns", "waits"] as const) {
    for (const alwaysReplay of [false, true]) {
      await using engine = await Engine.open(":memory:", { alwaysReplay });
      const { parent } = family();
      const handle = await engine.start(parent, { id: "p", input: how });
      const [attached, detached] = [engine.handle("attached"), engine.handle("detached")];
      await eventually(async () => await engine.get("detached"));
      if (how === "waits") await handle.cancel();
      else await handle.signal("end");
      await handle.result().catch(() => {});
      assertEquals(
        await handle.status(),
        { fails: "failed", returns: "completed", waits: "cancelled" }[how],
      );
      await assertRejects(() => attached.result(), CancelledError);
      await detached.signal("s", "goes on");
      assertEquals(await detached.result(), "goes on");
    }
  }
});

Deno.test("a child that its parent did not wait for is cancelled too, though it was being made when that ended", async () => {
  await using engine = await Engine.open(":memory:");
  let ran = 0;
  const child = workflow("child", async (ctx) => {
    ran++;
    await ctx.waitForSignal("s");
  });
  const parent = workflow("parent", (ctx) => {
    ctx.child(child, { id: "c" }).catch(() => {});
    return "at once";
  });
  assertEquals(await engine.run(parent, { id: "p" }), "at once");
  if (await engine.get("c") !== undefined) {
    await assertRejects(() => engine.handle("c").result(), CancelledError);
  }
  assertEquals(ran <= 1, true);
});

Deno.test("a child of a child is cancelled with the first of them", async () => {
  await using engine = await Engine.open(":memory:", { alwaysReplay: true });
  const generations: Workflow<number, unknown> = workflow(
    "generations",
    (ctx, n: number) =>
      n === 0 ? ctx.waitForSignal("s") : ctx.child(generations, { input: n - 1, id: `g-${n - 1}` }),
  );
  const handle = await engine.start(generations, { id: "g-3", input: 3 });
  await eventually(async () => (await engine.get("g-0"))?.status === "waiting");
  await handle.cancel();
  for (const n of [3, 2, 1, 0]) {
    await assertRejects(() => engine.handle(`g-${n}`).result(), CancelledError, `"g-${n}"`);
  }
});

Deno.test("retry() of a parent tries the child again whose failure it was, and that goes on where it had failed", async () => {
  const steps: string[] = [];
  let broken = true;
  const child = workflow("child", async (ctx) => {
    await ctx.step("first", () => void steps.push("first"));
    return await ctx.step("second", () => {
      steps.push("second");
      if (broken) throw new Error("broken");
      return "mended";
    });
  });
  const parent = workflow("parent", async (ctx) => {
    await ctx.step("before", () => void steps.push("before"));
    return await ctx.child(child);
  });
  await using engine = await Engine.open(":memory:", { workflows: [parent, child] });
  await assertRejects(() => engine.run(parent, { id: "p" }), Error, "broken");
  broken = false;
  assertEquals(await (await engine.retry("p")).result(), "mended");
  assertEquals(steps, ["before", "first", "second", "second"]);
});

Deno.test("retry() of a parent tries those children again that were cancelled with it", async () => {
  let broken = true;
  const steps: string[] = [];
  const child = workflow("child", async (ctx) => {
    await ctx.step("step", () => void steps.push("child"));
    return await ctx.waitForSignal<string>("s");
  });
  const parent = workflow("parent", (ctx) =>
    ctx.all([
      (ctx) => ctx.child(child, { id: "c" }),
      async (ctx) => {
        await ctx.waitForSignal("go");
        return await ctx.step("step", () => broken ? Promise.reject(new Error("broken")) : "mended");
      },
    ]));
  await using engine = await Engine.open(":memory:", { workflows: [parent, child], alwaysReplay: true });
  const handle = await engine.start(parent, { id: "p" });
  await eventually(async () => (await engine.get("c"))?.status === "waiting");
  await handle.signal("go");
  await assertRejects(() => handle.result(), Error, "broken");
  await assertRejects(() => engine.handle("c").result(), CancelledError);
  broken = false;
  await engine.retry("p");
  await eventually(async () => (await engine.get("c"))?.status === "waiting");
  await engine.signal("c", "s", "went on");
  assertEquals(await handle.result(), ["went on", "mended"]);
  assertEquals(steps, ["child"]);
  // It can be cancelled once more, too.
  assertEquals(await engine.handle("c").status(), "completed");
});

Deno.test("retry() of a failed child takes its end back where its parent has not looked at it", async () => {
  let broken = true;
  const child = workflow(
    "child",
    async (ctx) => {
      await ctx.waitForSignal("go");
      return await ctx.step("step", () => broken ? Promise.reject(new Error("broken")) : "mended");
    },
  );
  const parent = workflow("parent", (ctx) => ctx.child(child, { id: "c" }));
  await using engine = await Engine.open(":memory:", { workflows: [parent, child], alwaysReplay: true });
  const handle = await engine.start(parent, { id: "p" });
  await eventualStatus(handle, "waiting");
  await handle.pause();
  await engine.signal("c", "go");
  await assertRejects(() => engine.handle("c").result(), Error, "broken");
  broken = false;
  await engine.retry("c");
  await engine.resume("p");
  assertEquals(await handle.result(), "mended");
});

Deno.test("a parent and its child whose process is lost are both resumed by who resumes the parent", async () => {
  for (const state of ["running", "waiting"] as const) {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    const begun: string[] = [];
    let hold = true;
    const grandchild = workflow("grandchild", async (ctx) => {
      await ctx.step("first", () => void begun.push(ctx.workflowId));
      return await ctx.step("second", () => hold ? new Promise<string>(() => {}) : "done");
    });
    const child = workflow("child", (ctx) => ctx.child(grandchild, { id: "grandchild" }));
    const parent = workflow("parent", async (ctx) => {
      if (state === "waiting") return await ctx.child(child, { id: "child" });
      const [output] = await ctx.all([
        (ctx) => ctx.child(child, { id: "child" }),
        (ctx) => ctx.step("beside", () => hold ? new Promise<void>(() => {}) : undefined),
      ]);
      return output;
    });
    const mortal = await openMortal(file, { alwaysReplay: true });
    const handle = await mortal.engine.start(parent, { id: "p" });
    await eventually(() => begun.length === 1);
    await eventualStatus(handle, state);
    await eventually(() => query(file, "SELECT 1 FROM steps WHERE step_key = 'second#000001'").length === 1);
    await mortal.kill();
    hold = false;
    await using engine = await Engine.open(file, { workflows: [parent] });
    assertEquals(await (await engine.resume("p")).result(), "done", state);
    assertEquals(new Set(begun), new Set(["grandchild"]));
    assertEquals(query(file, "SELECT count(*) AS n FROM workflows"), [{ n: 3 }]);
  }
});

Deno.test("a child that is paused keeps its parent waiting until it is resumed", async () => {
  const child = workflow("child", (ctx) => ctx.waitForSignal<string>("s"));
  const parent = workflow("parent", (ctx) => ctx.child(child, { id: "c" }));
  await using engine = await Engine.open(":memory:", { workflows: [child, parent], alwaysReplay: true });
  const handle = await engine.start(parent, { id: "p" });
  await eventually(async () => (await engine.get("c"))?.status === "waiting");
  await eventualStatus(handle, "waiting");
  await engine.pause("c");
  await engine.signal("c", "s", "kept");
  assertEquals([await engine.handle("c").status(), await handle.status()], ["blocked", "waiting"]);
  await engine.resume("c");
  assertEquals(await handle.result(), "kept");
});

Deno.test("cancel() of a child by itself is an error to its parent, which may go on", async () => {
  await using engine = await Engine.open(":memory:");
  const child = workflow("child", (ctx) => ctx.waitForSignal("s"));
  const parent = workflow("parent", async (ctx) => {
    const error = await ctx.child(child, { id: "c" }).catch((error) => error);
    assertInstanceOf(error, CancelledError);
    return [error.workflowId, ctx.signal.aborted];
  });
  const handle = await engine.start(parent, { id: "p" });
  await eventually(async () => await engine.get("c") !== undefined);
  await engine.cancel("c");
  assertEquals(await handle.result(), ["c", false]);
});
