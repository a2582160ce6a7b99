import { assertEquals, assertStringIncludes } from "@std/assert";
import { LiveRegion } from "../../cli/live_region.ts";
import type { Output } from "../../cli/output.ts";
import { Progress } from "../../cli/progress.ts";
import type { EngineEvent } from "../../mod.ts";
import { inFolder, run } from "./program.ts";

// deno-lint-ignore no-control-regex -- escapes are what is read here
const ESCAPES_AND_TEXT = /\x1b\[\??\d+[a-zA-Z]|\n|\r|[^\x1b\n\r]+/g;

/** A terminal of so many lines that does what the escapes that are used here say. */
class Screen implements Output {
  readonly isTerminal = true;
  readonly colour = false;
  #lines: string[] = [""];
  constructor(readonly height: number | undefined) {}

  rows(): number | undefined {
    return this.height;
  }

  write(text: string): void {
    for (const part of text.match(ESCAPES_AND_TEXT) ?? []) {
      const up = /\[(\d+)A$/.exec(part);
      if (up && part.startsWith("\x1b")) this.#row -= Number(up[1]);
      else if (part === "\x1b[0J") this.#lines.length = this.#row, this.#lines.push("");
      else if (part === "\n") this.#row++, this.#lines[this.#row] ??= "";
      else if (part !== "\r" && !part.startsWith("\x1b[?7")) this.#lines[this.#row] += part;
    }
  }

  #row = 0;

  get text(): string[] {
    return this.#lines.slice(0, -1);
  }
}

const BASE = { at: new Date(0), workflowId: "w", workflow: "w", runId: "r_1" };

Deno.test("LiveRegion keeps lines that stay above those that are drawn over", () => {
  const screen = new Screen(24);
  const region = new LiveRegion(screen);
  region.show(["a running", "b running"]);
  region.print("a done", ["b running"]);
  assertEquals(screen.text, ["a done", "b running"]);
  region.show(["b running still"]);
  assertEquals(screen.text, ["a done", "b running still"]);
  region.show([]);
  region.print("b done");
  assertEquals(screen.text, ["a done", "b done"]);
});

Deno.test("LiveRegion draws no more lines than the terminal has, and one where that is not known", () => {
  const many = Array.from({ length: 30 }, (_, i) => `step ${i}`);
  for (const [height, shown] of [[undefined, 1], [1, 1], [3, 2], [24, 8]] as const) {
    const screen = new Screen(height);
    new LiveRegion(screen).show(many);
    assertEquals(screen.text.length, shown);
    assertEquals(screen.text[0], "step 0");
    if (shown > 1) assertEquals(screen.text.at(-1), `  … and ${30 - (shown - 1)} more`);
  }
});

Deno.test("Progress on a terminal ends with one line a step", () => {
  const screen = new Screen(24);
  const progress = new Progress(screen);
  const events: EngineEvent[] = [
    { ...BASE, type: "started", recovered: false },
    { ...BASE, type: "replayed", key: "a#000001", status: "completed", attempt: 2, durationMs: 7 },
    { ...BASE, type: "stepStarted", key: "b#000001", attempt: 1 },
    { ...BASE, type: "stepStarted", key: "c#000001", attempt: 1 },
    { ...BASE, type: "stepCompleted", key: "c#000001", attempt: 1, durationMs: 12 },
    {
      ...BASE,
      type: "stepFailed",
      key: "b#000001",
      attempt: 1,
      durationMs: 1,
      error: new Error("no\nlonger"),
    },
  ];
  for (const event of events) progress.observe(event);
  progress.stop();

  assertEquals(screen.text, [
    '› started    "w"',
    "↺ replayed   a#000001                      attempt 2  7 ms",
    "✓ completed  c#000001                      attempt 1  12 ms",
    "✗ failed     b#000001                      attempt 1  1 ms  Error: no",
  ]);
});

Deno.test("Progress shows a workflow that waits and comes back, and what its children do, each thing once", () => {
  const screen = new Screen(24);
  const progress = new Progress(screen);
  const step = { attempt: 1, durationMs: 2 };
  const started: EngineEvent = { ...BASE, type: "started", recovered: false };
  const child = { ...BASE, workflowId: "child" };
  const events: EngineEvent[] = [
    started,
    { ...BASE, ...step, type: "stepCompleted", key: "a#000001" },
    { ...BASE, type: "waiting", until: new Date(Date.UTC(2030, 0, 2, 3, 4, 5)) },
    started,
    { ...BASE, ...step, type: "replayed", key: "a#000001", status: "completed" },
    { ...BASE, ...step, type: "replayed", key: "sleep#000001", status: "completed" },
    { ...child, type: "started", recovered: false },
    { ...child, ...step, type: "stepCompleted", key: "a#000001" },
    { ...BASE, type: "waiting" },
    started,
    { ...BASE, ...step, type: "replayed", key: "a#000001", status: "completed" },
    { ...BASE, ...step, type: "replayed", key: "sleep#000001", status: "completed" },
  ];
  for (const event of events) progress.observe(event);
  progress.stop();

  assertEquals(screen.text, [
    '› started    "w"',
    "✓ completed  a#000001                      attempt 1  2 ms",
    '… waiting    "w", until 2030-01-02 03:04:05Z',
    '› started    "w"',
    "↺ replayed   sleep#000001                  attempt 1  2 ms",
    '› started    "child"',
    "✓ completed  child  a#000001               attempt 1  2 ms",
    '… waiting    "w", until a message',
    '› started    "w"',
  ]);
});

/** `script` gives a process a terminal. Not every machine has it, and its flags differ. */
const hasScript = Deno.build.os === "linux" &&
  await new Deno.Command("script", { args: ["--version"], stdout: "null", stderr: "null" }).output()
    .then((output) => output.success, () => false);
if (!hasScript) {
  console.log('Skipped: the command line on a terminal, because there is no "script" that gives it one');
}

for (
  const [name, env, colour] of [["with colour", {}, true], [
    "without colour",
    { NO_COLOR: "1" },
    false,
  ]] as const
) {
  Deno.test(`run on a terminal draws ${name}`, { ignore: !hasScript }, () =>
    inFolder(async (cwd) => {
      const main = import.meta.resolve("../../main.ts");
      const line = `"${Deno.execPath()}" run -q --allow-read --allow-write "${main}"`;
      const program = ["script", "--quiet", "--return", "--command", line, "/dev/null"] as const;
      const { code, stdout } = await run([], { cwd, program, env: { ...env, TERM: "xterm" } });

      assertEquals(code, 0);
      assertStringIncludes(
        stdout,
        colour ? "\x1b[32m✓ completed\x1b[39m  create_record#000001" : "✓ completed  create_record",
      );
      assertEquals(stdout.includes("\x1b[32m"), colour);
    }));
}
