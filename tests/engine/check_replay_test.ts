import {
  checkReplay,
  type Context,
  CorruptCheckpointError,
  Engine,
  NonDeterminismError,
  type ReplayCheck,
  StoreOpenError,
  UnknownVersionError,
  UnknownWorkflowError,
  type Workflow,
  workflow,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { Crash } from "../crash.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { openMortal } from "../mortal_database.ts";
import { execute, query } from "../raw_sqlite.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";

const calls: string[] = [];

/** Asks for steps of these ids, and then waits for a signal. */
function sequence(name: string, ids: readonly string[], version?: string): Workflow {
  const run = async (ctx: Context) => {
    for (const id of ids) await ctx.step(id, () => void calls.push(id));
    await ctx.waitForSignal("go");
  };
  return version === undefined ? workflow(name, run) : workflow(name, { version }, run);
}

/** Starts workflows, and leaves them when they wait. */
async function prepare(file: string, workflows: Record<string, Workflow>): Promise<void> {
  await using engine = await Engine.open(file, { alwaysReplay: true });
  for (const [id, definition] of Object.entries(workflows)) {
    const handle = await engine.start(definition, { id });
    await eventually(async () => await handle.status() === "waiting");
  }
}

async function check(file: string, ...workflows: Workflow[]): Promise<ReplayCheck[]> {
  return await Array.fromAsync(checkReplay(file, { workflows }));
}

function verdicts(checks: readonly ReplayCheck[]): Record<string, string> {
  return Object.fromEntries(checks.map(({ id, verdict }) => [id, verdict]));
}

/** What is in the files of a folder, but for what SQLite keeps in memory that processes share. */
function contents(folder: TemporaryFolder): unknown {
  return folder.names.filter((name) => !name.endsWith("-shm"))
    .map((name) => [name, Deno.readFileSync(folder.file(name))])
    .filter(([name, bytes]) => !(String(name).endsWith("-wal") && bytes!.length === 0));
}

Deno.test("checkReplay() finds that code can go on, and runs no step", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one", "two"]) });
  calls.length = 0;
  const [found, ...others] = await check(file, sequence("w", ["one", "two"]));
  assertEquals(others, []);
  assertEquals(found, { id: "a", workflow: "w", status: "waiting", verdict: "replays", replayed: 2 });
  assertEquals(calls, []);
});

Deno.test("checkReplay() takes a replay that gets to the end of its history for fine, whatever comes then", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one"]), b: sequence("ends", ["one"]), c: sequence("throws", []) });
  const ends = workflow("ends", (ctx) => ctx.step("one", () => 1));
  const throws = workflow("throws", () => {
    throw new Error("Not before there is a history");
  });
  const checks = await check(file, sequence("w", ["one", "new", "newer"]), ends, throws);
  assertEquals(verdicts(checks), { a: "replays", b: "replays", c: "replays" });
  assertEquals(calls.includes("new"), false);
});

Deno.test("checkReplay() finds code that diverges, with both histories", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one", "two"]) });
  const [found] = await check(file, sequence("w", ["one", "other"]));
  assertEquals(found!.verdict, "diverges");
  const error = found!.error;
  assert(error instanceof NonDeterminismError);
  assertEquals(error.stored, ["1. step one#000001", "2. step two#000001"]);
  assertEquals(error.asked, ["one#000001", "other#000001"]);
  assertMatch(error.message, /stored +asked for/);
});

Deno.test("checkReplay() finds code that ends or fails too early, or asks for another kind", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, {
    ends: sequence("ends", ["one", "two"]),
    fails: sequence("fails", ["one"]),
    kind: sequence("kind", ["sleep"]),
  });
  const checks = await check(
    file,
    workflow("ends", (ctx) => ctx.step("one", () => 1)),
    workflow("fails", () => {
      throw new TypeError("undefined is not a function");
    }),
    workflow("kind", (ctx) => ctx.sleep(1)),
  );
  assertEquals(verdicts(checks), { ends: "diverges", fails: "diverges", kind: "diverges" });
});

Deno.test("checkReplay() looks at workflows of every status that is no end", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { waiting: sequence("w", ["one"]), blocked: sequence("w", ["one"]) });
  {
    await using engine = await Engine.open(file);
    await engine.handle("blocked").pause();
    await engine.run(workflow("done", () => 1), { id: "done" });
    await assertRejects(() =>
      engine.run(workflow("bad", () => Promise.reject(new Error("No"))), { id: "bad" })
    );
  }
  const crash = new Crash();
  const running = workflow("w", async (ctx) => {
    await ctx.step("one", () => 1);
    await ctx.step("two", () => crash.here());
  });
  await crash.happens(file, running, { id: "running" });
  const closed = await Engine.open(file, { closeGrace: 0 });
  await closed.start(workflow("w", (ctx) => ctx.step("two", () => new Promise(() => {}))), { id: "pending" });
  await closed.close();
  const statuses = (checks: ReplayCheck[]) => checks.map(({ id, status }) => [id, status]);
  const checks = await check(file, sequence("w", ["one"]));
  assertEquals(statuses(checks), ["pending", "running", "blocked", "waiting"].map((each) => [each, each]));
  assertEquals(checks.every(({ verdict }) => verdict === "replays"), true);
});

Deno.test("checkReplay() reports workflows whose name or version is not there", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, {
    name: sequence("other", ["one"]),
    version: sequence("w", ["one"], "1"),
    known: sequence("w", ["one"], "2"),
  });
  const checks = await check(file, sequence("w", ["one"], "2"));
  assertEquals(verdicts(checks), { name: "unknown", version: "unknown", known: "replays" });
  const errors = Object.fromEntries(checks.map(({ id, error }) => [id, error]));
  assert(errors["name"] instanceof UnknownWorkflowError);
  assert(errors["version"] instanceof UnknownVersionError);
  assertEquals(checks.map(({ version }) => version), ["2", "1", undefined]);
});

Deno.test("checkReplay() replays each workflow with its own version", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const [one, two] = [sequence("w", ["one"], "1"), sequence("w", ["two"], "2")];
  await prepare(file, { a: one, b: two });
  assertEquals(verdicts(await check(file, one, two)), { a: "replays", b: "replays" });
  assertEquals(verdicts(await check(file, sequence("w", ["two"], "1"), two)), {
    a: "diverges",
    b: "replays",
  });
});

Deno.test("checkReplay() takes patched() as an engine would, and stores no marker", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one"]), b: sequence("w", ["one", "two"]) });
  const answers: Record<string, boolean> = {};
  const patched = workflow("w", async (ctx) => {
    await ctx.step("one", () => 1);
    const isNew = answers[ctx.workflowId] = ctx.patched("change");
    await ctx.step(isNew ? "new" : "two", () => 2);
    await ctx.waitForSignal("go");
  });
  const before = contents(folder);
  assertEquals(verdicts(await check(file, patched)), { a: "replays", b: "replays" });
  // "a" has the row of a wait that the new path does not ask for.
  assertEquals(answers, { a: false, b: false });
  assertEquals(contents(folder), before);
});

Deno.test("checkReplay() finds what is not as it was written, and goes on with the others", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = sequence("w", ["one"]);
  await prepare(file, { input: definition, checkpoint: definition, fine: definition });
  execute(file, "UPDATE inputs SET seed = seed + 1 WHERE workflow = 1");
  execute(file, "UPDATE checkpoints SET output_json = '7' WHERE workflow = 2 AND step_key = 'one#000001'");
  const checks = await check(file, definition);
  assertEquals(verdicts(checks), { input: "unreadable", checkpoint: "unreadable", fine: "replays" });
  assert(checks.every(({ error }) => error === undefined || error instanceof CorruptCheckpointError));
});

Deno.test("checkReplay() writes nothing and takes nothing from who has the file open", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one"]), b: sequence("w", ["one"]) });
  const closed = contents(folder);
  await check(file, sequence("w", ["other"]));
  assertEquals(contents(folder), closed);

  await using engine = await Engine.open(file);
  const gate = Promise.withResolvers<void>();
  const ended = engine.run(workflow("live", (ctx) => ctx.step("gate", () => gate.promise)), { id: "live" });
  await eventually(() => query(file, "SELECT 1 FROM steps WHERE step_key = 'gate#000001'").length === 1);
  const open = contents(folder);
  assertEquals(verdicts(await check(file, sequence("w", ["other"]))), {
    live: "unknown",
    a: "diverges",
    b: "diverges",
  });
  assertEquals(contents(folder), open);
  gate.resolve();
  await ended;
});

Deno.test("checkReplay() reads the store as it was when it began", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = sequence("w", ["one"]);
  await prepare(file, { a: definition, b: definition, c: definition });
  const checking = checkReplay(file, { workflows: [definition], concurrency: 1 });
  assertEquals((await checking.next()).value.id, "c");
  {
    await using engine = await Engine.open(file, { workflows: [definition] });
    await engine.signal("b", "go");
    await (await engine.resume("b")).result();
  }
  assertEquals(verdicts(await Array.fromAsync(checking)), { a: "replays", b: "replays" });
});

Deno.test("checkReplay() reads what a process that is gone has left in the write-ahead log", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const { engine, kill } = await openMortal(file);
  const handle = await engine.start(sequence("w", ["one"]), { id: "a" });
  await eventually(() => query(file, "SELECT 1 FROM steps WHERE completion = 1").length === 1);
  // It waits for a signal then, and may have been let go.
  assert(["running", "waiting"].includes(await handle.status()));
  await kill();
  assertEquals(verdicts(await check(file, sequence("w", ["other"]))), { a: "diverges" });
});

Deno.test("checkReplay() replays many workflows, so many at a time", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const counted = (name: string, onBegin: () => () => void) =>
    workflow(name, async (ctx) => {
      const end = onBegin();
      for (let i = 0; i < 3; i++) await ctx.step("step", () => i);
      end();
      await ctx.waitForSignal("go");
    });
  const ids = Array.from({ length: 30 }, (_, i) => `w${i}`);
  await prepare(file, Object.fromEntries(ids.map((id) => [id, counted("w", () => () => {})])));
  let [open, most] = [0, 0];
  const definition = counted("w", () => {
    most = Math.max(most, ++open);
    return () => void open--;
  });
  const checks = await Array.fromAsync(checkReplay(file, { workflows: [definition], concurrency: 4 }));
  assertEquals(checks.map(({ id }) => id), ids.toReversed());
  assertEquals([most > 1, most <= 4], [true, true]);
});

Deno.test("checkReplay() gives up code that asks for nothing", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await prepare(file, { a: sequence("w", ["one"]) });
  const clock = new ManualClock();
  const never = workflow("w", () => new Promise(() => {}));
  const checking = Array.fromAsync(checkReplay(file, { workflows: [never], timeout: "5s", clock }));
  await clock.nextTimer();
  clock.advance(10_000);
  const [found] = await checking;
  assertEquals([found!.verdict, found!.replayed], ["stuck", 0]);
});

Deno.test("checkReplay() may be left before its end", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const definition = sequence("w", ["one"]);
  await prepare(file, { a: definition, b: definition, c: definition });
  const seen: string[] = [];
  for await (const { id } of checkReplay(file, { workflows: [definition], concurrency: 2 })) {
    seen.push(id);
    break;
  }
  assertEquals(seen, ["c"]);
  // The file is closed: another copy of SQLite could be used on it now.
  await (await Engine.open(file)).close();
});

Deno.test("checkReplay() refuses what is no store, and options that are none", async () => {
  await using folder = temporaryFolder();
  const workflows: Workflow[] = [];
  const first = (location: string) => checkReplay(location, { workflows }).next();
  await assertRejects(() => first(folder.file("none.db")), StoreOpenError, "found none");
  assertEquals(folder.names, []);
  await assertRejects(() => first(":memory:"), TypeError);
  await Deno.writeTextFile(
    folder.file("text.db"),
    "No database at all, but long enough to be taken for one".repeat(9),
  );
  await assertRejects(() => first(folder.file("text.db")), StoreOpenError);
  execute(folder.file("old.db"), "PRAGMA user_version = 1; PRAGMA application_id = 0x53747057");
  await assertRejects(() => first(folder.file("old.db")), StoreOpenError, "found version 1");
  assertThrows(() => checkReplay("a.db", { workflows, concurrency: 0 }), RangeError, "concurrency");
  assertThrows(() => checkReplay("a.db", { workflows: [1 as unknown as Workflow] }), TypeError, "workflows");
});
