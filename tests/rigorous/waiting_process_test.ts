import { assert, assertEquals, assertLess } from "@std/assert";
import { delay } from "@std/async";
import { Engine } from "@stepwell/stepwell";
import { type ChildProcess, startChild } from "../child_process.ts";
import { query } from "../raw_sqlite.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";

function worker(folder: TemporaryFolder, ...args: string[]): ChildProcess {
  return startChild(import.meta.resolve("./waiting_worker.ts"), folder.file("a.db"), ...args);
}

Deno.test("a process ends by itself when nothing waits any more, and not before", async () => {
  await using folder = temporaryFolder();
  await using idle = worker(folder, "nothing");
  assertEquals((await idle.ended()).code, 0);
  await using sleeper = worker(folder, "sleep", "1200");
  await sleeper.line("waiting");
  assertEquals((await sleeper.ended()).lines, ["before", "waiting", "after"]);
});

Deno.test("a process ends by itself once another has ended or paused what it waited for", async () => {
  for (const end of ["signal", "cancel", "pause"] as const) {
    await using folder = temporaryFolder();
    await using waiter = worker(folder, "signal");
    await waiter.line("waiting");
    await using engine = await Engine.open(folder.file("a.db"));
    if (end === "signal") await engine.signal("w", "s", "it");
    else await engine[end]("w");
    const { code, lines } = await waiter.ended();
    assertEquals({ end, code, lines }, {
      end,
      code: 0,
      lines: end === "signal" ? ["waiting", "after it"] : ["waiting"],
    });
    const status = { signal: "completed", cancel: "cancelled", pause: "blocked" }[end];
    assertEquals(await engine.handle("w").status(), status);
  }
});

Deno.test("a sleep whose time comes while its process is stopped ends once, when that goes on", async () => {
  await using folder = temporaryFolder();
  await using sleeper = worker(folder, "sleep", "1500");
  await sleeper.line("waiting");
  const [row] = query(folder.file("a.db"), "SELECT due_at FROM workflows");
  sleeper.kill("SIGSTOP");
  // The time is the machine's: there is nothing to move, and nothing to look for.
  await delay(Math.max(0, (row!.due_at as number) - Date.now() + 300));
  assertEquals(sleeper.lines, ["before", "waiting"]);
  sleeper.kill("SIGCONT");
  const { code, lines } = await sleeper.ended();
  assertEquals({ code, lines }, { code: 0, lines: ["before", "waiting", "after"] });
});

Deno.test("a process that only waits uses next to no processor time", async () => {
  await using folder = temporaryFolder();
  await using waiter = worker(folder, "idle");
  const share = Number(await waiter.line("share "));
  assert(share >= 0);
  assertLess(share, 0.05);
});
