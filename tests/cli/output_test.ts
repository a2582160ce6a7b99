import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { fromSource, inFolder, type Program, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const module = ["--module", "stray.js"];

/** The command line with its output to where there is no room: the file that Linux has for that. */
const redirected = (
  redirection: string,
): Program => ["sh", "-c", `exec "$0" "$@" ${redirection}`, ...fromSource];
const IGNORED = Deno.build.os !== "linux";

Deno.test("run goes on past errors that nothing waits for, and tells whose they are", () =>
  inFolder(async (cwd) => {
    await copyModule("stray.js", cwd);
    const ended = await runJson(["run", "careless", ...module, "--workflow-id", "c"], { cwd });
    assertEquals([ended.code, ended.json.status, ended.json.output], [0, "completed", "done"]);
    for (const said of ["TypeError: left alone \ufffd[2J", "RangeError: of a timer", "no error"]) {
      assertStringIncludes(ended.stderr, `Nothing waits for this error of careless "c": ${said}\n`);
    }
    assertEquals(ended.stderr.includes("    at "), false);
  }));

Deno.test("work goes on with the other workflows past errors that nothing waits for", () =>
  inFolder(async (cwd) => {
    await copyModule("stray.js", cwd);
    for (const [name, id] of [["careful", "other"], ["careless", "c"]]) {
      await run(["enqueue", name!, "--id", id!], { cwd });
    }
    const worker = start(["work", ...module], { cwd });
    await worker.says("completed    careless  c");
    await Deno.writeTextFile(`${cwd}/release`, "");
    await worker.says("completed    careful  other");
    worker.kill("SIGTERM");
    const { code, stdout, stderr } = await worker.ended();
    assertEquals([code, stderr], [0, ""]);
    assertMatch(
      stdout,
      /uncaught {5}Nothing waits for this error, of one of .*careless "c".*: TypeError: left alone/,
    );

    await run(["enqueue", "careless", "--id", "again"], { cwd });
    const second = start(["work", ...module, "--json"], { cwd });
    await second.says('"type":"completed"');
    second.kill("SIGTERM");
    const lines = (await second.ended()).stdout.split("\n").filter((line) => line.startsWith("{"));
    const strays = lines.map((line) => JSON.parse(line)).filter(({ type }) => type === "uncaught");
    assertEquals(strays.map(({ workflows, error }) => [workflows, error.message ?? error]), [
      [[{ workflowId: "again", workflow: "careless" }], "left alone \u001b[2J"],
      [[{ workflowId: "again", workflow: "careless" }], "no error"],
      [[{ workflowId: "again", workflow: "careless" }], "of a timer"],
    ]);
  }));

Deno.test("an error that a module leaves alone while it is loaded ends no command", () =>
  inFolder(async (cwd) => {
    await copyModule("stray.js", cwd);
    await Deno.writeTextFile(
      `${cwd}/early.js`,
      `Promise.reject(new Error("early")); export { careless } from "./stray.js";`,
    );
    const { code, stdout, stderr } = await run(["check", "--module", "early.js", "--db", "stepwell.db"], {
      cwd,
    });
    assertEquals([code, stdout], [2, ""]);
    await run(["enqueue", "careless", "--id", "c"], { cwd });
    const checked = await run(["check", "--module", "early.js"], { cwd });
    assertEquals([checked.code, checked.stdout], [0, "1 of 1 unfinished workflow can go on\n"]);
    assertEquals(checked.stderr, "Nothing waits for this error: Error: early\n");
    assertStringIncludes(stderr, 'There is no database "stepwell.db"');
  }));

Deno.test({
  name: "run and work go on, and end as their workflows do, where nothing can be written",
  ignore: IGNORED,
  fn: () =>
    inFolder(async (cwd) => {
      await copyModule("stray.js", cwd);
      const full = redirected("> /dev/full 2> /dev/full");
      const ended = await run(["run", "careless", ...module, "--workflow-id", "c"], { cwd, program: full });
      assertEquals(ended, { code: 0, signal: null, stdout: "", stderr: "" });
      assertEquals((await runJson(["show", "c"], { cwd })).json.status, "completed");

      await run(["enqueue", "careful", "--id", "o"], { cwd });
      const worker = start(["work", ...module], { cwd, program: full });
      await Deno.writeTextFile(`${cwd}/release`, "");
      while ((await runJson(["show", "o"], { cwd })).json.status !== "completed");
      worker.kill("SIGTERM");
      assertEquals((await worker.ended()).code, 0);
    }),
});

Deno.test({
  name: "what a command was to print and could not makes its status 1, unless nobody reads any more",
  ignore: IGNORED,
  fn: () =>
    inFolder(async (cwd) => {
      await copyModule("stray.js", cwd);
      await run(["run", "careless", ...module, "--workflow-id", "c"], { cwd });
      const full = redirected("> /dev/full");
      for (
        const args of [["list"], ["show", "c"], ["help"], [
          "run",
          "careless",
          ...module,
          "--workflow-id",
          "c",
          "--json",
        ]]
      ) {
        const { code, stderr } = await run(args, { cwd, program: full });
        assertEquals([args, code], [args, 1]);
        assertStringIncludes(
          stderr,
          "error: Cannot write to the standard output: Error: No space left on device",
        );
      }
      const closed = start(["list", "--json"], {
        cwd,
        program: ["sh", "-c", `{ "$0" "$@"; echo $? > status; } | true`, ...fromSource],
      });
      assertEquals((await closed.ended()).stderr, "");
      assertEquals(await Deno.readTextFile(`${cwd}/status`), "0\n");
    }),
});
