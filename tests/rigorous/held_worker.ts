/**
 * A process that runs one workflow, and stays in its second step until it reads a line: `FILE ID ZOMBIE_TIMEOUT`.
 *
 * It writes a line when it is there, and for all that happens to it afterwards.
 *
 * @module
 */
import { Engine } from "@stepwell/stepwell";
import { heldWorkflow } from "./held_workflow.ts";

const [file, id, zombieTimeout] = Deno.args as [string, string, string];

const workflow = heldWorkflow({
  hold: async (signal) => {
    signal.addEventListener("abort", () => console.log(`signal aborted: ${signal.reason}`));
    console.log("in the second step");
    await Deno.stdin.read(new Uint8Array(100));
    return "second by the worker";
  },
  refused: (error) => console.log(`step refused: ${error}`),
});

const engine = await Engine.open(file, { zombieTimeout });
await engine.run(workflow, { id }).then(
  (output) => console.log(`output: ${JSON.stringify(output)}`),
  (error) => console.log(`run refused: ${error}`),
);
await engine.close();
console.log("closed");
