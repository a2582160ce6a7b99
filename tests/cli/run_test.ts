import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

Deno.test("run without a command or a workflow runs onboarding", () =>
  inFolder(async (cwd) => {
    const { code, stdout, stderr } = await run([], { cwd });

    assertEquals({ code, stderr }, { code: 0, stderr: "" });
    for (const step of ["create_record", "provision_laptop", "provision_access", "send_welcome_email"]) {
      assertMatch(stdout, new RegExp(`running +${step}#000001 +attempt 1\n`));
      assertMatch(stdout, new RegExp(`completed +${step}#000001 +attempt 1 +[\\d.]+ m?s\n`));
    }
    assertMatch(
      stdout,
      /Workflow ".+" completed in .+: 4 steps run, 0 replayed\nOutput: \{"employee":"E0001"/,
    );
    assertEquals(stdout.includes("\x1b"), false);
    assertEquals((await Deno.stat(`${cwd}/stepwell.db`)).isFile, true);
  }));

Deno.test("run with one dash before its flags crashes and resumes as with two", () =>
  inFolder(async (cwd) => {
    const args = ["-workflow-id", "emp-onboard-001"];
    const crashed = await run([...args, "-crash", "provision_laptop:after"], { cwd });
    assertEquals({ code: crashed.code, signal: crashed.signal }, { code: 137, signal: "SIGKILL" });
    assertStringIncludes(crashed.stderr, 'Killing this process at crash point "provision_laptop:after"');

    const { code, json } = await runJson([...args, "-db=stepwell.db"], { cwd });
    assertEquals(code, 0);
    assertEquals(json.workflowId, "emp-onboard-001");
    const laptop = json.steps.find((step) => step.key === "provision_laptop#000001");
    assertEquals(laptop?.replayed, true);
  }));

Deno.test("run --json prints one object on the last line, and people's lines on the standard error", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const args = ["run", "greet", ...samples, "--workflow-id", "g", "--input", '{"name":"Ada"}'];
    const { code, stdout, stderr, json } = await runJson(args, { cwd });

    assertEquals(code, 0);
    assertEquals(stdout.trimEnd().split("\n").length, 1);
    assertStringIncludes(stderr, "completed  greet#000001");
    for (const step of json.steps) assertEquals(typeof step.durationMs, "number");
    const steps = json.steps.map((step) => ({ ...step, durationMs: 0 }));
    assertEquals({ ...json, steps }, {
      workflowId: "g",
      workflow: "greet",
      status: "completed",
      output: "Hello, Ada",
      error: null,
      steps: [
        { key: "name#000001", status: "completed", attempt: 1, replayed: false, durationMs: 0 },
        { key: "greet#000001", status: "completed", attempt: 1, replayed: false, durationMs: 0 },
      ],
    });
  }));

Deno.test("run reads its input from a file, and takes a database's name", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await Deno.writeTextFile(`${cwd}/input.json`, '{"name":"Grace"}');
    const { json } = await runJson(["run", "greet", ...samples, "--input", "@input.json", "--db", "my.db"], {
      cwd,
    });

    assertEquals(json.output, "Hello, Grace");
    assertEquals((await Deno.stat(`${cwd}/my.db`)).isFile, true);
  }));

Deno.test("run of a completed id gives its stored output, and runs nothing", () =>
  inFolder(async (cwd) => {
    const first = await runJson(["--workflow-id", "a"], { cwd });
    const second = await runJson(["--workflow-id", "a"], { cwd });

    assertEquals(second.code, 0);
    assertEquals(second.json.output, first.json.output);
    assertStringIncludes(second.stderr, "no step was run");
  }));

Deno.test("run of an id with another workflow or input is refused, and shows the workflows", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    await run(["run", "greet", ...samples, "--workflow-id", "a", "--input", '{"name":"Ada"}'], { cwd });

    const input = await run(["run", "greet", ...samples, "--workflow-id", "a", "--input", '{"name":"Eve"}'], {
      cwd,
    });
    assertEquals(input.code, 2);
    assertStringIncludes(
      input.stderr,
      "its stored input (14 characters) is not the one that was given (14 characters)",
    );
    // They may be personal.
    assertEquals(/Ada|Eve/.test(input.stderr), false);

    const workflow = await run(["run", "pages", ...samples, "--workflow-id", "a"], { cwd });
    assertEquals(workflow.code, 2);
    assertStringIncludes(workflow.stderr, "greet");
    assertStringIncludes(workflow.stderr, "pages");
  }));

Deno.test("run of a workflow that fails ends with status 1, says why, and how to retry", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const { code, stdout, stderr } = await run(["run", "broken", ...samples, "--workflow-id", "b"], { cwd });

    assertEquals({ code, stderr }, { code: 1, stderr: "" });
    assertMatch(stdout, /failed +bad#000001 +attempt 1 .*RangeError: \ufffd\[2Jno such card/);
    assertStringIncludes(stdout, "stepwell retry b --module samples.js");
    assertEquals(stdout.includes("\x1b"), false);

    const again = await runJson(["run", "broken", ...samples, "--workflow-id", "c"], { cwd });
    assertEquals(again.code, 1);
    assertEquals(again.json.status, "failed");
    assertEquals(again.json.output, null);
    assertEquals(again.json.error.name, "RangeError");
    assertEquals(again.json.error.message, "\u001b[2Jno such card");
  }));

Deno.test("run shows attempts that failed, and counts them", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const { code, stderr, json } = await runJson(["run", "flaky", ...samples], { cwd });

    assertEquals(code, 0);
    assertMatch(
      stderr,
      /retrying +call#000001 +attempt 1 +of 5, the next in .+Error: attempt 1\ufffd\[31m went wrong/,
    );
    assertMatch(stderr, /retrying +call#000001 +attempt 2/);
    assertMatch(stderr, /completed +call#000001 +attempt 3/);
    assertEquals(json.steps[0]!.attempt, 3);
  }));

Deno.test("run --json shows values that JSON has no form for", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const { json } = await runJson(["run", "rich", ...samples], { cwd });

    assertEquals(json.output, {
      date: "1970-01-01T00:00:00.000Z",
      map: { a: "1" },
      pairs: [[1, "one"]],
      set: [1, 2],
      bytes: "AQID",
      nan: "NaN",
    });
  }));

Deno.test("run shows names from outside without the characters that a terminal acts on", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const id = "\u202emid\u202e";
    const { code, stdout } = await run(["run", "logging", ...samples, "--workflow-id", id], { cwd });

    assertEquals(code, 0);
    assertStringIncludes(stdout, '"\ufffdmid\ufffd"');
    assertStringIncludes(stdout, "\ufffdred#000001");
    assertStringIncludes(stdout, 'about to \ufffd[1mstart {"order":17}');
    for (const char of ["\x1b", "\x9b", "\u202e"]) assertEquals(stdout.includes(char), false);
  }));

Deno.test("run takes --durability, --sqlite and --zombie-timeout", () =>
  inFolder(async (cwd) => {
    const flags = ["--durability", "normal", "--sqlite", "builtin", "--zombie-timeout", "5s"];
    assertEquals((await run(flags, { cwd })).code, 0);
    assertEquals((await run(["--zombie-timeout", "5000"], { cwd })).code, 0);
  }));

Deno.test("run keeps a database in memory where it is asked to", () =>
  inFolder(async (cwd) => {
    assertEquals((await run(["--db", ":memory:"], { cwd })).code, 0);
    assertEquals(await exists(`${cwd}/:memory:`), false);
  }));

Deno.test("run says in one line what is wrong with a database, and ends with status 1", () =>
  inFolder(async (cwd) => {
    await Deno.mkdir(`${cwd}/folder`);
    await Deno.writeTextFile(`${cwd}/text.db`, "this is no database\n".repeat(500));
    for (const db of ["folder", "text.db", "missing/a.db"]) {
      const { code, stderr } = await run(["--db", db], { cwd });
      assertEquals({ db, code }, { db, code: 1 });
      assertMatch(stderr, new RegExp(`^error: StoreOpenError: .*${db}`));
    }
  }));

Deno.test("run lets a module's workflow take the name of a built-in one", () =>
  inFolder(async (cwd) => {
    await Deno.writeTextFile(
      `${cwd}/mine.js`,
      `import { workflow } from "@stepwell/stepwell";
       export default workflow("onboarding", (ctx) => ctx.step("mine", () => "mine"));`,
    );
    const { json } = await runJson(["run", "onboarding", "--module", "mine.js"], { cwd });
    assertEquals(json.output, "mine");
  }));

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

Deno.test("run refuses an --input that the workflow's schema refuses, with status 2", () =>
  inFolder(async (cwd) => {
    const module = `import { workflow } from "@stepwell/stepwell";
      const validate = (value) => typeof value?.sku === "string"
        ? { value: { sku: value.sku.toUpperCase() } }
        : { issues: [{ message: "wanted a text", path: ["sku"] }] };
      const input = { "~standard": { version: 1, vendor: "test", validate } };
      export const order = workflow("order", { input }, (ctx, { sku }) => sku);`;
    await Deno.writeTextFile(`${cwd}/order.js`, module);
    const args = (
      input: string,
    ) => ["run", "order", "--module", "order.js", "--workflow-id", "o", "--input", input];
    const { code, stderr } = await run(args('{"sku":7}'), { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'its input is not what workflow "order" takes: .sku: wanted a text');
    assertEquals((await runJson(args('{"sku":"a1"}'), { cwd })).json.output, "A1");
  }));
