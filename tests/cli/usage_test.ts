import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Engine } from "@stepwell/stepwell";
import { COMMANDS } from "../../cli/commands.ts";
import { type FlagName, FLAGS } from "../../cli/flags.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { inFolder, run } from "./program.ts";
import { said } from "./said.ts";
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

Deno.test("every malformed value, flag and operand ends with status 2, a message of one line, and nothing made", async () => {
  await using folder = temporaryFolder();
  const db = folder.file("a.db");
  {
    await using engine = await Engine.open(db);
    await engine.enqueue("w", { id: "w" });
  }
  await Deno.writeFile(
    folder.file("latin1.json"),
    Uint8Array.from('{"a":"caf\u00e9"}', (c) => c.charCodeAt(0)),
  );
  await Deno.writeTextFile(folder.file("large.json"), '"' + "x".repeat(17 * 1024 * 1024) + '"');
  await new Deno.Command("mkfifo", { args: [folder.file("pipe")] }).output();
  const before = folder.names;

  const wrong: string[][] = [];
  for (const command of COMMANDS) {
    const operands = ("operands" in command ? command.operands : []) as readonly string[];
    const words = [command.name, ...operands.map(() => "w")];
    const flags: readonly string[] = command.flags;
    if (flags.includes("from")) words.push("--from", "s");
    if (flags.includes("db")) {
      const named = words.concat("--db");
      wrong.push(named, [...named, ""], [...named, folder.file("pipe")]);
      wrong.push([...named, "/dev/zero"], [...named, `${db}/b.db`]);
      wrong.push([...named, `file:${db}`], [...named, "postgres://u:secret@host/db"], [
        ...named,
        db,
        "--db",
        db,
      ]);
      wrong.push([...named, folder.file("x".repeat(300))]);
      words.push("--db", db);
    }
    wrong.push([...words, "--xyzzy"], [...words, "--__proto__=1"], [...words, "--help=1"], [
      ...words,
      "--no-db=x",
    ]);
    for (const { name, values } of MALFORMED(folder)) {
      if (!flags.includes(name)) {
        if (FLAGS.some((flag) => flag.name === name && "value" in flag)) {
          wrong.push([...words, `--${name}=1`]);
        }
        continue;
      }
      for (const value of values) wrong.push([...words, `--${name}=${value}`]);
    }
    if (operands.length > 0 && !("optional" in command)) wrong.push([command.name], [command.name, ""]);
    wrong.push([command.name, ...operands.map(() => "w"), "one", "more"]);
    if (flags.includes("json")) wrong.push([...words, "--json=maybe"]);
  }
  for (const args of wrong) {
    const { code, text } = await said(args);
    assertEquals({ args: args.join(" ").slice(0, 300), code }, {
      args: args.join(" ").slice(0, 300),
      code: 2,
    }, text);
    assertMatch(text, /^error: [^\n]{1,2000}\n(?:[^\n]{1,2000}\n)*Try "stepwell help"\n$/);
    assertEquals(text.includes("secret"), false);
  }
  assertEquals(folder.names.filter((name) => !/-(wal|shm)$/.test(name)), before);
});

/** Values of flags that no command may take. */
const MALFORMED = (folder: TemporaryFolder): { name: FlagName; values: string[] }[] => {
  const long = "x".repeat(10_000);
  const names = ["", long, "a\u0000b", "a\u001b[31m", "caf\ufffd"];
  const durations = [
    "",
    "x",
    "-1s",
    "1e9s",
    "NaN",
    "Infinity",
    "999999999999d",
    "9".repeat(400),
    "1 s",
    "1y",
    long,
  ];
  const counts = [
    "",
    "0",
    "-1",
    "1.5",
    "NaN",
    "Infinity",
    "1e3",
    "10000",
    "9".repeat(400),
    "0x10",
    "\uff11",
    long,
  ];
  const json = [
    "",
    "{",
    "undefined",
    '"caf\ufffd"',
    long,
    "@",
    "@missing.json",
    `@${folder.path}`,
    `@${folder.file("pipe")}`,
    "@/dev/zero",
    `@${folder.file("latin1.json")}`,
    `@${folder.file("large.json")}`,
    `@${long}`,
  ];
  const files = [
    "",
    "missing.js",
    folder.path,
    folder.file("pipe"),
    "/dev/zero",
    folder.file("latin1.json"),
    long,
  ];
  return [
    { name: "workflow-id", values: names },
    { name: "id", values: names },
    { name: "idempotency-key", values: names },
    { name: "queue", values: [...names] },
    { name: "partition", values: names },
    { name: "deduplication-key", values: names },
    { name: "workflow-version", values: names },
    { name: "pause", values: names },
    { name: "resume", values: names },
    { name: "trigger", values: [...names, "none"] },
    { name: "from", values: [""] },
    {
      name: "crash",
      values: ["", "a", "a:", ":after", "a:after#0", "a:after#-1", "a:after#1e3", "a:afterwards", long],
    },
    { name: "durability", values: ["", "FULL", "none"] },
    { name: "sqlite", values: ["", "wasm"] },
    { name: "status", values: ["", "done", long] },
    { name: "zombie-timeout", values: durations },
    { name: "grace", values: durations },
    { name: "delay", values: durations },
    { name: "priority", values: ["", "1.5", "NaN", "1001", "-1001", "99999", "1e2", long] },
    { name: "concurrency", values: counts },
    { name: "limit", values: counts },
    { name: "input", values: json },
    { name: "payload", values: json },
    { name: "module", values: files },
  ];
};

async function namesIn(folder: string): Promise<string[]> {
  return (await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name)).sort();
}
