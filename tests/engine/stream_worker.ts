/**
 * A process that runs a workflow which emits: `FILE ID`. It emits the next entry for each line that it reads, and says so.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";

const [file, id] = Deno.args as [string, string];

const chunk = new Uint8Array(100);
const emitting = workflow("emitting", async (ctx) => {
  for (let i = 0; i < 6; i++) {
    await ctx.step("wait", async () => void await Deno.stdin.read(chunk));
    await ctx.emit("numbers", i);
    console.log(`emitted ${i}`);
  }
});

await using engine = await Engine.open(file);
console.log("open");
await engine.run(emitting, { id });
