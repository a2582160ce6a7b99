import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("signal is seen by a workflow that waits in another process", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const running = start(["run", "approval", ...samples, "--workflow-id", "a"], { cwd });
    await running.says("waiting");
    const { code, stdout } = await run(["signal", "a", "decided", "--payload", '{"yes":true}'], { cwd });
    assertEquals([code, stdout], [0, 'Signal "decided" is kept for "a", which is waiting\n']);
    const ended = await running.ended();
    assertEquals(ended.code, 0);
    assertEquals((await runJson(["show", "a"], { cwd })).json.output, { yes: true });
  }));

Deno.test("signal is kept for a workflow that does not exist yet, once for each idempotency key", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p"], { cwd });
    await Deno.writeTextFile(`${cwd}/payload.json`, "[1]");
    for (let times = 0; times < 2; times++) {
      const sent = await runJson(
        ["signal", "a", "decided", "--payload", "@payload.json", "--idempotency-key", "k"],
        { cwd },
      );
      assertEquals([sent.code, sent.json], [
        0,
        {
          workflowId: "a",
          signal: "decided",
          status: null,
        } as unknown as typeof sent.json,
      ]);
    }
    const { json } = await runJson(["run", "approval", ...samples, "--workflow-id", "a"], { cwd });
    assertEquals(json.output, [1]);
  }));

Deno.test("pause and cancel stop a workflow that another process runs", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const running = start(["run", "approval", ...samples, "--workflow-id", "a"], { cwd });
    await running.says("waiting");
    const paused = await run(["pause", "a"], { cwd });
    assertEquals([paused.code, paused.stdout], [0, '"a" is paused\n']);
    assertEquals((await running.ended()).code, 1);
    assertMatch((await run(["show", "a"], { cwd })).stdout, /way out +Go on with it: stepwell resume a/);

    const resumed = start(["resume", "a", ...samples], { cwd });
    await resumed.says("waiting");
    assertEquals((await run(["cancel", "a"], { cwd })).code, 0);
    const ended = await resumed.ended();
    assertEquals(ended.code, 1);
    assertStringIncludes(ended.stdout, "cancelled");
    assertEquals((await runJson(["show", "a"], { cwd })).json.status, "cancelled");
    assertEquals(await Deno.readTextFile(`${cwd}/undone`), "");
    assertEquals((await run(["cancel", "a"], { cwd })).stdout, '"a" is cancelled\n');
  }));

Deno.test("cancel of a workflow that nobody runs says how it is carried out", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p", "--crash", "page:after"], { cwd });
    const { code, stdout } = await run(["cancel", "p"], { cwd });
    assertEquals(code, 0);
    assertStringIncludes(stdout, '"p" is running, and is cancelled as soon as its code runs');
    const { json } = await runJson(["resume", "p", ...samples], { cwd });
    assertEquals(json.status, "cancelled");
  }));

Deno.test("signal, cancel and pause refuse what is not there, has ended or cannot be read, with status 2", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p"], { cwd });
    const refusals: [string[], string][] = [
      [["signal", "p"], "signal wants a NAME: signal ID NAME"],
      [["signal", "p", "go", "now"], 'signal takes ID and NAME besides flags, found "p", "go", "now"'],
      [["signal", "p", "go"], "it must be one that has not ended, and is completed"],
      [["signal", "q", "go", "--payload", "{"], "Cannot read --payload: wanted JSON"],
      [["signal", "q", "go", "--db", "none.db"], 'There is no database "none.db"'],
      [["cancel", "p"], "it must be one that has not ended, and is completed"],
      [["cancel", "none"], 'Cannot find workflow "none"'],
      [["pause", "none"], 'Cannot find workflow "none"'],
      [["pause"], "pause wants an ID: pause ID"],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run(args, { cwd });
      assertStringIncludes(stderr, message);
      assertEquals(code, 2, message);
    }
  }));
