import { type Context, Engine, workflow } from "@stepwell/stepwell";
import { assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { Crash } from "../crash.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** How programs outside of the project find its packages. */
const OPTIONS = [
  ...["--quiet", "--no-check", "--no-lock", "--allow-read"],
  ...["--config", new URL("../../deno.json", import.meta.url).pathname],
];

/** The keys of a workflow's steps, in the order of their completions. */
async function keysOf(engine: Engine, id: string): Promise<string[]> {
  return (await engine.get(id))!.steps.map(({ key }) => key);
}

Deno.test("step() numbers the calls of each id from 1, in the order in which they are made", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const loop = workflow("loop", async (ctx) => {
    for (let i = 0; i < 3; i++) {
      await ctx.step("loop_step", () => i);
      if (i === 1) await ctx.step("sometimes", () => i);
    }
  });
  await engine.run(loop, { id: "l" });
  assertEquals(await keysOf(engine, "l"), [
    "loop_step#000001",
    "loop_step#000002",
    "sometimes#000001",
    "loop_step#000003",
  ]);
});

Deno.test("step() gives branches that share an id one number each, by the order of their calls", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const branches = workflow(
    "branches",
    (ctx) =>
      ctx.all(
        ["left", "right"].map((branch) => (ctx: Context) =>
          ctx.step("same", ({ idempotencyKey }) => `${branch} ${idempotencyKey}`)
        ),
      ),
  );
  assertEquals(await engine.run(branches, { id: "b" }), ["left b/same#000001", "right b/same#000002"]);
});

Deno.test("step() counts the ids of each workflow by themselves", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const order = workflow("order", (ctx) => ctx.step("pay", ({ idempotencyKey }) => idempotencyKey));
  const keys = await Promise.all(["1", "2"].map((id) => engine.run(order, { id })));
  assertEquals(keys, ["1/pay#000001", "2/pay#000001"]);
});

Deno.test("step() keeps an id that looks like a key, and one of any writing, apart from others", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const ids = ["pay", "pay#000001", "支払い 💴", "pay'; DROP TABLE checkpoints; --", " "];
  const order = workflow("order", async (ctx) => {
    const results: string[] = [];
    for (const id of ids) results.push(await ctx.step(id, () => `result of ${id}`));
    await ctx.step("wait", () => crash.here());
    return results;
  });
  await crash.happens(file, order, { id: "o" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(order, { id: "o" }), ids.map((id) => `result of ${id}`));
  assertEquals((await engine.get("o"))!.steps.slice(0, -1).map(({ id }) => id), ids);
});

Deno.test("step() without an id is named after the place of its call", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  const unnamed = workflow("unnamed", async (ctx) => {
    for (let i = 0; i < 2; i++) await ctx.step("", () => i);
    await ctx.step("", () => "elsewhere");
  });
  await engine.run(unnamed, { id: "u" });
  const [first, second, third] = await keysOf(engine, "u");
  assertMatch(first!, /^step_key_test\.ts:\d+:\d+#000001$/);
  assertEquals(second, first!.replace(/1$/, "2"));
  assertNotEquals(third!.replace(/#.*/, ""), first!.replace(/#.*/, ""));
  assertMatch(third!, /^step_key_test\.ts:\d+:\d+#000001$/);
});

Deno.test("step() without an id has the same name wherever its source lies and however it is started", async () => {
  await using folder = temporaryFolder();
  const source = `
    import { Engine, step, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
    const unnamed = workflow("unnamed", async (ctx) => {
      await ctx.step("", () => 1);
      const [nested] = await ctx.all([(ctx) => step(ctx, "", () => 2)]);
      return nested;
    });
    const engine = await Engine.open(":memory:");
    await engine.run(unnamed, { id: "u" });
    console.log((await engine.get("u"))!.steps.map(({ key }) => key).join(" "));
    await engine.close();`;
  const places = ["one", "a folder (2)"].map((name) => folder.file(name));
  const outputs: string[] = [];
  for (const place of places) {
    await Deno.mkdir(place);
    await Deno.writeTextFile(`${place}/orders.ts`, source);
    for (const [cwd, script] of [[place, "./orders.ts"], [folder.path, `${place}/orders.ts`]] as const) {
      outputs.push(await run(cwd, script));
    }
  }
  assertMatch(outputs[0]!, /^orders\.ts:4:17#000001 orders\.ts:5:48#000001\n$/);
  assertEquals(new Set(outputs).size, 1);
});

/** What a script prints. */
async function run(cwd: string, script: string): Promise<string> {
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", ...OPTIONS, script],
    cwd,
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

Deno.test({
  name: "step() without an id has the same name in an executable",
  ignore: whyNoExecutable() !== undefined,
  async fn() {
    await using folder = temporaryFolder();
    const source = folder.file("orders.ts");
    await Deno.writeTextFile(
      source,
      `import { Engine, workflow } from "@stepwell/stepwell";

       interface Order { // Nothing is left of this in an executable.
         sku: string;
       }

       const unnamed = workflow("unnamed", async (ctx, _: Order) => void await ctx.step("", () => 1 as number));
       const engine = await Engine.open(":memory:");
       await engine.run(unnamed, { id: "u", input: { sku: "A1" } });
       console.log((await engine.get("u"))!.steps.map(({ key }) => key).join(" "));
       await engine.close();`,
    );
    const compiler = Deno.env.get("COMPILER") ?? Deno.execPath();
    const output = folder.file("orders.exe");
    const made = await new Deno.Command(compiler, {
      args: ["compile", ...OPTIONS, "--output", output, source],
    }).output();
    assertEquals(made.success, true, new TextDecoder().decode(made.stderr));
    const { stdout, stderr } = await new Deno.Command(output).output();
    assertEquals(new TextDecoder().decode(stderr), "");
    const printed = new TextDecoder().decode(stdout);
    assertEquals(printed, await run(folder.path, source));
    assertMatch(printed, /^orders\.ts:7:\d+#000001\n$/);
  },
});

/** Why no executable is made here; undefined if one can be, on a base runtime that is at hand. Said aloud. */
function whyNoExecutable(): string | undefined {
  if (Deno.env.has("DENORT_BIN")) return undefined;
  const reason = "DENORT_BIN names no base runtime";
  console.log(`Skipped: the name of a step without an id in an executable, because ${reason}`);
  return reason;
}
