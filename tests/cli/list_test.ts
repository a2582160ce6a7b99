import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("list shows workflows as a table, the newest first, by status and up to a limit", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "greet", ...samples, "--workflow-id", "one"], { cwd });
    await run(["run", "broken", ...samples, "--workflow-id", "two"], { cwd });
    await run(["run", "pages", ...samples, "--workflow-id", "007", "--crash", "page:after"], { cwd });

    const all = await run(["list"], { cwd });
    assertEquals(all.code, 0);
    const rows = all.stdout.trimEnd().split("\n");
    assertMatch(rows[0]!, /^ID +WORKFLOW +STATUS +CREATED +UPDATED +ERROR$/);
    assertMatch(rows[1]!, /^007 +pages +running +\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ/);
    assertMatch(rows[2]!, /^two +broken +failed .+RangeError: \ufffd\[2Jno such card$/);
    assertMatch(rows[3]!, /^one +greet +completed /);

    const failed = await runJson(["list", "--status", "failed"], { cwd });
    assertEquals(failed.json.workflows.map((each) => each.workflowId), ["two"]);
    const either = await runJson(["list", "--status", "failed", "--status", "completed"], { cwd });
    assertEquals(either.json.workflows.length, 2);
    assertEquals(either.json.more, false);

    const limited = await run(["list", "--limit", "1"], { cwd });
    assertEquals(limited.stdout.split("\n").length, 4);
    assertStringIncludes(limited.stdout, "There are more than these 1");
    assertEquals((await runJson(["list", "--limit", "1"], { cwd })).json.more, true);
  }));

Deno.test("list says that there is nothing", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a"], { cwd });
    assertEquals((await run(["list", "--status", "blocked"], { cwd })).stdout, "No workflows\n");
    const { json } = await runJson(["list", "--status", "blocked"], { cwd });
    assertEquals({ ...json }, { workflows: [], more: false });
  }));
