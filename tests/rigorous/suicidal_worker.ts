/**
 * A process with a workflow that kills it, and one that does not: `FILE`.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";

const loop = workflow("loop", (ctx) => ctx.step("kill", () => Deno.kill(Deno.pid, "SIGKILL")));
const other = workflow("other", (ctx) => ctx.step("live", () => "done"));

await using engine = await Engine.open(Deno.args[0]!, { maxRecoveries: 3 });
const output = await engine.run(other, { id: "other-1" });
const error = await engine.run(loop, { id: "loop-1" }).catch((error) => error);
console.log(`other: ${output}`);
console.log(`loop: ${error.name}`);
