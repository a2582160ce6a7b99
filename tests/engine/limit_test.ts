import { Engine, LimitExceededError, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { Events } from "../../engine/events.ts";
import { StepKeys } from "../../engine/step_keys.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("maxSteps is the number of steps a workflow may have", async () => {
  await using engine = await Engine.open(":memory:", { maxSteps: 5 });
  const loop = (count: number) =>
    workflow(`loop ${count}`, async (ctx) => {
      for (let i = 0; i < count; i++) await ctx.step(`s${i % 2}`, () => i);
      return "done";
    });
  assertEquals(await engine.run(loop(5)), "done");
  const error = await assertRejects(() => engine.run(loop(6), { id: "six" }), LimitExceededError);
  assertEquals(error.message, 'Cannot add step "s1" to "six": the limit maxSteps is 5');
  assertEquals([error.limit, error.max], ["maxSteps", 5]);
  assertEquals((await engine.get("six"))!.steps.length, 5);
});

Deno.test("a step id may be called 999,999 times: its keys have six digits", () => {
  const keys = new StepKeys("w", 2_000_000);
  let key = "";
  for (let i = 0; i < 999_999; i++) key = keys.next("loop");
  assertEquals(key, "loop#999999");
  const error = assertThrows(() => keys.next("loop"), LimitExceededError);
  assertEquals(error.message, 'Cannot call step "loop" again: the limit calls of one step id is 999999');
  assertEquals(keys.next("other"), "other#000001");
});

Deno.test("maxRunning is the number of workflows that may run at a time", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"), { maxRunning: 2 });
  const go = Promise.withResolvers<string>();
  const waiting = workflow("waiting", (ctx) => ctx.step("wait", () => go.promise));
  const handles = await Promise.all(["a", "b"].map((id) => engine.start(waiting, { id })));
  const error = await assertRejects(() => engine.start(waiting, { id: "c" }), LimitExceededError);
  assertEquals(error.message, 'Cannot start workflow "c": the limit maxRunning is 2');
  assertEquals((await engine.start(waiting, { id: "a" })).id, "a");
  assertEquals(await engine.get("c"), undefined);
  go.resolve("done");
  await Promise.all(handles.map((handle) => handle.result()));
  assertEquals(await engine.run(waiting, { id: "c" }), "done");
});

Deno.test("a reader of events that does not come gets a LimitExceededError, and uses no more memory", async () => {
  const events = new Events();
  const reader = events.ofWorkflow("w");
  const event = {
    at: new Date(0),
    workflowId: "w",
    workflow: "w",
    runId: "r",
    type: "started",
    recovered: false,
  } as const;
  for (let i = 0; i < 100_001; i++) events.emit(event);
  assertEquals(events.observed, false);
  let read = 0;
  const error = await assertRejects(async () => {
    for await (const { type } of reader) read += type === "started" ? 1 : 0;
  }, LimitExceededError);
  assertEquals([read, error.limit, error.max], [100_000, "buffered events", 100_000]);
});
