import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("fork runs a new workflow that begins with the checkpoints of another", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p"], { cwd });
    const { code, json } = await runJson(["fork", "p", "--from", "page#000002", "--id", "q", ...samples], {
      cwd,
    });
    assertEquals([code, json.workflowId, json.status, json.output], [0, "q", "completed", [1, 2, 3]]);
    assertEquals(json.steps.map(({ replayed }) => replayed), [true, false, false]);
    assertMatch((await run(["show", "q"], { cwd })).stdout, /fork of +p\n/);

    const other = await runJson(["fork", "p", "--from", "page", ...samples], { cwd });
    assertEquals([other.code, other.json.output], [0, [1, 2, 3]]);
    assertMatch(other.json.workflowId, /^[0-9a-f-]{36}$/);
  }));

Deno.test("fork refuses what is not there, or not loaded, with status 2", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p"], { cwd });
    const refusals: [string[], string][] = [
      [["fork", "p", ...samples], "fork wants --from STEP"],
      [["fork", "--from", "page"], "fork wants an ID"],
      [["fork", "none", "--from", "page", ...samples], 'There is no workflow with the id "none"'],
      [["fork", "p", "--from", "none", ...samples], 'it has no step "none"'],
      [["fork", "p", "--from", "page", "--id", "p", ...samples], "the origin"],
      [["fork", "p", "--from", "page"], "--module FILE loads it"],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run(args, { cwd });
      assertEquals(code, 2, message);
      assertStringIncludes(stderr, message);
    }
  }));

Deno.test("fork puts a workflow into the queue of the other, or the one that it is told", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["enqueue", "pages", "--queue", "mail", "--partition", "p", "--id", "p"], { cwd });
    await run(["resume", "p", ...samples], { cwd });
    const fork = (...args: string[]) => run(["fork", "p", "--from", "page", ...args], { cwd });
    assertEquals((await fork("--id", "q")).stdout, '"q" is pending, in queue "mail"\n');
    assertEquals(
      (await fork("--id", "late", "--delay", "1h")).stdout,
      '"late" is waiting, in queue "mail"\n',
    );
    const { json } = await runJson([
      "fork",
      "p",
      "--from",
      "page",
      "--id",
      "r",
      "--queue",
      "other",
      "--priority",
      "5",
    ], {
      cwd,
    });
    assertEquals<unknown>(json, { workflowId: "r", workflow: "pages", queue: "other", status: "pending" });
    const beside = await runJson(["fork", "p", "--from", "page", "--id", "s", "--unqueued", ...samples], {
      cwd,
    });
    assertEquals([beside.json.status, beside.json.output], ["completed", [1, 2, 3]]);
    for (
      const [args, message] of [
        [["--queue", "a", "--unqueued"], "--queue or --unqueued"],
        [["--priority", "high"], "--priority wants"],
        [["--delay", "soon"], "--delay wants"],
      ] as const
    ) {
      const { code, stderr } = await fork(...args);
      assertEquals(code, 2, message);
      assertStringIncludes(stderr, message);
    }
  }));
