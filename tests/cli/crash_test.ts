import { assertEquals, assertStringIncludes } from "@std/assert";
import { inFolder, run, runJson } from "./program.ts";
import { copyModule } from "./samples.ts";

const samples = ["--module", "samples.js"];

/** The crash points of the second of three calls of a step, and which calls are replayed afterwards. */
const POINTS = [
  { when: "before", replayed: [true, false, false] },
  { when: "during", replayed: [true, false, false] },
  { when: "after", replayed: [true, true, false] },
];

for (const { when, replayed } of POINTS) {
  Deno.test(`--crash page:${when}#2 kills the process at the second call, and the rest is run on resume`, () =>
    inFolder(async (cwd) => {
      await copyModule("samples.js", cwd);
      const args = ["run", "pages", ...samples, "--workflow-id", "p"];
      const crashed = await run([...args, "--crash", `page:${when}#2`], { cwd });
      assertEquals({ code: crashed.code, signal: crashed.signal }, { code: 137, signal: "SIGKILL" });

      const { code, json } = await runJson(["resume", "p", ...samples], { cwd });
      assertEquals(code, 0);
      assertEquals(json.output, [1, 2, 3]);
      assertEquals(json.steps.map((step) => step.replayed), replayed);
    }));
}

Deno.test("--crash at a step that has failed for good is after its error is committed", () =>
  inFolder(async (cwd) => {
    await copyModule("samples.js", cwd);
    const crashed = await run(["run", "broken", ...samples, "--workflow-id", "b", "--crash", "bad:after"], {
      cwd,
    });
    assertEquals(crashed.code, 137);

    const { code, json } = await runJson(["resume", "b", ...samples], { cwd });
    assertEquals(code, 1);
    assertEquals(json.steps[1]!.status, "failed");
    assertEquals(json.steps[1]!.replayed, true);
  }));

Deno.test("--crash works in resume too", () =>
  inFolder(async (cwd) => {
    await run(["--workflow-id", "a", "--crash", "create_record:during"], { cwd });
    assertEquals((await run(["resume", "a", "--crash", "send_welcome_email:before"], { cwd })).code, 137);
    assertEquals((await run(["resume", "a"], { cwd })).code, 0);
  }));

Deno.test("--crash at a point that is never reached is said at the end, and changes nothing else", () =>
  inFolder(async (cwd) => {
    const missed = await run(["--workflow-id", "a", "--crash", "create_recrd:after"], { cwd });
    assertEquals(missed.code, 0);
    assertStringIncludes(missed.stderr, 'Crash point "create_recrd:after" was never reached');

    await run(["--workflow-id", "b", "--crash", "create_record:after"], { cwd });
    const replayed = await run(["resume", "b", "--crash", "create_record:before"], { cwd });
    assertEquals(replayed.code, 0);
    assertStringIncludes(
      replayed.stderr,
      'Crash point "create_record:before" was never reached: step "create_record#000001" was replayed',
    );
  }));

Deno.test("--crash without the right to kill is refused before anything runs, and names the permission", () =>
  inFolder(async (cwd) => {
    const program = [Deno.execPath(), "run", "--no-prompt", "--allow-read", "--allow-write", MAIN] as const;
    const { code, stderr } = await run(["--crash", "create_record:after"], { cwd, program });
    if (code === 137) return; // this Deno lets a process kill itself
    assertEquals(code, 2);
    assertStringIncludes(stderr, "--allow-run=kill");
    assertEquals(await Array.fromAsync(Deno.readDir(cwd)), []);
  }));

const MAIN = import.meta.resolve("../../main.ts");
