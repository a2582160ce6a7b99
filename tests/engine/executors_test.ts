import { Engine, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";

Deno.test("executors() shows who works, what each runs, and who is gone", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const crash = new Crash();
  await crash.happens(file, workflow("lost", (ctx) => ctx.step("at", () => crash.here())), { id: "lost" });
  const gate = Promise.withResolvers<void>();
  const gated = workflow("gated", (ctx) => ctx.step("gate", () => gate.promise));

  await using engine = await Engine.open(file, { clock, workflows: [gated], zombieTimeout: "30s" });
  const executors = async () => (await engine.executors()).filter(({ state }) => state !== "gone");
  const gone = (await engine.executors()).filter(({ state }) => state === "gone");
  assertEquals(gone.map(({ running, isSelf }) => [running, isSelf]), [[1, false]]);
  assertEquals(await executors(), []);

  await engine.start(gated, { id: "g" });
  const [self] = await executors();
  assertMatch(self!.id, /^e_[0-9a-f]{12}$/);
  // The name of the machine is there where the process may know it.
  const { host: _, ...rest } = self!;
  assertEquals({ ...rest, id: "" }, {
    id: "",
    pid: Deno.pid,
    startedAt: new Date(clock.now()),
    state: "alive",
    leaseUntil: new Date(clock.now() + 30_000),
    running: 1,
    workflows: [{ name: "gated" }],
    isWorking: false,
    isSelf: true,
  });

  // One that works is there before it has anything to run.
  const worker = await Engine.open(file, { clock, workflows: [] });
  worker.work();
  await eventually(async () => (await executors()).length === 2);
  const other = (await executors()).find(({ isSelf }) => !isSelf)!;
  assert(other.id !== self!.id);
  assertEquals(other.running, 0);
  await worker.close();
  assertEquals((await executors()).length, 1);
  gate.resolve();
  await engine.handle("g").result();
  assertEquals((await executors())[0]!.running, 0);
});
