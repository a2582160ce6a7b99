import { assertEquals, assertStringIncludes } from "@std/assert";
import { inFolder, type Report, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("A second process that wants the same id ends with status 3, and the first goes on", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const owner = start(["run", "gated", ...samples, "--workflow-id", "g"], { cwd });
    await owner.says("running    gate#000001");

    const again = await runJson(["run", "gated", ...samples, "--workflow-id", "g"], { cwd });
    assertEquals(again.code, 3);
    assertEquals(again.json.status, "running");
    assertEquals(again.json.error.name, "WorkflowBusyError");
    assertStringIncludes(again.stderr, "is busy");
    assertEquals((await run(["resume", "g", ...samples], { cwd })).code, 3);

    await Deno.writeTextFile(`${cwd}/release`, "");
    assertEquals((await owner.ended()).code, 0);
  }));

Deno.test("A workflow whose process was killed is taken over at once", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const owner = start(["run", "gated", ...samples, "--workflow-id", "g"], { cwd });
    await owner.says("running    gate#000001");
    owner.kill("SIGKILL");
    await owner.ended();
    await Deno.writeTextFile(`${cwd}/release`, "");

    const { code, json } = await runJson(["resume", "g", ...samples], { cwd });
    assertEquals({ code, output: json.output }, { code: 0, output: "done" });
  }));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.test(`${signal} stops at a checkpoint with status 130, and the id can be resumed`, {
    ignore: Deno.build.os === "windows",
  }, () =>
    inFolder(async (cwd) => {
      await copyModule("samples.js", cwd);
      const process = start(["run", "gated", ...samples, "--workflow-id", "g", "--json"], { cwd });
      await process.says("running    gate#000001");
      process.kill(signal);
      await process.says("Stopping at the next checkpoint");
      await Deno.writeTextFile(`${cwd}/release`, "");

      const { code, stdout, stderr } = await process.ended();
      assertEquals(code, 130);
      assertStringIncludes(stderr, "stepwell resume g --module samples.js");
      const { error, steps } = JSON.parse(stdout) as Report;
      assertEquals(error.name, "EngineClosedError");
      assertEquals(steps.map((step) => [step.key, step.status]), [
        ["first#000001", "completed"],
        ["gate#000001", "completed"],
      ]);

      const resumed = await runJson(["resume", "g", ...samples], { cwd });
      assertEquals(resumed.code, 0);
      assertEquals(resumed.json.steps.map((step) => step.replayed), [true, true, false]);
    }));
}

Deno.test(
  "A second SIGINT stops at once with status 130",
  { ignore: Deno.build.os === "windows" },
  () =>
    inFolder(async (cwd) => {
      await copyModule("samples.js", cwd);
      const process = start(["run", "gated", ...samples, "--workflow-id", "g"], { cwd });
      await process.says("running    gate#000001");
      process.kill("SIGINT");
      await process.says("Stopping at the next checkpoint");
      process.kill("SIGINT");
      assertEquals((await process.ended()).code, 130);

      await Deno.writeTextFile(`${cwd}/release`, "");
      assertEquals((await run(["resume", "g", ...samples], { cwd })).code, 0);
    }),
);
