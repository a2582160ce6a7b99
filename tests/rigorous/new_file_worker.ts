/**
 * A process that opens files, one after the other, and runs a workflow in each: `NAME FILE...`. It begins when it reads a
 * line.
 *
 * @module
 */
import { Engine, workflow } from "@stepwell/stepwell";

const [name, ...files] = Deno.args as [string, ...string[]];
const hello = workflow("hello", (ctx) => ctx.step("say", () => name));

console.log("ready");
await Deno.stdin.read(new Uint8Array(10));
for (const file of files) {
  await using engine = await Engine.open(file, { durability: "normal" });
  await engine.run(hello, { id: name });
}
