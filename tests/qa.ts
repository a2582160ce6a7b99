/**
 * Runs every check of the project, and says of each whether it holds and how long it took.
 *
 * With `--rigorous` the stress tests run at full length, and a soak after them. The exit status is 1 if any check
 * fails; what a check that fails has printed is shown below its line.
 *
 * @module
 */

/** A command of Deno that succeeds if something holds. */
interface Check {
  readonly name: string;
  /** The arguments of `deno`. */
  readonly args: readonly string[];
  readonly env?: Record<string, string>;
}

/** What became of a check: a skipped one could not be done here. */
type Outcome = "ok" | "skipped" | "failed";

const CHECKS: readonly Check[] = [
  { name: "format", args: ["fmt", "--check"] },
  { name: "lint", args: ["lint"] },
  { name: "types", args: ["check"] },
  { name: "docs", args: ["doc", "--lint", "mod.ts", "schedule.ts", "testing/mod.ts"] },
  {
    name: "tests, and the examples in the docs",
    args: ["task", "test", "--ignore=tests/executable_test.ts"],
  },
  { name: "the same, always replaying", args: ["task", "test:replay", "--ignore=tests/executable_test.ts"] },
  { name: "demo", args: ["task", "demo"] },
  { name: "executable", args: ["task", "test", "tests/executable_test.ts"] },
];

const RIGOROUS: readonly Check[] = [
  { name: "stress tests", args: ["task", "test", "tests/rigorous"], env: { STEPWELL_RIGOROUS: "1" } },
  {
    name: "stress tests, always replaying",
    args: ["task", "test:replay", "tests/rigorous"],
    env: { STEPWELL_RIGOROUS: "1" },
  },
  { name: "soak", args: ["task", "soak", "--iterations", "10"] },
];

if (import.meta.main) {
  const unknown = Deno.args.filter((arg) => arg !== "--rigorous");
  if (unknown.length > 0) {
    console.error(`Unknown argument "${unknown[0]}": the only one is --rigorous`);
    Deno.exit(2);
  }
  Deno.exit(await runAll(Deno.args.includes("--rigorous") ? [...CHECKS, ...RIGOROUS] : CHECKS) ? 0 : 1);
}

/** Runs checks one after the other. @returns whether none failed */
async function runAll(checks: readonly Check[]): Promise<boolean> {
  const start = performance.now();
  const count: Record<Outcome, number> = { ok: 0, skipped: 0, failed: 0 };
  for (const check of checks) {
    write(`${check.name} ... `);
    const { outcome, output, durationMs } = await run(check);
    count[outcome]++;
    write(`${outcome} (${seconds(durationMs)})\n`);
    const shown = outcome === "skipped" ? output.match(/^Skipped.*/gm)?.join("\n") ?? output : output;
    if (outcome !== "ok") write(shown.trimEnd().replaceAll(/^/gm, "    ") + "\n");
  }
  const summary = `${count.ok} checks ok, ${count.failed} failed, ${count.skipped} skipped`;
  write(`\n${summary} (${seconds(performance.now() - start)})\n`);
  return count.failed === 0;
}

async function run(
  { args, env = {} }: Check,
): Promise<{ outcome: Outcome; output: string; durationMs: number }> {
  const start = performance.now();
  const command = new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { ...env, NO_COLOR: "1" },
    stdin: "null",
  });
  const { success, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  const output = decoder.decode(stdout) + decoder.decode(stderr);
  const outcome = success ? testedNothing(output) ? "skipped" : "ok" : "failed";
  return { outcome, output, durationMs: performance.now() - start };
}

/** Whether this is the closing line of tests that were all skipped. */
function testedNothing(output: string): boolean {
  return /^ok \| 0 passed .*\b[1-9]\d* ignored/m.test(output);
}

function write(text: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(text));
}

function seconds(durationMs: number): string {
  return `${(durationMs / 1000).toFixed(1)} s`;
}
