import { Engine, type EngineEvent, workflow } from "@stepwell/stepwell";
import { assertEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("ctx.log makes events of its messages, with level and fields", async () => {
  const logged: unknown[] = [];
  const onEvent = (event: EngineEvent) => {
    if (event.type === "log") logged.push([event.level, event.message, event.fields, event.workflowId]);
  };
  await using engine = await Engine.open(":memory:", { onEvent });
  const talking = workflow("talking", async (ctx) => {
    ctx.log.debug("d");
    ctx.log.info("i", { sku: "A1" });
    await ctx.all([(ctx) => ctx.log.warn("w")]);
    ctx.log.error("e");
  });
  await engine.run(talking, { id: "t" });
  assertEquals(logged, [
    ["debug", "d", undefined, "t"],
    ["info", "i", { sku: "A1" }, "t"],
    ["warn", "w", undefined, "t"],
    ["error", "e", undefined, "t"],
  ]);
});

Deno.test("ctx.log is silent in a replay", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const logged: string[] = [];
  const onEvent = (event: EngineEvent) => void (event.type === "log" && logged.push(event.message));
  const talking = workflow("talking", async (ctx) => {
    ctx.log.info("before");
    await ctx.step("a", () => {});
    ctx.log.info("between");
    await ctx.step("wait", () => crash.here());
    ctx.log.info("after");
  });
  await crash.happens(file, talking, { id: "t" }, { onEvent });
  await using engine = await Engine.open(file, { onEvent });
  await engine.run(talking, { id: "t" });
  assertEquals(logged, ["before", "between", "after"]);
});

Deno.test("ctx.log may be used where nobody listens", async () => {
  await using engine = await Engine.open(":memory:");
  const talking = workflow("talking", (ctx) => {
    ctx.log.info("unheard");
    return "done";
  });
  assertEquals(await engine.run(talking), "done");
});
