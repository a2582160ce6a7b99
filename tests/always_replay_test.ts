import { assertEquals } from "@std/assert";
import { temporaryFolder } from "./temporary_folder.ts";

const PRELOAD = import.meta.resolve("./always_replay.ts");

/** A program that runs a workflow of two steps, says how often its function was called, and does so in a process of its own. */
const PROGRAM = `import { Engine, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
  let calls = 0;
  const two = workflow("two", async (ctx) => {
    calls++;
    await ctx.step("first", () => 1);
    await ctx.step("second", () => 2);
  });
  for (const options of [{}, { alwaysReplay: false }]) {
    calls = 0;
    await using engine = await Engine.open(":memory:", options);
    await engine.run(two, { id: "t" });
    console.log(Deno.args[0] + ": " + calls);
  }
  const [deno, script] = [Deno.execPath(), import.meta.filename];
  const commands = {
    directly: [deno, ["run", "-A", script, "in a child"]],
    wrapped: ["sh", ["-c", 'exec "$@"', "sh", deno, "run", "-A", script, "below a program"]],
    shell: ["sh", ["-c", '"' + deno + '" run -A "' + script + '" "in a line of shell"']],
  };
  for (const [command, args] of Deno.args.slice(1).map((how) => commands[how])) {
    await new Deno.Command(command, { args, stdout: "inherit", stderr: "inherit" }).spawn().status;
  }`;

Deno.test("the preload of always-replay mode reaches the processes that are started, however that is done", async () => {
  await using folder = temporaryFolder();
  const script = folder.file("program.ts");
  await Deno.writeTextFile(script, PROGRAM);
  const ways = Deno.build.os === "windows" ? ["directly"] : ["directly", "wrapped", "shell"];
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", "--quiet", "--preload", PRELOAD, script, "itself", ...ways],
  }).output();
  const names = { directly: "in a child", wrapped: "below a program", shell: "in a line of shell" };
  assertEquals(new TextDecoder().decode(stderr), "");
  assertEquals(
    new TextDecoder().decode(stdout).trimEnd().split("\n"),
    ["itself", ...ways.map((way) => names[way as keyof typeof names])].flatMap((
      name,
    ) => [`${name}: 3`, `${name}: 1`]),
  );
});
