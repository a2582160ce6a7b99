import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { inFolder, run } from "./program.ts";
import { copyModule } from "./samples.ts";

/** Command lines that are wrong, and what has to be said about them. */
const WRONG: readonly { args: string[]; says: string }[] = [
  { args: ["--crsh", "a:after"], says: 'Unknown flag "--crsh" (did you mean "--crash"?)' },
  { args: ["-crsh=a:after"], says: 'Unknown flag "--crsh" (did you mean "--crash"?)' },
  { args: ["-x"], says: 'Unknown flag "-x"' },
  { args: ["--xyzzy"], says: 'Unknown flag "--xyzzy"\n' },
  { args: ["resum", "a"], says: 'Unknown command "resum" (did you mean "resume"?)' },
  { args: ["order"], says: 'Unknown command "order"; a workflow is run with: run WORKFLOW' },
  { args: ["--workflow-id"], says: "--workflow-id wants a value: ID" },
  { args: ["--db", "--json"], says: "--db wants a value: FILE" },
  { args: ["--db", "a", "--db", "b"], says: '--db wants one FILE, found 2: "a", "b"' },
  { args: ["run", "a", "b"], says: 'run takes one WORKFLOW besides flags, found "a", "b"' },
  { args: ["list", "a"], says: 'list takes nothing besides flags, found "a"' },
  { args: ["resume"], says: "resume wants an ID: resume ID" },
  { args: ["show"], says: "show wants an ID: show ID" },
  { args: ["list", "--crash", "a:after"], says: "list takes no --crash; it belongs to run, resume, retry" },
  { args: ["resume", "a", "--input", "1"], says: "resume takes no --input; it belongs to run" },
  { args: ["run", "onbording"], says: 'There is no workflow "onbording" (did you mean "onboarding"?)' },
  { args: ["--input", "{a:1}"], says: 'Cannot read --input: wanted JSON, found "{a:1}"' },
  { args: ["--input", "@missing.json"], says: 'Cannot read the file of --input, "missing.json"' },
  {
    args: ["--input", "@wrong.json"],
    says: 'Cannot read the file of --input, "wrong.json": wanted JSON, found "[1,"',
  },
  {
    args: ["--crash", "create_record"],
    says: '--crash wants STEP:WHEN, such as "pay:after", found "create_record"',
  },
  {
    args: ["--crash", "a:aftr"],
    says: '--crash wants before, during or after, found "aftr" (did you mean "after"?)',
  },
  { args: ["--crash", "a:after#0"], says: '--crash wants a number from 1 up after "#", found "0"' },
  {
    args: ["--durability", "ful"],
    says: '--durability wants full or normal, found "ful" (did you mean "full"?)',
  },
  { args: ["--sqlite", "wasm"], says: '--sqlite wants builtin or ffi, found "wasm"' },
  {
    args: ["--zombie-timeout", "soon"],
    says: '--zombie-timeout wants a duration, such as "250ms", "10s" or "5m"',
  },
  { args: ["--module", "missing.js"], says: 'There is no module "missing.js"' },
  { args: ["--module", "."], says: 'Module "." is a folder: wanted a file' },
  { args: ["--module", "no_workflow.js"], says: 'Module "no_workflow.js" exports no workflow' },
  { args: ["--module", "wrong.js"], says: 'Cannot load module "wrong.js": ' },
  { args: ["--module", "throws.js"], says: 'Cannot load module "throws.js": not today' },
  {
    args: ["--module", "twice.js"],
    says: 'Workflow "same" is exported twice by "twice.js": names must differ',
  },
  {
    args: ["list", "--status", "done"],
    says: "--status wants pending, running, waiting, completed, failed, cancelled or",
  },
  { args: ["list", "--limit", "many"], says: '--limit wants a number from 1 to 9999, found "many"' },
  { args: ["list"], says: 'There is no database "stepwell.db"; --db FILE names another' },
  { args: ["show", "a", "--db", "other.db"], says: 'There is no database "other.db"' },
  { args: ["resume", "a"], says: 'There is no database "stepwell.db"' },
  { args: ["retry", "a"], says: 'There is no database "stepwell.db"' },
  { args: ["help", "rum"], says: 'There is no help on "rum": it is no command (did you mean "run"?)' },
  { args: ["--\u001b[31mred"], says: 'Unknown flag "--\ufffd[31mred"' },
];

Deno.test("A wrong command line ends with status 2, says what is wrong, and makes no file", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/wrong.json`, "[1,");
    await Deno.writeTextFile(`${folder}/wrong.js`, "export const = 1;");
    await Deno.writeTextFile(`${folder}/throws.js`, "throw new Error('not today');");
    await Deno.writeTextFile(
      `${folder}/twice.js`,
      `import { workflow } from "@stepwell/stepwell";
       export const a = workflow("same", () => 1), b = workflow("same", () => 2);`,
    );
    await copyModule("no_workflow.js", folder);
    const before = await namesIn(folder);

    for (const { args, says } of WRONG) {
      const { code, stdout, stderr } = await run(args, { cwd: folder });
      assertStringIncludes(stderr, says, args.join(" "));
      assertEquals({ args, code, stdout }, { args, code: 2, stdout: "" });
    }

    assertEquals(await namesIn(folder), before);
  }));

Deno.test("help shows every command, flag and exit status, and a command's own flags", () =>
  inFolder(async (cwd) => {
    for (const args of [["help"], ["--help"], ["-h"], ["-help"]]) {
      const { code, stdout } = await run(args, { cwd });
      assertEquals(code, 0);
      for (const word of ["run [WORKFLOW]", "resume ID", "retry ID", "--crash STEP:WHEN[#N]", "130"]) {
        assertStringIncludes(stdout, word);
      }
    }
    for (const args of [["help", "list"], ["list", "--help"], ["list", "-h"]]) {
      const { code, stdout } = await run(args, { cwd });
      assertEquals(code, 0);
      assertStringIncludes(stdout, "--status STATUS");
      assertEquals(stdout.includes("--crash"), false);
    }
  }));

Deno.test("version shows the version of Stepwell and of Deno", () =>
  inFolder(async (cwd) => {
    for (const args of [["version"], ["--version"], ["-version"]]) {
      const { code, stdout } = await run(args, { cwd });
      assertEquals(code, 0);
      assertMatch(stdout, /^stepwell \d+\.\d+\.\d+ \(Deno \d+\.\d+\.\d+, .+\)\n$/);
    }
  }));

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
}
