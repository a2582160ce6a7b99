import { assertEquals } from "@std/assert";
import { startSmallChild } from "../child_process.ts";
import { RIGOROUS } from "../effort.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What there is of a workflow of so many large results: those, an entry of a stream to ten of them, and two more steps. */
const stepsOf = (results: number) => results + Math.ceil(results / 10) + 2;

async function lifeInMemory(
  megabytes: number,
  { steps, bytes }: { steps: number; bytes: number },
): Promise<void> {
  await using folder = temporaryFolder();
  const worker = import.meta.resolve("./large_history_worker.ts");
  const lives = [["make"], ["check", "get", "steps", "replay", "get", "list"], ["fork", "retry", "list"]];
  const lines: string[] = [];
  for (const life of lives) {
    await using child = startSmallChild(
      megabytes,
      worker,
      folder.file("a.db"),
      `${steps}`,
      `${bytes}`,
      ...life,
    );
    const ended = await child.ended();
    assertEquals([life, ended.code, ended.stderr], [life, 0, ""]);
    lines.push(...ended.lines);
  }
  const all = stepsOf(steps);
  assertEquals(lines, [
    "make null",
    'check ["replays"]',
    `get ${all - 1}`,
    `steps ${all - 1}`,
    'replay "once"',
    `get ${all}`,
    'list ["failed"]',
    `fork ${Math.ceil(steps / 10)}`,
    `retry ${steps * bytes}`,
    'list ["failed","completed"]',
  ]);
}

Deno.test("a history that is larger than the memory is replayed, checked, shown, forked and retried", async () => {
  await lifeInMemory(32, { steps: 40, bytes: 1_000_000 });
});

Deno.test("a history of many results of a middling size does not fill the memory", async () => {
  await lifeInMemory(96, { steps: 520, bytes: 250_000 });
});

Deno.test({
  name: "a history of 500 results of 10 MB is replayed in 256 MB",
  ignore: !RIGOROUS,
  fn: () => lifeInMemory(256, { steps: 500, bytes: 10_000_000 }),
});
