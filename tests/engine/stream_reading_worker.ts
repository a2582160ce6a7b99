/**
 * A process that reads a stream, and ends with it: `FILE ID FROM`. It writes a line for each entry.
 *
 * @module
 */
import { Engine } from "@stepwell/stepwell";

const [file, id, from] = Deno.args as [string, string, string];

const engine = await Engine.open(file);
console.log("open");
// Nothing but this keeps the process alive.
const stream = engine.handle(id).stream<number>("numbers", { from: Number(from) });
for await (const { position, value } of stream) console.log(`entry ${position} ${value}`);
await engine.close();
console.log("ended");
