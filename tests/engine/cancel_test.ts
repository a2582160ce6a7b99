import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import {
  CancelledError,
  Engine,
  NonDeterminismError,
  type Workflow,
  workflow,
  WorkflowNotFoundError,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { eventualStatus } from "../eventual_status.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What a wait, a step and another call of the context tell a workflow that is cancelled. */
async function told(act: () => Promise<unknown>): Promise<string> {
  return await act().then(() => "nothing", (error) => error.name);
}

Deno.test("cancel() tells a running step by its signal, and the workflow at all that it asks for", async () => {
  await using engine = await Engine.open(":memory:");
  const notes: unknown[] = [];
  let begun = false;
  const stuck = workflow("stuck", async (ctx) => {
    try {
      notes.push(
        await told(() =>
          ctx.step("step", ({ signal }) => {
            begun = true;
            return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
          })
        ),
      );
      notes.push(ctx.signal.aborted, ctx.signal.reason.name);
      const never = workflow("never", () => 1);
      for (
        const act of [
          () => ctx.step("another", () => notes.push("another ran")),
          () => ctx.sleep(0),
          () => ctx.waitForSignal("s"),
          () => ctx.child(never, { id: "never" }),
          () => ctx.all([(ctx) => ctx.step("in a branch", () => notes.push("branch ran"))]),
        ]
      ) notes.push(await told(act));
      await ctx.sleep("1h");
    } catch (error) {
      notes.push("catch");
      throw error;
    } finally {
      notes.push("finally");
    }
  });
  const handle = await engine.start(stuck, { id: "s" });
  await eventually(() => begun);
  await handle.cancel();
  const error = await assertRejects(() => handle.result(), CancelledError);
  assertEquals([error.workflowId, error.message], ["s", 'Workflow "s" was cancelled']);
  assertEquals(notes, ["CancelledError", true, ...Array(6).fill("CancelledError"), "catch", "finally"]);
  assertEquals(await handle.status(), "cancelled");
  assertEquals(await engine.get("never"), undefined);
});

Deno.test("cancel() leaves the result of a step that ends all the same, and cancels whatever the function makes of it", async () => {
  await using engine = await Engine.open(":memory:");
  const go = Promise.withResolvers<string>();
  let signal: AbortSignal | undefined;
  const deaf = workflow("deaf", async (ctx) => {
    const result = await ctx.step("step", (info) => {
      signal = info.signal;
      return go.promise;
    });
    return `${result}, ${await told(() => ctx.sleep(0))}`;
  });
  const handle = await engine.start(deaf, { id: "d" });
  await eventually(() => signal !== undefined);
  await handle.cancel();
  await eventually(() => signal!.aborted);
  assertEquals(await handle.status(), "running");
  go.resolve("done");
  await assertRejects(() => handle.result(), CancelledError);
  const steps = (await engine.get("d"))!.steps;
  assertEquals(steps.map(({ key, status }) => [key, status]), [["cancel", "failed"], [
    "step#000001",
    "completed",
  ]]);
});

Deno.test("cancel() ends every wait of a workflow that was let go", async () => {
  const waits: Record<string, Workflow<void, unknown>> = {
    sleep: workflow("sleep", (ctx) => ctx.sleep("1h")),
    signal: workflow("signal", (ctx) => ctx.waitForSignal("s", { timeout: "1h" })),
    child: workflow("child", (ctx) => ctx.child(workflow("c", (ctx) => ctx.sleep("1h")), { id: "c" })),
    backoff: workflow(
      "backoff",
      (ctx) =>
        ctx.step("step", () => Promise.reject(new Error("no")), {
          retry: { maxAttempts: 2, initialInterval: "1h" },
        }),
    ),
    several: workflow("several", (ctx) =>
      ctx.all([
        (ctx) => ctx.sleep("1h"),
        (ctx) => ctx.waitForSignal("s"),
        (ctx) => ctx.waitForSignal("s"),
      ])),
  };
  for (const [name, waiting] of Object.entries(waits)) {
    await using engine = await Engine.open(":memory:", { clock: new ManualClock(), alwaysReplay: true });
    const handle = await engine.start(waiting, { id: "w" });
    await eventualStatus(handle, "waiting");
    await handle.cancel();
    const error = await assertRejects(() => handle.result(), CancelledError, undefined, name);
    assertEquals([name, error.workflowId, await handle.status()], [name, "w", "cancelled"]);
    if (name !== "child") continue;
    await assertRejects(() => engine.handle("c").result(), CancelledError);
  }
});

Deno.test("cancel() a second time changes nothing, and of one that has ended otherwise is refused", async () => {
  await using engine = await Engine.open(":memory:");
  let caught = 0;
  const waiting = workflow("waiting", async (ctx) => {
    await ctx.waitForSignal("s").catch(() => caught++);
  });
  const handle = await engine.start(waiting, { id: "w" });
  await Promise.all([handle.cancel(), handle.cancel(), handle.cancel()]);
  await assertRejects(() => handle.result(), CancelledError);
  await handle.cancel();
  assertEquals(caught, 1);
  await assertRejects(() => handle.signal("s"), WorkflowStateError, "cancelled");

  await engine.run(workflow("quick", () => 1), { id: "done" });
  const error = await assertRejects(() => engine.cancel("done"), WorkflowStateError);
  assertEquals(error.found, "completed");
  await assertRejects(() => engine.cancel("nobody"), WorkflowNotFoundError);
});

Deno.test("cancel() of a blocked workflow cancels it at once, and its children with it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const child = workflow("child", (ctx) => ctx.waitForSignal("s"));
  let called = 0;
  let isChanged = false;
  const parent = workflow("parent", async (ctx) => {
    called++;
    await ctx.step(isChanged ? "other" : "first", () => {});
    await ctx.all([
      (ctx) => ctx.child(child, { id: "attached" }),
      (ctx) => ctx.child(child, { id: "detached", detached: true }),
    ]);
  });
  const options = { alwaysReplay: true, durability: "normal", workflows: [parent] } as const;
  await using engine = await Engine.open(file, options);
  const handle = await engine.start(parent, { id: "p" });
  await eventualStatus(handle, "waiting");
  await eventualStatus(engine.handle("attached"), "waiting");
  await eventualStatus(engine.handle("detached"), "waiting");
  await handle.pause();
  isChanged = true;
  await engine.resume("p");
  await assertRejects(() => handle.result(), NonDeterminismError);
  called = 0;
  await handle.cancel();
  assertEquals([await handle.status(), called], ["cancelled", 0]);
  await assertRejects(() => handle.result(), CancelledError);
  await assertRejects(() => engine.handle("attached").result(), CancelledError);
  await engine.signal("detached", "s", "goes on");
  assertEquals(await engine.handle("detached").result(), "goes on");
});

Deno.test("cancel() of a workflow that nobody runs is heeded by who takes it up, here at once", async () => {
  for (const lost of ["close", "kill"] as const) {
    for (const registered of [true, false]) {
      await using folder = temporaryFolder();
      const file = folder.file("a.db");
      let steps = 0;
      let caught: unknown;
      const held = workflow("held", async (ctx) => {
        try {
          await ctx.step("first", () => steps++);
          await ctx.step("second", () => ++steps && new Promise(() => {}));
        } catch (error) {
          caught = error;
          throw error;
        }
      });
      const mortal = await openMortal(file, { closeGrace: 0 });
      const first = await mortal.engine.start(held, { id: "h" });
      await eventually(() => steps === 2);
      if (lost === "close") {
        const refused = assertRejects(() => first.result());
        await mortal.engine.close();
        await refused;
      } else await mortal.kill();

      await using engine = await Engine.open(file, registered ? { workflows: [held] } : {});
      const handle = engine.handle("h");
      await handle.cancel();
      if (!registered) {
        assertEquals(await handle.status(), lost === "close" ? "pending" : "running");
        await engine.start(held, { id: "h" });
      }
      await assertRejects(() => handle.result(), CancelledError, undefined, `${lost} ${registered}`);
      assertInstanceOf(caught, CancelledError);
      assertEquals([await handle.status(), steps], ["cancelled", 2]);
    }
  }
});

Deno.test("cancel() of a workflow that has not begun runs nothing of it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file, { maxRunning: 1, durability: "normal" });
  let ran = 0;
  const child = workflow("child", () => void ran++);
  const parent = workflow("parent", async (ctx) => {
    // There is room for one workflow, which is this one.
    const child1 = ctx.child(child, { id: "c" }).catch((error) => error.name);
    await ctx.step("step", () => go.promise);
    return await child1;
  });
  const go = Promise.withResolvers<void>();
  const handle = await engine.start(parent, { id: "p" });
  await eventually(() => query(file, "SELECT status FROM workflows").length === 2);
  assertEquals(await engine.handle("c").status(), "pending");
  await engine.cancel("c");
  assertEquals(await engine.handle("c").status(), "cancelled");
  go.resolve();
  assertEquals([await handle.result(), ran], ["CancelledError", 0]);
});

Deno.test("cancel() from another process reaches a workflow that runs, and one that waits", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using one = await Engine.open(file, { alwaysReplay: true });
  await using other = await Engine.open(file);
  let aborted = false;
  const running = await one.start(
    workflow(
      "running",
      (ctx) =>
        ctx.step("step", ({ signal }) =>
          new Promise((_, reject) =>
            signal.addEventListener("abort", () => {
              aborted = true;
              reject(signal.reason);
            })
          )),
    ),
    { id: "running" },
  );
  const waiting = await one.start(workflow("waiting", (ctx) => ctx.waitForSignal("s")), { id: "waiting" });
  await eventualStatus(waiting, "waiting");
  for (const handle of [running, waiting]) {
    await other.cancel(handle.id);
    await assertRejects(() => handle.result(), CancelledError);
    await assertRejects(() => other.handle(handle.id).result(), CancelledError);
  }
  assert(aborted);
});

Deno.test("cancel() of a workflow that a corrupt row blocks instead is durable all the same", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const waiting = workflow("waiting", async (ctx) => {
    await ctx.step("step", () => "done");
    await ctx.waitForSignal("s");
  });
  await using engine = await Engine.open(file, { workflows: [waiting], alwaysReplay: true });
  const handle = await engine.start(waiting, { id: "w" });
  await eventualStatus(handle, "waiting");
  execute(file, "UPDATE checkpoints SET checksum = checksum + 1 WHERE topic IS NOT NULL");
  await handle.cancel();
  await eventualStatus(handle, "blocked");
  await handle.cancel();
  assertEquals(await handle.status(), "cancelled");
});

Deno.test("the replay of a cancelled workflow tells it at the same place", async () => {
  // It notes each call of the function: so it is to be called for each run only.
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const notes: string[][] = [];
  let begun = 0;
  const racing = workflow("racing", async (ctx) => {
    const mine: string[] = [];
    notes.push(mine);
    await ctx.all(["a", "b", "c"].map((name) => async (ctx) => {
      for (let i = 0; i < 6; i++) {
        mine.push(`${name}${i} ${await told(() =>
          ctx.step("step", () => {
            return ++begun === 5 ? handle.cancel() : undefined;
          })
        )}`);
      }
    }));
    return mine;
  });
  const engine = await Engine.open(file, { alwaysReplay: false });
  await using _ = engine;
  const handle = engine.handle("r");
  await assertRejects(() => engine.run(racing, { id: "r" }), CancelledError);
  execute(
    file,
    "UPDATE workflows SET status = 'pending', output_json = NULL, error_json = NULL, checksum = NULL",
  );
  await assertRejects(() => engine.run(racing, { id: "r" }), CancelledError);
  assertEquals(notes.length, 2);
  assertEquals(notes[1], notes[0]);
  assert(notes[0]!.some((note) => note.endsWith("CancelledError")));
});
