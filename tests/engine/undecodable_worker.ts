/**
 * Runs a workflow whose output takes the library for what is no plain JSON, in a process that cannot load that.
 *
 * @module
 */

import { Engine, workflow } from "@stepwell/stepwell";

await using engine = await Engine.open(":memory:", { onEvent: ({ type }) => console.log(type) });
const saga = workflow("saga", async (ctx) => {
  await ctx.step("book", () => 1, { compensate: () => console.log("undone") });
  return new Date(0);
});
await engine.run(saga, { id: "s" }).catch((error) => console.log(error.name));
console.log((await engine.get("s"))!.status);
