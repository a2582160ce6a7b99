/** Works on a file until it is killed: `queue_worker.ts FILE`. Its workflow tells when its step began. */
import { Engine, workflow } from "@stepwell/stepwell";
import { tell } from "./tell.ts";

const [file] = Deno.args as [string];
const now = workflow("now", (ctx) => ctx.step("now", () => Date.now()));
const held = workflow("held", (ctx) =>
  ctx.step("hold", async () => {
    await Deno.writeTextFile(`${file}.held`, `${Date.now()} ${Deno.pid}\n`, { append: true });
    await new Promise<void>(() => {});
  }));
const engine = await Engine.open(file, { workflows: [now, held] });
const working = engine.work();
tell();
await working;
