import { assertEquals } from "@std/assert";

Deno.test("the transfer example moves the money once, wherever its process is killed", async () => {
  const { stdout, stderr, code } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-write",
      "--allow-run",
      import.meta.resolve("../examples/transfer/demo.ts"),
    ],
    env: { NO_COLOR: "1" },
  }).output();
  const text = new TextDecoder();
  assertEquals(text.decode(stderr), "");
  assertEquals(text.decode(stdout).trimEnd().split("\n"), [
    "killed inside (SIGKILL): ada 100, grace 0, auditor told 0",
    "killed after (SIGKILL): ada 70, grace 30, auditor told 1",
    "killed nowhere (no signal): ada 70, grace 30, auditor told 1",
    "receipt: ada has sent grace 30 cents",
  ]);
  assertEquals(code, 0);
});
