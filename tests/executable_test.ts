import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Ledger } from "../examples/onboarding/mod.ts";
import config from "../deno.json" with { type: "json" };
import { inFolder, type Program, run, runJson, start } from "./cli/program.ts";
import { copyModule } from "./cli/samples.ts";

/** How long making the executable may take; a download of the base runtime is most of it. */
const COMPILE_TIMEOUT_MS = 120_000;

/**
 * The executable that these tests run: that of `STEPWELL_EXECUTABLE`, or one made by the `COMPILER`, by default the Deno
 * that runs the tests, on the base runtime that it finds itself or that `DENORT_BIN` names. Where these are named it
 * must be there; where they are not, and Deno cannot get a base runtime, the tests are skipped.
 */
const executable = await findExecutable();

async function findExecutable(): Promise<Program | undefined> {
  const given = Deno.env.get("STEPWELL_EXECUTABLE");
  if (given !== undefined) return [await Deno.realPath(given)];
  const folder = await Deno.makeTempDir({ prefix: "stepwell-executable-" });
  addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
  const path = `${folder}/stepwell${Deno.build.os === "windows" ? ".exe" : ""}`;
  const reason = await compile(path);
  if (reason === undefined) return [path];
  if (Deno.env.has("DENORT_BIN")) throw new Error(`Cannot make the executable: ${reason}`);
  console.log(`Skipped: the executable's tests, because none can be made here: ${reason}`);
}

/** Makes the executable with the permissions that the task `compile` gives it. @returns why it cannot be made */
async function compile(path: string): Promise<string | undefined> {
  const permissions = config.tasks.compile.command.match(/--allow-\S+/g) ?? [];
  const signal = AbortSignal.timeout(COMPILE_TIMEOUT_MS);
  const { success, stderr } = await new Deno.Command(Deno.env.get("COMPILER") ?? Deno.execPath(), {
    args: ["compile", "--quiet", "--no-check", "--no-lock", ...permissions, "--output", path, "main.ts"],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "null",
    signal,
  }).output();
  if (success) return undefined;
  if (signal.aborted) return `it took longer than ${COMPILE_TIMEOUT_MS} ms`;
  const [message] = new TextDecoder().decode(stderr).split("\n\nStack backtrace");
  return message!.replace(/\s+/g, " ").trim();
}

function executableTest(name: string, test: (cwd: string, program: Program) => Promise<void>): void {
  Deno.test(
    `the executable ${name}`,
    { ignore: executable === undefined },
    () => inFolder((cwd) => test(cwd, executable!)),
  );
}

executableTest("shows its help and its version", async (cwd, program) => {
  assertStringIncludes((await run(["help"], { cwd, program })).stdout, "--crash STEP:WHEN[#N]");
  assertMatch((await run(["version"], { cwd, program })).stdout, /^stepwell \d+\.\d+\.\d+ \(Deno /);
});

for (const moment of ["before", "during", "after"]) {
  executableTest(
    `crashes at provision_laptop:${moment} and resumes, with each effect once`,
    async (cwd, program) => {
      const flags = ["-workflow-id", "emp-onboard-001", "-crash", `provision_laptop:${moment}`];
      const crashed = await run(flags, { cwd, program });
      assertEquals({ code: crashed.code, signal: crashed.signal }, { code: 137, signal: "SIGKILL" });

      const { code, json } = await runJson(["resume", "emp-onboard-001"], { cwd, program });
      assertEquals(code, 0);
      assertEquals(json.output.laptop, "LT-0001");
      const entries = await new Ledger(`${cwd}/stepwell.db.onboarding/ledger.jsonl`).entries();
      assertEquals(entries.map((entry) => entry.kind).sort(), ["access", "laptop", "mail", "record"]);
    },
  );
}

executableTest("lists and shows what it has run", async (cwd, program) => {
  await run(["--workflow-id", "a"], { cwd, program });
  assertMatch((await run(["list"], { cwd, program })).stdout, /\na +onboarding +completed/);
  assertEquals((await runJson(["show", "a"], { cwd, program })).json.steps.length, 4);
});

executableTest(
  "loads JavaScript modules from disk, which import Stepwell by its package name",
  async (cwd, program) => {
    await copyModule("samples.js", cwd);
    await Deno.mkdir(`${cwd}/lib`);
    await Deno.writeTextFile(`${cwd}/lib/twice.js`, "export const twice = (n) => 2 * n;");
    await Deno.writeTextFile(
      `${cwd}/lib/double.mjs`,
      `import { step, workflow } from "@stepwell/stepwell";
     import { twice } from "./twice.js";
     export default workflow("double", (ctx, n) => step(ctx, "double", () => twice(n)));`,
    );
    const modules = ["--module", "samples.js", "--module", `${cwd}/lib/double.mjs`];
    assertEquals((await runJson(["run", "pages", ...modules], { cwd, program })).json.output, [1, 2, 3]);
    assertEquals(
      (await runJson(["run", "double", "--input", "21", ...modules], { cwd, program })).json.output,
      42,
    );
  },
);

executableTest("keeps values that JSON has no form for", async (cwd, program) => {
  await copyModule("samples.js", cwd);
  const args = ["run", "rich", "--module", "samples.js", "--workflow-id", "r"];
  const first = await runJson(args, { cwd, program });
  assertEquals(first.json.output.set, [1, 2]);
  assertEquals((await runJson(args, { cwd, program })).json.output, first.json.output);
});

executableTest("loads a TypeScript module, or says what to do with it", async (cwd, program) => {
  await copyModule("typed.ts", cwd);
  const { code, stdout, stderr } = await run(["run", "typed", "--module", "typed.ts"], { cwd, program });
  if (code === 0) return assertStringIncludes(stdout, "completed");
  assertEquals(code, 2);
  assertStringIncludes(stderr, "this executable runs JavaScript, and this is TypeScript");
  assertStringIncludes(stderr, "deno bundle --external @stepwell/stepwell --output typed.js typed.ts");
});

executableTest("ends with the same exit statuses as the source", async (cwd, program) => {
  await copyModule("samples.js", cwd);
  const gated = ["run", "gated", "--module", "samples.js", "--workflow-id", "g"];
  assertEquals((await run(["run", "broken", "--module", "samples.js"], { cwd, program })).code, 1);
  assertEquals((await run(["--crsh"], { cwd, program })).code, 2);

  const owner = start(gated, { cwd, program });
  await owner.says("running    gate#000001");
  assertEquals((await run(gated, { cwd, program })).code, 3);
  if (Deno.build.os === "windows") return owner.kill("SIGKILL");
  owner.kill("SIGINT");
  await owner.says("Stopping at the next checkpoint");
  await Deno.writeTextFile(`${cwd}/release`, "");
  assertEquals((await owner.ended()).code, 130);
  assertEquals((await run(gated, { cwd, program })).code, 0);
});
