import { CompensationError, Engine, workflow } from "@stepwell/stepwell";
import { assertEquals, assertRejects } from "@std/assert";
import { temporaryFolder } from "./temporary_folder.ts";
Deno.test("saga", async () => {
  await using folder = temporaryFolder();
  const log: string[] = [];
  let broken = false;
  const w = workflow("w", async (ctx) => {
    await ctx.step("a", () => "A", { compensate: (a) => void log.push(`undo ${a}`) });
    await ctx.all([
      (ctx) =>
        ctx.step("b", () => "B", {
          compensate: {
            undo: (b) => {
              if (broken) throw new Error("no undo");
              log.push(`undo ${b}`);
            },
            retry: { maxAttempts: 1 },
          },
        }),
      (ctx) => ctx.step("c", () => "C", { compensate: (c) => void log.push(`undo ${c}`) }),
    ]);
    await ctx.step("d", () => {
      throw new RangeError("D");
    });
  });
  const engine = await Engine.open(folder.file("a.db"), { workflows: [w] });
  await assertRejects(() => engine.run(w, { id: "1" }), RangeError, "D");
  assertEquals(log, ["undo C", "undo B", "undo A"]);
  console.log((await engine.get("1"))!.steps.map((s) => [s.key, s.kind, s.status]));
  log.length = 0;
  broken = true;
  console.log(await assertRejects(() => engine.run(w, { id: "2" }), CompensationError));
  assertEquals(log, ["undo C"]);
  broken = false;
  const h = await engine.resume("2");
  await assertRejects(() => h.result(), RangeError, "D");
  assertEquals(log, ["undo C", "undo B", "undo A"]);
  console.log((await engine.get("2"))!.steps.map((s) => [s.key, s.kind, s.status]));
  await engine.close();
});
