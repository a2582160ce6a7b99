// Workflows for the tests of the command line, in JavaScript, as somebody would load them with --module.
import { queue, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";

export const single = queue("single", { concurrency: 1, rate: { limit: 5, period: "1s" } });

export const greet = workflow("greet", async (ctx, input) => {
  const name = await ctx.step("name", () => input?.name ?? "nobody");
  return await ctx.step("greet", () => `Hello, ${name}`);
});

export const greetings = schedule("greetings", {
  cron: "0 0 1 1 *",
  workflow: greet,
  input: { name: "Year" },
});

/** Calls one step several times, as in a loop. */
export const pages = workflow("pages", async (ctx) => {
  const found = [];
  for (let page = 1; page <= 3; page++) found.push(await ctx.step("page", () => page));
  return found;
});

/** Fails on its first attempts. */
export const flaky = workflow("flaky", (ctx) =>
  ctx.step("call", ({ attempt }) => {
    if (attempt < 3) throw new Error(`attempt ${attempt}\u001b[31m went wrong`);
    return attempt;
  }, { retry: { maxAttempts: 5, initialInterval: 1, jitter: 0 } }));

/** Fails for good, until a file named "mended" is in the current folder. */
export const broken = workflow("broken", async (ctx) => {
  await ctx.step("good", () => "good");
  return await ctx.step("bad", async () => {
    if (await exists("mended")) return "mended";
    throw new RangeError("\u001b[2Jno such card");
  });
});

/** Waits in its second step until a file named "release" is in the current folder. */
export const gated = workflow("gated", async (ctx) => {
  await ctx.step("first", () => 1);
  await ctx.step("gate", async () => {
    while (!await exists("release")) await new Promise((resolve) => setTimeout(resolve, 5));
    return "released";
  });
  return await ctx.step("last", () => "done");
});

/** Waits for a decision, and is undone if it is cancelled. */
export const approval = workflow("approval", async (ctx) => {
  await ctx.step("ask", () => "asked", { compensate: () => Deno.writeTextFile("undone", "") });
  return await ctx.waitForSignal("decided");
});

/** Returns what JSON has no form for. */
export const rich = workflow("rich", (ctx) =>
  ctx.step("rich", () => ({
    date: new Date(0),
    map: new Map([["a", 1n]]),
    pairs: new Map([[1, "one"]]),
    set: new Set([1, 2]),
    bytes: new Uint8Array([1, 2, 3]),
    none: undefined,
    nan: NaN,
  })));

export const logging = workflow("logging", async (ctx) => {
  ctx.log.info("about to \u001b[1mstart", { order: 17 });
  return await ctx.step("\u202ered", () => 1);
});

async function exists(path) {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
