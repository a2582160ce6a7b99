import { assertEquals, assertRejects } from "@std/assert";
import { Engine, type EngineOptions, TooManyRecoveriesError, workflow } from "@stepwell/stepwell";
import { startChild } from "../child_process.ts";
import { Crash } from "../crash.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const ID = "loop-1";
const OPTIONS: EngineOptions = { maxRecoveries: 3, durability: "normal" };

/** A workflow whose first and second step lose their process as often as these say. */
function twoSteps(first: Crash, second: Crash) {
  return workflow("two steps", async (ctx) => {
    await ctx.step("first", () => first.here());
    await ctx.step("second", () => second.here());
    return "done";
  });
}

Deno.test("a workflow that loses its process maxRecoveries times without a new checkpoint goes on", async () => {
  await using folder = temporaryFolder();
  const crash = new Crash(3);
  const twice = twoSteps(crash, new Crash(0));
  for (let life = 1; life <= 3; life++) {
    await crash.happens(folder.file("loop.db"), twice, { id: ID }, OPTIONS);
  }

  await using engine = await Engine.open(folder.file("loop.db"), OPTIONS);
  assertEquals(await engine.run(twice, { id: ID }), "done");
});

Deno.test("a workflow that loses its process more than maxRecoveries times without a new checkpoint is blocked", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("loop.db");
  const crash = new Crash(4);
  const loop = twoSteps(crash, new Crash(0));
  for (let life = 1; life <= 4; life++) await crash.happens(file, loop, { id: ID }, OPTIONS);

  await using engine = await Engine.open(file, { ...OPTIONS, workflows: [loop] });
  const error = await assertRejects(() => engine.run(loop, { id: ID }), TooManyRecoveriesError);
  assertEquals([error.workflowId, error.recoveries, error.limit], [ID, 4, 3]);
  assertEquals((await engine.get(ID))!.status, "blocked");
  await assertRejects(() => engine.run(loop, { id: ID }), TooManyRecoveriesError);

  assertEquals(await (await engine.resume(ID)).result(), "done");
});

Deno.test("a new checkpoint sets the count of recoveries back", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("loop.db");
  const [first, second] = [new Crash(3), new Crash(3)];
  const loop = twoSteps(first, second);
  for (const crash of [first, second]) {
    for (let life = 1; life <= 3; life++) await crash.happens(file, loop, { id: ID }, OPTIONS);
  }
  await using engine = await Engine.open(file, OPTIONS);
  assertEquals(await engine.run(loop, { id: ID }), "done");
});

Deno.test("resume() gives a workflow that was blocked for its crashes maxRecoveries further ones", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("loop.db");
  const crash = new Crash(8);
  const loop = twoSteps(crash, new Crash(0));
  for (let life = 1; life <= 4; life++) await crash.happens(file, loop, { id: ID }, OPTIONS);
  {
    await using engine = await Engine.open(file, { ...OPTIONS, workflows: [loop], closeGrace: 0 });
    await assertRejects(() => engine.run(loop, { id: ID }), TooManyRecoveriesError);
    await engine.resume(ID);
  }
  for (let life = 5; life <= 8; life++) await crash.happens(file, loop, { id: ID }, OPTIONS);
  await using engine = await Engine.open(file, OPTIONS);
  const error = await assertRejects(() => engine.run(loop, { id: ID }), TooManyRecoveriesError);
  assertEquals(error.recoveries, 4);
});

Deno.test("a workflow that kills its real process again and again is blocked, and others go on", async () => {
  await using folder = temporaryFolder();
  const signals: (Deno.Signal | null)[] = [];
  for (let life = 1; life <= 4; life++) {
    await using worker = startChild(import.meta.resolve("./suicidal_worker.ts"), folder.file("loop.db"));
    signals.push((await worker.ended()).signal);
  }
  assertEquals(signals, ["SIGKILL", "SIGKILL", "SIGKILL", "SIGKILL"]);
  await using worker = startChild(import.meta.resolve("./suicidal_worker.ts"), folder.file("loop.db"));
  const { code, lines } = await worker.ended();
  assertEquals({ code, lines }, { code: 0, lines: ["other: done", "loop: TooManyRecoveriesError"] });
});
