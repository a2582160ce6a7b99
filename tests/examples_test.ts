import { assertEquals } from "@std/assert";
import { temporaryFolder } from "./temporary_folder.ts";

/** What each example prints: the first time, and again on the same file. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  "sleep_and_retry.ts": [
    "attempt 1: No answer (call 1)",
    "attempt 2: No answer (call 2)",
    '{ report: "It is raining in Bergen (attempt 3)", waited: true }',
  ],
  "approval.ts": [
    "Please decide on 120 euros",
    "paid 120 euros as expense-7/pay#000001",
  ],
  "order_saga.ts": [
    "NonRetryableError: A1 was damaged in the warehouse",
    "reserved A1",
    "charged tok",
    "refunded order-17/charge#000001",
    "released R-A1",
  ],
  "fan_out.ts": [
    '{ done: 99, refused: [ "TypeError: notes.txt is no picture" ] }',
    "last.png at 100 px",
  ],
  "agent.ts": [
    'calls stock { input: "lamp" }',
    'calls price { input: "lamp" }',
    "We have 4 lamps at 29 euros each",
  ],
};

for (const [name, lines] of Object.entries(EXAMPLES)) {
  Deno.test(`examples/${name} prints what it says, in memory and on a file`, async () => {
    await using folder = temporaryFolder();
    assertEquals(await run(name), lines);
    assertEquals(await run(name, folder.file("example.db")), lines);
  });
}

/** Runs an example with the permissions that it says it needs. */
async function run(name: string, ...args: string[]): Promise<string[]> {
  const example = new URL(`../examples/${name}`, import.meta.url).href;
  const { stdout, stderr, success } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--allow-read", "--allow-write", example, ...args],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assertEquals({ success, stderr: text.decode(stderr) }, { success: true, stderr: "" });
  return text.decode(stdout).trimEnd().split("\n");
}
