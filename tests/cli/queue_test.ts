import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("enqueue puts a workflow into a queue, from which work takes it, by the limits that a module exports", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const enqueued = await run(
      ["enqueue", "greet", "--queue", "single", "--id", "g", "--input", '{"name":"Ada"}'],
      { cwd },
    );
    assertEquals([enqueued.code, enqueued.stdout], [0, '"g" is pending, in queue "single"\n']);
    const later = await runJson(["enqueue", "pages", "--delay", "1h", "--priority", "3"], { cwd });
    assertEquals([later.json.status, later.json.queue, later.json.workflow], ["waiting", "default", "pages"]);
    assertMatch((await run(["show", later.json.workflowId], { cwd })).stdout, /waits +to begin, until 20/);
    const resumed = start(["resume", later.json.workflowId, ...samples], { cwd });
    await resumed.says(`It waits in queue "default" until 20`);
    resumed.kill("SIGTERM");
    assertEquals((await resumed.ended()).code, 130);

    const worker = start(["work", ...samples], { cwd });
    await worker.says("completed    greet  g");
    const { stdout } = await run(["queues"], { cwd });
    assertMatch(stdout, /single +0 +0 +1 in all, 5 in 1\.0 s, 1000000 waiting/);
    assertMatch(stdout, /default +1 +0 +1000000 waiting/);
    worker.kill("SIGTERM");
    assertEquals((await worker.ended()).code, 0);
    assertEquals((await runJson(["show", "g"], { cwd })).json.output, "Hello, Ada");
  }));

Deno.test("queues pauses and resumes a queue", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["enqueue", "greet", "--id", "g"], { cwd });
    assertMatch((await run(["queues", "--pause", "default"], { cwd })).stdout, /default .* paused since 20/);
    const worker = start(["work", ...samples, "--json"], { cwd });
    await worker.says('"type":"working"');
    assertEquals((await runJson(["show", "g"], { cwd })).json.status, "pending");
    const { json } = await runJson(["queues", "--resume", "default"], { cwd });
    assertEquals(json.queues[0], {
      name: "default",
      depth: 1,
      underWay: 0,
      pausedAt: null,
      concurrency: null,
      executorConcurrency: null,
      partitionConcurrency: null,
      rate: null,
      maxDepth: 1_000_000,
      ageingMs: 60_000,
    });
    await worker.says('"type":"completed"');
    worker.kill("SIGTERM");
    await worker.ended();
  }));

Deno.test("executors shows who works", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const worker = start(["work", ...samples], { cwd });
    await worker.says("Working on");
    let found = await runJson(["executors"], { cwd });
    while (found.json.executors.length === 0) found = await runJson(["executors"], { cwd });
    assertEquals(
      found.json.executors.map(({ state, running }: Record<string, unknown>) => [state, running]),
      [
        ["alive", 0],
      ],
    );
    assertMatch(
      (await run(["executors"], { cwd })).stdout,
      /e_[0-9a-f]{12} +\d+( on \S+)? +alive +20.* all +.*greet/,
    );
    worker.kill("SIGKILL");
    await worker.ended();
    assertMatch((await run(["executors"], { cwd })).stdout, /e_[0-9a-f]{12} +\d+( on \S+)? +gone +20/);
  }));

Deno.test("enqueue, queues and executors refuse what they cannot use, with status 2", () =>
  inFolder(async (cwd) => {
    await run(["enqueue", "greet", "--id", "g"], { cwd });
    const refusals: [string[], string][] = [
      [["enqueue"], "enqueue wants a WORKFLOW: enqueue WORKFLOW"],
      [["enqueue", "pages", "--id", "g"], 'it was started with the workflow "greet"'],
      [
        ["enqueue", "greet", "--priority", "high"],
        '--priority wants a number from -1000 to 1000, found "high"',
      ],
      [["enqueue", "greet", "--priority", "5000"], "wanted an integer from -1000 to 1000, found 5000"],
      [["enqueue", "greet", "--delay", "soon"], "--delay wants a duration"],
      [["enqueue", "greet", "--queue", "a", "--queue", "b"], "enqueue wants one --queue, found 2"],
      [["queues", "--pause", "none"], 'Cannot find queue "none"'],
      [["queues", "--db", "none.db"], 'There is no database "none.db"'],
      [["executors", "--db", "none.db"], 'There is no database "none.db"'],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run(args, { cwd });
      assertStringIncludes(stderr, message);
      assertEquals(code, 2, message);
    }
  }));
