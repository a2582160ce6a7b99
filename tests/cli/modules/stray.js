// Workflows whose steps leave errors alone, for the tests of the command line.
import { workflow } from "@stepwell/stepwell";

/** Leaves a rejected promise and a timer that throws alone, and goes on when both have been told. */
export const careless = workflow("careless", async (ctx) => {
  await ctx.step("careless", async () => {
    console.log("says", "something", { a: 1 });
    Promise.reject(new TypeError("left alone \u001b[2J"));
    setTimeout(() => {
      throw new RangeError("of a timer");
    });
    Promise.reject("no error");
    await new Promise((resolve) => setTimeout(resolve, 5));
    await new Promise((resolve) => setTimeout(resolve, 5));
  });
  return await ctx.step("careful", () => "done");
});

/** Is under way until a file named "release" is in the current folder. */
export const careful = workflow("careful", (ctx) =>
  ctx.step("gate", async () => {
    while (!await exists("release")) await new Promise((resolve) => setTimeout(resolve, 5));
    return "released";
  }));

async function exists(path) {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}
