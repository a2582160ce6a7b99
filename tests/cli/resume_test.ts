import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("resume goes on from the last checkpoint, and shows what it replays", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a", "--crash", "create_record:after"], { cwd });
    const { code, stdout } = await run(["resume", "a"], { cwd });

    assertEquals(code, 0);
    assertMatch(stdout, /replayed +create_record#000001 +attempt 1/);
    assertMatch(stdout, /completed in .+: 3 steps run, 1 replayed/);
  }));

Deno.test("resume and retry of an id that is not there, or whose workflow is not loaded, are refused", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p", "--crash", "page:after"], { cwd });

    for (const command of ["resume", "retry"]) {
      const missing = await run([command, "nobody"], { cwd });
      assertEquals(missing.code, 2);
      assertStringIncludes(missing.stderr, 'There is no workflow with the id "nobody"');

      const unknown = await run([command, "p"], { cwd });
      assertEquals(unknown.code, 2);
      assertStringIncludes(
        unknown.stderr,
        '"p" is of the workflow "pages", which is not loaded; --module FILE loads it',
      );
    }
    assertEquals((await runJson(["resume", "p", ...samples], { cwd })).json.output, [1, 2, 3]);
  }));

Deno.test("retry runs a failed workflow again from its failed step", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    assertEquals((await run(["run", "broken", ...samples, "--workflow-id", "b"], { cwd })).code, 1);
    assertEquals((await run(["retry", "b", ...samples], { cwd })).code, 1);
    await Deno.writeTextFile(`${cwd}/mended`, "");

    const { code, json } = await runJson(["retry", "b", ...samples], { cwd });
    assertEquals({ code, output: json.output }, { code: 0, output: "mended" });
    assertEquals(json.steps.map((step) => step.replayed), [true, false]);
  }));

Deno.test("retry of a workflow that has not failed is refused", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a"], { cwd });
    const { code, stderr } = await run(["retry", "a"], { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, "failed");
    assertStringIncludes(stderr, "completed");
  }));

Deno.test("resume of an id that starts with a dash takes it after --", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id=-a", "--crash", "create_record:after"], { cwd });
    assertEquals((await run(["resume", "--", "-a"], { cwd })).code, 0);
  }));
