import { assertEquals, assertInstanceOf } from "@std/assert";
import { type Context, Engine, StepAbandonedError, workflow } from "@stepwell/stepwell";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";

/** Ways to begin a step and to not wait for it. */
const WAYS: Record<string, (ctx: Context, begin: (ctx: Context) => void) => unknown> = {
  "in the workflow itself": (ctx, begin) => begin(ctx),
  "in a branch of ctx.all()": (ctx, begin) => ctx.all([(ctx) => begin(ctx)]),
  "in a branch in a branch of ctx.all()": (ctx, begin) => ctx.all([(ctx) => ctx.all([(ctx) => begin(ctx)])]),
};

for (const [where, run] of Object.entries(WAYS)) {
  Deno.test(`a step that nobody waits for, ${where}, is not tried again once its workflow has ended`, async () => {
    const clock = new ManualClock();
    await using engine = await Engine.open(":memory:", { clock });
    let attempts = 0;
    const attempt = () => {
      attempts++;
      throw new Error("not yet");
    };
    const forgetful = workflow("forgetful", async (ctx) => {
      await run(ctx, (ctx) => void ctx.step("lost", attempt, { retry: { maxAttempts: 3 } }).catch(() => {}));
      await ctx.step("other", () => eventually(() => clock.timers.length > 0));
    });
    await engine.run(forgetful);
    clock.advance(10_000);
    await engine.run(workflow("later", (ctx) => ctx.step("step", () => {})));
    assertEquals(attempts, 1);
  });

  Deno.test(`a step that nobody waits for, ${where}, is told when its workflow has ended`, async () => {
    await using engine = await Engine.open(":memory:");
    const told = Promise.withResolvers<unknown>();
    const forgetful = workflow("forgetful", async (ctx) => {
      await run(ctx, (ctx) =>
        void ctx.step("lost", ({ signal }) => {
          signal.addEventListener("abort", () => told.resolve(signal.reason));
          return told.promise.then(() => {});
        }));
      await ctx.step("other", () => {});
    });
    await engine.run(forgetful);
    const timer = setTimeout(() => told.resolve("not told"), 1_000);
    assertInstanceOf(await told.promise, StepAbandonedError);
    clearTimeout(timer);
  });
}

Deno.test("a step that nobody waits for is not left running by a workflow that ends with children, or with what is no plain JSON", async () => {
  await using engine = await Engine.open(":memory:");
  const child = workflow("child", (ctx) => ctx.step("work", () => {}));
  for (const output of ["plain", new Date(0)]) {
    for (const withChild of [true, false]) {
      const go = Promise.withResolvers<void>();
      const parent = workflow("parent", async (ctx) => {
        if (withChild) await ctx.child(child);
        void ctx.step("audit", () => go.promise);
        void ctx.waitForSignal("never");
        return output;
      });
      const id = crypto.randomUUID();
      await engine.run(parent, { id });
      go.resolve();
      await engine.run(child);
      const left = (await engine.get(id))!.steps.filter(({ status }) => status === "running");
      assertEquals(left, [], `${output}, ${withChild ? "with" : "without"} a child`);
    }
  }
});
