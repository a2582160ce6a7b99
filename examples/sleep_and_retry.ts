/**
 * A workflow that waits, and a step that is tried again until the other side answers. Both survive the end of the
 * process: run it with a file, stop it while it waits, and run it again.
 *
 * `deno run --allow-read --allow-write examples/sleep_and_retry.ts [FILE]`
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";

/** A service that is not up yet: it answers from the third call on. */
export const weather = {
  calls: 0,
  fetch(city: string): string {
    if (++this.calls < 3) throw new Error(`No answer (call ${this.calls})`);
    return `It is raining in ${city}`;
  },
};

export const forecast = workflow("forecast", async (ctx, city: string) => {
  const asked = ctx.now();
  await ctx.sleep("50ms");
  const report = await ctx.step("fetch", ({ attempt }) => `${weather.fetch(city)} (attempt ${attempt})`, {
    retry: { maxAttempts: 5, initialInterval: "10ms", backoff: 2 },
  });
  return { report, waited: ctx.now().getTime() - asked.getTime() >= 50 };
});

if (import.meta.main) {
  await using engine = await Engine.open(Deno.args[0] ?? ":memory:", {
    workflows: [forecast],
    onEvent: (event) => {
      if (event.type === "stepRetried") {
        console.log(`attempt ${event.attempt}: ${(event.error as Error).message}`);
      }
    },
  });
  console.log(await engine.run(forecast, { id: "forecast-1", input: "Bergen" }));
}
