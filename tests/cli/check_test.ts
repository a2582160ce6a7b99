import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { execute } from "../raw_sqlite.ts";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

/** Leaves a workflow behind whose process was lost after two of its three steps. */
async function leave(cwd: string): Promise<void> {
  await copyModule("samples.js", cwd);
  await run(
    ["run", "pages", "--module", "samples.js", "--workflow-id", "p", "--crash", "page:after#2"],
    { cwd },
  );
}

async function write(cwd: string, name: string, body: string): Promise<void> {
  const module = `import { workflow } from "@stepwell/stepwell";\n${body}`;
  await Deno.writeTextFile(`${cwd}/${name}`, module);
}

Deno.test("check ends with status 0 where the code can go on, and runs nothing", () =>
  inFolder(async (cwd) => {
    await leave(cwd);
    const before = await Deno.readFile(`${cwd}/stepwell.db`);
    const { code, stdout } = await run(["check", "--module", "samples.js"], { cwd });
    assertEquals([code, stdout], [0, "1 of 1 unfinished workflow can go on\n"]);
    const { json } = await runJson(["check", "--module", "samples.js"], { cwd });
    assertEquals([json.checked, json.replays, json.workflows], [1, 1, []]);
    assertEquals(await Deno.readFile(`${cwd}/stepwell.db`), before);
    assertEquals((await runJson(["show", "p"], { cwd })).json.status, "running");
  }));

Deno.test("check ends with status 1 where the code diverges, and shows both histories", () =>
  inFolder(async (cwd) => {
    await leave(cwd);
    await write(
      cwd,
      "new.js",
      `export const pages = workflow("pages", (ctx) => ctx.step("other", () => 1));`,
    );
    const { code, stdout } = await run(["check", "--db", "stepwell.db", "--module", "new.js"], { cwd });
    assertEquals(code, 1);
    assertMatch(stdout, /^p \(pages; running\) diverges\n {2}NonDeterminismError: .*"page#000001"/);
    assertMatch(
      stdout,
      /\n +stored +asked for\n +1\. step page#000001 +other#000001\n +2\. step page#000002/,
    );
    assertMatch(stdout, /\n0 of 1 unfinished workflow can go on, 1 cannot\n$/);

    const { code: jsonCode, json } = await runJson(["check", "--module", "new.js"], { cwd });
    assertEquals([jsonCode, json.diverges], [1, 1]);
    const [found] = json.workflows as unknown as Record<string, unknown>[];
    assertEquals([found!.workflowId, found!.verdict], ["p", "diverges"]);
    assertEquals(found!.stored, ["1. step page#000001", "2. step page#000002"]);
    assertEquals(found!.asked, ["other#000001"]);
  }));

Deno.test("check reports workflows whose name or version is not loaded, and ends with status 1", () =>
  inFolder(async (cwd) => {
    await leave(cwd);
    const { code, stdout } = await run(["check"], { cwd });
    assertEquals(code, 1);
    assertMatch(stdout, /^p \(pages; running\) is not known here\n {2}UnknownWorkflowError: /);

    const versioned = `export const pages = workflow("pages", { version: "2" }, () => 1);`;
    await write(cwd, "versioned.js", versioned);
    const { code: versionedCode, stdout: text } = await run(["check", "--module", "versioned.js"], { cwd });
    assertEquals(versionedCode, 1);
    assertMatch(text, /^p \(pages; running\) is not known here\n {2}UnknownVersionError: .*version "2"/);
  }));

Deno.test("check reports workflows that cannot be read, and ends with status 1", () =>
  inFolder(async (cwd) => {
    await leave(cwd);
    execute(`${cwd}/stepwell.db`, "UPDATE checkpoints SET output_json = '9'");
    const { code, stdout } = await run(["check", "--module", "samples.js"], { cwd });
    assertEquals(code, 1);
    assertMatch(stdout, /^p \(pages; running\) cannot be read\n {2}CorruptCheckpointError: /);
    assertMatch(stdout, /\n0 of 1 unfinished workflow can go on, 1 not readable\n$/);
  }));

Deno.test("check of a database that is not there ends with status 2, and makes none", () =>
  inFolder(async (cwd) => {
    const { code, stderr } = await run(["check", "--db", "none.db"], { cwd });
    assertEquals(code, 2);
    assertStringIncludes(stderr, 'There is no database "none.db"');
    assertEquals([...Deno.readDirSync(cwd)], []);
  }));

Deno.test("run starts the highest version of a name, and goes on with the stored one", () =>
  inFolder(async (cwd) => {
    const version = (each: string, name: string) =>
      `export const ${name} = workflow("order", { version: "${each}" }, (ctx) => ctx.step("s", () => "${each}"));\n`;
    await write(cwd, "old.js", version("9", "a"));
    await write(cwd, "both.js", version("10", "a") + version("9", "b"));
    const crash = ["run", "order", "--module", "old.js", "--workflow-id", "o", "--crash", "s:before"];
    await run(crash, { cwd });
    const begin = ["run", "order", "--module", "both.js", "--workflow-id"];
    assertEquals((await runJson([...begin, "new"], { cwd })).json.output, "10");
    assertEquals((await runJson([...begin, "o"], { cwd })).json.output, "9");
    assertEquals((await runJson(["show", "o"], { cwd })).json.version, "9");
  }));
