/** Opens a store, starts a workflow, and says so when its first step is called: `first_step.ts FILE`. */
import { Engine, workflow } from "@stepwell/stepwell";
import { tell } from "./tell.ts";

const [file] = Deno.args as [string];
const first = workflow("first", (ctx) => ctx.step("first", tell));
await using engine = await Engine.open(file);
await engine.run(first);
