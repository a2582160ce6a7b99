import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson, start } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("work goes on with what a process that was killed has left, and ends with status 0 when asked to stop", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "pages", ...samples, "--workflow-id", "p", "--crash", "page:after"], { cwd });
    await run(["run", "broken", ...samples, "--workflow-id", "b", "--crash", "good:after"], { cwd });
    const worker = start(["work", ...samples], { cwd });
    await worker.says("completed    pages  p");
    await worker.says("failed       broken  b");
    worker.kill("SIGTERM");
    const { code, stdout } = await worker.ended();
    assertEquals(code, 0);
    assertMatch(stdout, /^Working on "approval", "broken", /);
    assertMatch(stdout, /started +pages {2}p {2}its last run is gone\n/);
    assertMatch(stdout, /\nStopped: 1 completed, 1 failed\n$/);
    assertEquals((await runJson(["show", "p"], { cwd })).json.output, [1, 2, 3]);
  }));

Deno.test("work parks what runs when it is asked to stop, for the next one", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "gated", ...samples, "--workflow-id", "g", "--crash", "first:after"], { cwd });
    const first = start(["work", ...samples, "--grace", "10ms", "--json"], { cwd });
    await first.says('"type":"started"');
    first.kill("SIGINT");
    const { code, stdout } = await first.ended();
    const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
    assertEquals(code, 0);
    assertEquals(lines.map(({ type }) => type), ["working", "started", "suspended", "stopped"]);
    assertEquals([lines.at(-1).suspended, lines.at(-1).completed], [1, 0]);
    assertEquals((await runJson(["show", "g"], { cwd })).json.status, "pending");

    await Deno.writeTextFile(`${cwd}/release`, "");
    const second = start(["work", ...samples], { cwd });
    await second.says("completed    gated  g");
    second.kill("SIGTERM");
    assertEquals((await second.ended()).code, 0);
  }));

Deno.test("work refuses a concurrency, grace or module that is none, with status 2", () =>
  inFolder(async (cwd) => {
    const refusals: [string[], string][] = [
      [["--concurrency", "0"], '--concurrency wants a number from 1 to 9999, found "0"'],
      [["--grace", "soon"], "--grace wants a duration"],
      [["--module", "none.js"], "none.js"],
    ];
    for (const [args, message] of refusals) {
      const { code, stderr } = await run(["work", ...args], { cwd });
      assertStringIncludes(stderr, message);
      assertEquals(code, 2, message);
    }
  }));
