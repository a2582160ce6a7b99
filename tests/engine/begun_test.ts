import { Engine, workflow } from "@stepwell/stepwell";
import { assertEquals } from "@std/assert";
import { openCrashing } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const HOUR = 3_600_000;
const NOON = Date.UTC(2030, 0, 1, 12);

/** When it has begun, by its own account; and the time after its step, which it waits for if it is told to. */
const asked = workflow("asked", async (ctx) => {
  const begun = ctx.now().getTime();
  await ctx.step("step", () => {});
  return begun;
});

Deno.test("ctx.now() of a workflow that has waited in a queue is when it began, in every later run", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const begun = new Set<string>();
  let isBroken = true;
  const waits = workflow("waits", async (ctx) => {
    const at = ctx.now().getTime();
    begun.add(ctx.workflowId);
    await ctx.waitForSignal("go");
    await ctx.step("call", () => isBroken ? Promise.reject(new Error("broken")) : undefined);
    return at;
  });
  const options = { clock, workflows: [waits] };
  {
    await using engine = await Engine.open(file, options);
    await engine.enqueue(waits, { id: "w", delay: "1h" });
    await engine.enqueue("waits", { id: "by its name" });
    clock.advance(2 * HOUR);
    engine.work();
    await eventually(() => begun.size === 2);
  }
  clock.advance(HOUR);
  await using engine = await Engine.open(file, options);
  engine.work();
  for (const id of ["w", "by its name"]) await engine.signal(id, "go");
  const errors = await Promise.allSettled(["w", "by its name"].map((id) => engine.handle(id).result()));
  assertEquals(errors.map(({ status }) => status), ["rejected", "rejected"]);
  isBroken = false;
  clock.advance(HOUR);
  const fork = await engine.fork("w", { fromStep: "call", newId: "fork" });
  const retried = await engine.retry("by its name");
  assertEquals([await fork.result(), await retried.result()], [NOON + 2 * HOUR, NOON + 2 * HOUR]);
  const inputs = query(file, "SELECT begun_at FROM inputs ORDER BY workflow");
  assertEquals(inputs.map(({ begun_at }) => begun_at), [NOON + 2 * HOUR, NOON + 2 * HOUR, NOON + 2 * HOUR]);
});

Deno.test("ctx.now() of a workflow that is started is when it was made, and that costs no column", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const parent = workflow("parent", async (ctx) => {
    const own = ctx.now().getTime();
    await ctx.sleep("1h");
    return [own, await ctx.child(asked)];
  });
  await using engine = await Engine.open(file, { clock, workflows: [parent, asked] });
  const handle = await engine.start(parent, { id: "p" });
  await eventually(() => clock.timers.includes(HOUR));
  clock.advance(HOUR);
  assertEquals(await handle.result(), [NOON, NOON + HOUR]);
  assertEquals(query(file, "SELECT begun_at FROM inputs ORDER BY workflow").map(({ begun_at }) => begun_at), [
    null,
    null,
  ]);
});

Deno.test("ctx.now() of what a transaction has started is when it began", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  {
    await using engine = await Engine.open(file, { clock });
    await engine.enqueue("other", { id: "keeps the file" });
  }
  // As a transaction leaves it whose process is lost right after.
  const { engine: first, database } = await openCrashing(
    file,
    { clock },
    ({ when }) => armed && when === "after",
  );
  let armed = false;
  const id = await Promise.race([
    first.transaction(async (tx) => {
      const id = await tx.start(asked, { id: "a" });
      armed = true;
      return id;
    }),
    database.crashed.then(() => "a"),
  ]);
  clock.advance(HOUR);
  await using engine = await Engine.open(file, { clock, workflows: [asked] });
  assertEquals(await (await engine.resume<number>(id!)).result(), NOON + HOUR);
});

Deno.test("a workflow that had begun before there was begun_at keeps the time that it had", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock(NOON);
  const waits = workflow("waits", async (ctx) => {
    const begun = ctx.now().getTime();
    await ctx.waitForSignal("go");
    return begun;
  });
  {
    await using engine = await Engine.open(file, { clock, workflows: [waits] });
    await engine.start(waits, { id: "w" });
    await eventually(async () => (await engine.get("w"))!.status === "running");
  }
  execute(file, "UPDATE inputs SET begun_at = NULL");
  clock.advance(HOUR);
  await using engine = await Engine.open(file, { clock, workflows: [waits] });
  const handle = await engine.resume<number>("w");
  await handle.signal("go");
  assertEquals(await handle.result(), NOON);
});

Deno.test("when a workflow began is told once, however often its process is lost", async () => {
  for (let number = 1; number <= 12; number++) {
    for (const when of ["before", "after"] as const) {
      await using folder = temporaryFolder();
      const file = folder.file("a.db");
      const clock = new ManualClock(NOON);
      {
        await using engine = await Engine.open(file, { clock });
        await engine.enqueue(asked, { id: "a" });
      }
      const seen = new Set<number>();
      const watched = workflow("asked", async (ctx) => {
        const begun = ctx.now().getTime();
        await ctx.step("step", () => void seen.add(begun));
        await ctx.step("another", () => void seen.add(begun));
        return begun;
      });
      for (const lives of [2, 1, 0]) {
        clock.advance(HOUR);
        const { engine, database } = await openCrashing(
          file,
          { clock, workflows: [watched] },
          (call) => lives > 0 && call.number === number && call.when === when,
        );
        const ran = engine.resume("a").then((handle) => handle.result()).then(() => engine.close(), () => {});
        await Promise.race([ran, database.crashed]);
      }
      await using engine = await Engine.open(file, { clock });
      const output = (await engine.get("a"))!.output as number;
      assertEquals([...seen], [output], `lost ${when} call ${number}`);
    }
  }
});
