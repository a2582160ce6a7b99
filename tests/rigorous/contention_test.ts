import { assertEquals } from "@std/assert";
import { delay } from "@std/async";
import { Engine, type EngineEvent, workflow } from "@stepwell/stepwell";
import { SeededRandom } from "../../engine/random.ts";
import { soakOnce } from "../../bench/soak_iteration.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { RIGOROUS } from "../effort.ts";

const WORKFLOWS = RIGOROUS ? 5_000 : 500;

Deno.test(`${WORKFLOWS} workflows in one process complete, each step once, and none hears of the store`, async () => {
  await using folder = temporaryFolder();
  const events: EngineEvent["type"][] = [];
  const calls = new Map<string, number>();
  const busy = workflow("busy", async (ctx, input: number) => {
    const call = async ({ idempotencyKey }: { idempotencyKey: string }) => {
      calls.set(idempotencyKey, (calls.get(idempotencyKey) ?? 0) + 1);
      if (input % 3 === 0) await delay(input % 5);
      return input;
    };
    const first = await ctx.step("first", call);
    const both = await ctx.all([(ctx) => ctx.step("side", call), (ctx) => ctx.step("side", call)]);
    return [first, ...both, await ctx.step("last", call)];
  });
  await using engine = await Engine.open(folder.file("busy.db"), {
    durability: "normal",
    onEvent: ({ type }) => events.push(type),
  });
  const outputs = await Promise.all(
    Array.from({ length: WORKFLOWS }, (_, input) => engine.run(busy, { id: `busy-${input}`, input })),
  );

  assertEquals(outputs, Array.from({ length: WORKFLOWS }, (_, input) => [input, input, input, input]));
  assertEquals(calls.size, WORKFLOWS * 4);
  assertEquals([...calls.values()].filter((count) => count !== 1), []);
  assertEquals(events.filter((type) => type === "completed").length, WORKFLOWS);
  assertEquals(events.filter((type) => ["suspended", "failed", "blocked"].includes(type)), []);
});

Deno.test("four processes that open a new file at once share its workflows, and each step runs once", async () => {
  const random = new SeededRandom(4);
  const { again } = await soakOnce({ random, workflows: RIGOROUS ? 1_000 : 200, processes: 4, kills: 0 });
  assertEquals(again, 0);
});
