/**
 * A process with a workflow of many large results: `FILE STEPS BYTES WHAT…`. It does one thing after the other, and says when
 * each is done.
 *
 * - `make`: runs the workflow up to where it waits
 * - `replay`: goes on with it, by a replay, to its failure
 * - `again`: the same, where it is replayed whenever it waits
 * - `retry`: runs it again from the step that failed
 * - `check`, `fork`, `get`, `steps`, `list`: by the functions of these names
 *
 * @module
 */
import { checkReplay, Engine, type EngineOptions, workflow } from "@stepwell/stepwell";
import { eventually } from "../eventually.ts";

const [file, count, bytes, ...todo] = Deno.args as [string, string, string, ...string[]];

const large = workflow("large", async (ctx) => {
  let length = 0;
  for (let i = 0; i < Number(count); i++) {
    length += (await ctx.step("large", () => String(i % 10).repeat(Number(bytes)))).length;
    if (i % 10 === 0) await ctx.emit("entries", String(i % 10).repeat(Number(bytes)));
  }
  await ctx.waitForSignal("go");
  await ctx.step("fails once", () => {
    if (todo[0] !== "retry") throw new Error("once");
  });
  return length;
});

const acts: Record<string, (engine: Engine) => Promise<unknown>> = {
  async make(engine) {
    await engine.start(large, { id: "w" });
    const completions = Number(count) + Math.ceil(Number(count) / 10);
    await eventually(async () => {
      const { steps } = await engine.steps("w", { after: `c${completions}` });
      return steps.some(({ kind }) => kind === "signal");
    }, 280_000);
  },
  async replay(engine) {
    await engine.signal("w", "go");
    return await engine.run(large, { id: "w" }).catch((error) => error.message);
  },
  async retry(engine) {
    return await (await engine.retry("w")).result();
  },
  async check() {
    return (await Array.fromAsync(checkReplay(file, { workflows: [large] }))).map(({ verdict }) => verdict);
  },
  async fork(engine) {
    await (await engine.fork("w", { fromStep: "fails once", newId: "fork" })).result().catch(() => {});
    let entries = 0;
    for await (const _ of engine.handle("fork").stream("entries")) entries++;
    return entries;
  },
  async get(engine) {
    const { steps, moreSteps } = (await engine.get("w"))!;
    return steps.length + (moreSteps?.count ?? 0);
  },
  async steps(engine) {
    let found = 0;
    let after: string | undefined;
    do {
      const page = await engine.steps("w", { after, limit: 1_000 });
      found += page.steps.length;
      after = page.next;
    } while (after !== undefined);
    return found;
  },
  async list(engine) {
    return (await engine.list()).map(({ status }) => status);
  },
};

const options: EngineOptions = { workflows: [large], durability: "normal" };
for (const what of [...todo]) {
  const alwaysReplay = what === "again";
  await using engine = await Engine.open(file, { ...options, alwaysReplay });
  const found = await acts[alwaysReplay ? "replay" : what]!(engine);
  console.log(`${what} ${JSON.stringify(found ?? null)}`);
  todo.shift();
}
