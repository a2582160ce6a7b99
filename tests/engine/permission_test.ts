import { assertEquals } from "@std/assert";
import { ChildProcess } from "../child_process.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("an engine needs no permission but to read and write the folder of its file, to take over too", async () => {
  await using folder = temporaryFolder();
  await Deno.mkdir(folder.file("data"));
  const source = folder.file("program.ts");
  await Deno.writeTextFile(
    source,
    `import { Engine, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
     const order = workflow("order", async (ctx) => {
       const when = await ctx.step("pay", () => new Date(5));
       console.log("paid");
       await ctx.step("wait", () => Deno.args[0] === "first" ? new Promise(() => {}) : undefined, { timeout: "1h" });
       return [when.getTime(), ctx.random() < 1, ctx.uuid().length];
     });
     await using engine = await Engine.open("data/a.db", { workflows: [order], growWal: true });
     console.log("result " + JSON.stringify(await engine.run(order, { id: "o" })));
     console.log("listed " + (await engine.list()).length);`,
  );
  const start = (life: string) => {
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const options = ["--quiet", "--no-check", "--no-lock", "--no-prompt", "--config", config];
    const permissions = ["--allow-read=data", "--allow-write=data"];
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", ...options, ...permissions, source, life],
      cwd: folder.path,
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    });
    return new ChildProcess(child.spawn());
  };
  await using first = start("first");
  await first.line("paid");
  first.kill("SIGKILL");
  await first.ended();
  await using second = start("second");
  assertEquals(await second.line("result "), "[5,true,36]");
  assertEquals(await second.line("listed "), "1");
  const { code, stderr } = await second.ended();
  assertEquals([code, stderr], [0, ""]);
  assertEquals([...Deno.readDirSync(folder.file("data"))].map(({ name }) => name), ["a.db"]);
});
