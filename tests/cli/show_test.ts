import { DatabaseSync } from "node:sqlite";
import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("show shows a completed workflow with its steps", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a", "--input", '{"name":"Grace Hopper","role":"admiral"}'], { cwd });
    const { code, stdout } = await run(["show", "a"], { cwd });

    assertEquals(code, 0);
    assertMatch(stdout, /^a\n {2}workflow +onboarding\n {2}status +completed\n/);
    assertStringIncludes(stdout, '{"name":"Grace Hopper","role":"admiral"}');
    assertMatch(stdout, /STEP +STATUS +ATTEMPT +TIME +STARTED +RESULT\n/);
    assertMatch(stdout, /create_record#000001 +completed +1 +[\d.]+ m?s +.+ \{"employee":"E0001"/);
    assertEquals(stdout.includes("way out"), false);

    const { json } = await runJson(["show", "a"], { cwd });
    assertEquals(json.status, "completed");
    assertEquals(json.output.employee, "E0001");
    assertEquals(json.steps.length, 4);
    assertEquals(json.waysOut, []);
  }));

Deno.test("show shows why a workflow failed, and the way out", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "broken", ...samples, "--workflow-id", "b"], { cwd });
    const { stdout } = await run(["show", "b"], { cwd });

    assertMatch(stdout, /status +failed\n/);
    assertMatch(stdout, /error +RangeError: \ufffd\[2Jno such card\n/);
    assertMatch(stdout, /way out +.*stepwell retry b\n/);
    assertMatch(stdout, /bad#000001 +failed +1 .*RangeError/);
  }));

Deno.test("show shows why a workflow is blocked, and the ways out; resume lifts the block", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const changed = `import { workflow } from "@stepwell/stepwell";
      export const pages = workflow("pages", (ctx) => ctx.step("other", () => 1));`;
    await Deno.writeTextFile(`${cwd}/changed.js`, changed);
    await run(["run", "pages", ...samples, "--workflow-id", "p", "--crash", "page:after#2"], { cwd });

    const blocked = await runJson(["resume", "p", "--module", "changed.js"], { cwd });
    assertEquals(blocked.code, 1);
    assertEquals(blocked.json.status, "blocked");
    assertEquals(blocked.json.error.name, "NonDeterminismError");
    assertStringIncludes(blocked.stderr, "is blocked");

    const { stdout } = await run(["show", "p"], { cwd });
    assertMatch(stdout, /status +blocked\n/);
    assertMatch(stdout, /error +NonDeterminismError: /);
    assertMatch(stdout, /way out +Bring back the code that it was started with; then: stepwell resume p\n/);

    assertEquals((await runJson(["resume", "p", ...samples], { cwd })).json.output, [1, 2, 3]);
  }));

Deno.test("show shows a workflow whose checkpoint was altered, with its other steps", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p", "--crash", "page:after#2"], { cwd });
    const database = new DatabaseSync(`${cwd}/stepwell.db`);
    database.exec("UPDATE checkpoints SET output_json = '7' WHERE step_key = 'page#000001'");
    database.close();

    const blocked = await runJson(["resume", "p", ...samples], { cwd });
    assertEquals(blocked.code, 1);
    assertEquals(blocked.json.status, "blocked");
    assertEquals(blocked.json.error.name, "CorruptCheckpointError");

    const { code, stdout } = await run(["show", "p"], { cwd });
    assertEquals(code, 0);
    assertMatch(stdout, /status +blocked\n/);
    assertMatch(stdout, /error +CorruptCheckpointError: .*"page#000001".*"p".*stepwell\.db/);
    assertMatch(stdout, /way out +Put the database back from a backup/);
    assertMatch(stdout, /page#000002 +completed/);
  }));

Deno.test("show of an id that is not there ends with status 2", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a"], { cwd });
    const { code, stderr } = await run(["show", "b"], { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'There is no workflow with the id "b" in "stepwell.db"');
  }));

Deno.test("show shows the steps page by page where it is asked to, and says where it goes on", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a", "--input", '{"name":"Grace Hopper","role":"admiral"}'], { cwd });
    const { stdout } = await run(["show", "a", "--limit", "3"], { cwd });
    assertStringIncludes(stdout, "There are more steps; --after 'c3' shows them\n");
    const { json } = await runJson(["show", "a", "--limit", "3"], { cwd });
    assertEquals([json.steps.length, json.moreSteps], [3, { after: "c3" }]);
    const rest = await runJson(["show", "a", "--after", "c3"], { cwd });
    assertEquals([rest.json.steps.length, rest.json.moreSteps], [1, null]);
    const { code, stderr } = await run(["show", "a", "--after", "nowhere"], { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, '--after wants a place among the steps, as show gives it, found "nowhere"');
  }));
