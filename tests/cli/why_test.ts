import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("why says what a workflow waits for, and what would move it on", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const running = start(["run", "approval", ...samples, "--workflow-id", "a"], { cwd });
    await running.says("waiting");
    const { code, stdout } = await run(["why", "a"], { cwd });
    assertEquals(code, 0);
    assertMatch(stdout, /^a\n {2}status {6}waiting since 20\S+ \S+Z\n/);
    assertStringIncludes(stdout, 'because     It waits for signal "decided"\n');
    assertStringIncludes(stdout, "waits for   signal decided, since ");
    assertStringIncludes(stdout, 'moves on    engine.signal() with the name "decided"\n');
    running.kill("SIGKILL");
    await running.ended();

    await run(["enqueue", "greet", "--id", "g", "--delay", "1h"], { cwd });
    const { json } = await runJson(["why", "g"], { cwd });
    assertEquals([json.workflowId, json.status, json.heldBy, json.error], ["g", "waiting", null, null]);
    assertEquals(json.queue, { name: "default", ahead: 0 });
    assertEquals(json.waitsFor[0].kind, "time");

    const missing = await run(["why", "none"], { cwd });
    assertEquals(missing.code, 2);
    assertStringIncludes(missing.stderr, 'Cannot find workflow "none"');
  }));
