import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("schedules shows the schedules that work sees to, pauses and resumes them, and runs one now", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const worker = start(["work", ...samples], { cwd });
    await worker.says("Working on");
    let found = await runJson(["schedules"], { cwd });
    while (found.json.schedules.length === 0) found = await runJson(["schedules"], { cwd });
    const year = new Date().getUTCFullYear() + 1;
    assertEquals(found.json.schedules, [{
      name: "greetings",
      workflow: "greet",
      cron: "0 0 1 1 *",
      timeZone: "UTC",
      missed: "latest",
      overlap: "allow",
      queue: null,
      pausedAt: null,
      nextTicks: [year, year + 1, year + 2].map((each) => `${each}-01-01T00:00:00.000Z`),
      lastTickAt: null,
      lastWorkflowId: null,
    }]);
    const paused = await run(["schedules", "--pause", "greetings"], { cwd });
    assertMatch(paused.stdout, /greetings +greet +0 0 1 1 \* {2}UTC +paused since 20/);
    const triggered = await run(["schedules", "--trigger", "greetings", "--resume", "greetings"], { cwd });
    const id = /^"(greetings@20\S+Z)" is pending\n/.exec(triggered.stdout)![1]!;
    await worker.says(`completed    greet  ${id}`);
    found = await runJson(["schedules"], { cwd });
    while (found.json.schedules[0].nextTicks.length === 0) found = await runJson(["schedules"], { cwd });
    const { stdout } = await run(["schedules"], { cwd });
    assertStringIncludes(stdout, `${year}-01-01 00:00:00Z, ${year + 1}-01-01 00:00:00Z`);
    worker.kill("SIGTERM");
    assertEquals((await worker.ended()).code, 0);
    assertEquals((await runJson(["show", id], { cwd })).json.output, "Hello, Year");
  }));

Deno.test("schedules refuses what is not there, with status 2", () =>
  inFolder(async (cwd) => {
    const missing = await run(["schedules"], { cwd });
    assertEquals(missing.code, 2);
    await run(["enqueue", "greet"], { cwd });
    assertEquals((await run(["schedules"], { cwd })).stdout, "No schedules\n");
    for (const flag of ["--pause", "--resume", "--trigger"]) {
      const { code, stderr } = await run(["schedules", flag, "none"], { cwd });
      assertEquals(code, 2);
      assertStringIncludes(stderr, 'Cannot find schedule "none"');
    }
  }));
