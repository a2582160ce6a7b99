import { type Context, Engine, NonDeterminismError, type Workflow, workflow } from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { Crash } from "../crash.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Runs steps of these ids one after the other; the last of them is where the first process is lost. */
function sequence(crash: Crash, ids: readonly string[], calls: string[] = []): Workflow {
  return workflow("sequence", async (ctx) => {
    for (const id of ids) {
      await ctx.step(id, async () => {
        calls.push(id);
        if (id === "wait") await crash.here();
        return id;
      });
    }
    return ids;
  });
}

/** Runs `before` until its process is lost, and then `after`, whose clock goes on as long as it waits. */
async function change(
  file: string,
  before: readonly string[],
  after: readonly string[],
  calls: string[] = [],
) {
  const crash = new Crash();
  await crash.happens(file, sequence(crash, before), { id: "s" });
  const clock = new ManualClock(Date.now());
  await using engine = await Engine.open(file, { clock });
  const result = engine.run(sequence(crash, after, calls), { id: "s" });
  let ended = false;
  const end = () => void (ended = true);
  result.then(end, end);
  while (!ended) {
    clock.advance(100);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return await result;
}

Deno.test("a step that the new code does not have any more blocks the workflow before any other step runs", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const calls: string[] = [];
  const error = await assertRejects(
    () => change(file, ["a", "b", "wait"], ["a", "wait"], calls),
    NonDeterminismError,
    'Cannot replay workflow "s": its history has "b#000001" as completion 2, and its code does not ask for it',
  );
  assertEquals(calls, []);
  assertEquals(error.stored, ["1. step a#000001", "2. step b#000001"]);
  assertEquals(error.asked.map(lastWord), ["a#000001", "wait#000001"]);
  assertMatch(
    error.message,
    /\n +stored +asked for\n +1\. step a#000001 +.*a#000001\n +2\. step b#000001 +.*wait#000001$/,
  );
  assertEquals(query(file, "SELECT status FROM workflows"), [{ status: "blocked" }]);
});

Deno.test("a step that was renamed blocks the workflow before it runs", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  const changed = change(folder.file("a.db"), ["a", "b", "wait"], ["a", "renamed", "wait"], calls);
  await assertRejects(() => changed, NonDeterminismError, '"b#000001"');
  assertEquals(calls, []);
});

Deno.test("a step that was added in the middle blocks the workflow before it runs", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  const changed = change(folder.file("a.db"), ["a", "b", "wait"], ["a", "new", "b", "wait"], calls);
  await assertRejects(() => changed, NonDeterminismError, '"b#000001"');
  assertEquals(calls, []);
});

Deno.test("a workflow that ends with stored completions unasked for is blocked", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const changed = change(file, ["a", "b", "c", "wait"], ["a"]);
  const error = await assertRejects(() => changed, NonDeterminismError, '"b#000001" as completion 2');
  assertEquals(error.asked.map(lastWord), ["a#000001"]);
  assertEquals(error.stored, ["1. step a#000001", "2. step b#000001", "3. step c#000001"]);
  assertEquals(query(file, "SELECT status, output_json FROM workflows"), [{
    status: "blocked",
    output_json: null,
  }]);
});

Deno.test("a workflow that fails with stored completions unasked for is blocked, not failed", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  await crash.happens(file, sequence(crash, ["a", "wait"]), { id: "s" });
  await using engine = await Engine.open(file);
  const broken = workflow("sequence", () => {
    throw new TypeError("undefined is not a function");
  });
  await assertRejects(() => engine.run(broken, { id: "s" }), NonDeterminismError, '"a#000001"');
  assertEquals(await engine.handle("s").status(), "blocked");
});

Deno.test("steps that were added after the last stored one simply run", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  const ids = ["a", "new", "wait", "newer"];
  assertEquals(await change(folder.file("a.db"), ["a", "wait"], ids, calls), ids);
  assertEquals(calls, ["new", "wait", "newer"]);
});

Deno.test("steps in another order get the results that were stored for them", async () => {
  await using folder = temporaryFolder();
  const calls: string[] = [];
  assertEquals(await change(folder.file("a.db"), ["a", "b", "wait"], ["b", "a", "wait"], calls), [
    "b",
    "a",
    "wait",
  ]);
  assertEquals(calls, ["wait"]);
});

Deno.test("a branch that is not there any more blocks the workflow", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const calls: string[] = [];
  const branches = (ids: readonly string[]) =>
    workflow("branches", async (ctx) => {
      await ctx.all(ids.map((id) => (ctx: Context) => ctx.step(id, () => void calls.push(id))));
      await ctx.step("wait", () => crash.here());
    });
  await crash.happens(file, branches(["a", "b"]), { id: "b" });
  const clock = new ManualClock(Date.now());
  await using engine = await Engine.open(file, { clock });
  const handle = await engine.start(branches(["a"]), { id: "b" });
  clock.advance(await clock.nextTimer());
  await assertRejects(() => handle.result(), NonDeterminismError, '"b#000001"');
  assertEquals(calls, ["a", "b"]);
});

Deno.test("a workflow that waits for something of its own in a replay is waited for", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const slow = workflow("slow", async (ctx) => {
    const a = await ctx.step("a", () => "a");
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
    const b = await ctx.step("b", () => "b");
    await ctx.step("wait", () => crash.here());
    return a + b;
  });
  await crash.happens(file, slow, { id: "s" });
  const clock = new ManualClock(Date.now());
  await using engine = await Engine.open(file, { clock });
  assertEquals(await engine.run(slow, { id: "s" }), "ab");
});

Deno.test("NonDeterminismError is stored, and lifted by resume() once the code is as it was", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const crash = new Crash();
  const before = sequence(crash, ["a", "wait"]);
  await crash.happens(file, before, { id: "s" });
  {
    await using engine = await Engine.open(file);
    await assertRejects(() => engine.run(sequence(crash, []), { id: "s" }), NonDeterminismError);
    const again = await assertRejects(
      () => engine.run(sequence(crash, []), { id: "s" }),
      NonDeterminismError,
    );
    assertEquals(again.stored, ["1. step a#000001"]);
    assert((await engine.get("s"))!.error!.message.startsWith('Cannot replay workflow "s"'));
  }
  await using engine = await Engine.open(file, { workflows: [before] });
  assertEquals(await (await engine.resume("s")).result(), ["a", "wait"]);
});

function lastWord(text: string): string {
  return text.split(" ").at(-1)!;
}
