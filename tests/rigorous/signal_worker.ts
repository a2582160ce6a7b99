/**
 * A process that runs workflows which take signals: `FILE WORKFLOWS COUNT`. It says which have taken what.
 *
 * @module
 */
import { Engine } from "@stepwell/stepwell";
import { taker } from "./taker.ts";

const [file, workflows, count] = Deno.args as [string, string, string];

await using engine = await Engine.open(file, { durability: "normal", alwaysReplay: true });
console.log("ready");
await Promise.all(Array.from({ length: Number(workflows) }, async (_, i) => {
  const taken = await engine.run(taker, { id: `t-${i}`, input: Number(count) });
  console.log(`taken ${i} ${JSON.stringify(taken)}`);
}));
console.log("ended");
