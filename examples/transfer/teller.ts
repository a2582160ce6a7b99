/**
 * A process that makes a transfer, and is killed at a place in it: `FILE PLACE`. It needs `--allow-read --allow-write` on
 * the folder of the file, and `--allow-run` to kill itself.
 *
 * @module
 */
import { openBank, transferWorkflow } from "./bank.ts";

const [file, place] = Deno.args as [string, string];

function at(reached: string): void {
  if (reached === place) Deno.kill(Deno.pid, "SIGKILL");
}

await using engine = await openBank(file, at);
await engine.run(transferWorkflow(at), { id: "transfer-1", input: { from: "ada", to: "grace", cents: 30 } });
