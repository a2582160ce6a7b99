import { assert, assertEquals, assertLess, assertRejects, assertStringIncludes } from "@std/assert";
import { Engine, WorkflowBusyError } from "@stepwell/stepwell";
import { type ChildProcess, startChild } from "../child_process.ts";
import { eventually } from "../eventually.ts";
import { query } from "../raw_sqlite.ts";
import { ShiftedClock } from "../shifted_clock.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { heldWorkflow } from "./held_workflow.ts";

const WORKER = import.meta.resolve("./held_worker.ts");
const ID = "held-1";
const MINUTE_MS = 60_000;
const OUTPUT = ["first", "second by the test", "third"];

/** Windows knows no way to pause a process. */
const ignore = Deno.build.os === "windows";
if (ignore) console.log("tests of paused processes are skipped: there are no signals SIGSTOP and SIGCONT");

Deno.test({
  name: "a process that is paused keeps its workflow until its lease ends",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = folder.file("held.db");
    await using worker = await startWorker(file, "1h");
    worker.kill("SIGSTOP");

    const clock = new ShiftedClock();
    await using engine = await Engine.open(file, { clock });
    const until = await busyUntil(engine);
    assertEquals(until, leaseOf(file));
    assert(until > clock.now() + 50 * MINUTE_MS);

    clock.shiftMs = until - MINUTE_MS - Date.now();
    assertEquals(await busyUntil(engine), until);

    clock.shiftMs += MINUTE_MS;
    assertEquals(await engine.run(byTheTest(), { id: ID }), OUTPUT);
  },
});

Deno.test({
  name: "a process that is paused past its lease and wakes up when its workflow has ended changes nothing",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = folder.file("held.db");
    await using worker = await startWorker(file, "1h");
    worker.kill("SIGSTOP");
    await using engine = await Engine.open(file, { clock: afterLease(file) });
    await engine.run(byTheTest(), { id: ID });

    const rows = rowsOf(file);
    await wakeUp(worker);
    assertEquals(rowsOf(file), rows);
    assertEquals(await engine.run(byTheTest(), { id: ID }), OUTPUT);
  },
});

Deno.test({
  name:
    "a process that is paused past its lease and wakes up while another runs its workflow changes nothing",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = folder.file("held.db");
    await using worker = await startWorker(file, "1h");
    worker.kill("SIGSTOP");
    await using engine = await Engine.open(file, { clock: afterLease(file) });
    const inSecond = Promise.withResolvers<void>();
    const end = Promise.withResolvers<string>();
    const workflow = heldWorkflow({ hold: () => (inSecond.resolve(), end.promise) });
    const output = engine.run(workflow, { id: ID });
    await inSecond.promise;

    const rows = rowsOf(file);
    await wakeUp(worker);
    assertEquals(rowsOf(file), rows);
    end.resolve("second by the test");
    assertEquals(await output, OUTPUT);
  },
});

Deno.test({
  name: "a process that lost its lease while it was paused is told so in the middle of a step",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = folder.file("held.db");
    await using worker = await startWorker(file, "600ms");
    worker.kill("SIGSTOP");
    await using engine = await Engine.open(file, { clock: afterLease(file) });
    await engine.run(byTheTest(), { id: ID });

    worker.kill("SIGCONT");
    assertStringIncludes(await worker.line("signal aborted: "), "LeaseLostError");
    assertStringIncludes(await worker.line("run refused: "), "LeaseLostError");
    assertStringIncludes(await worker.line("step refused: "), "LeaseLostError");
  },
});

Deno.test({
  name: "a process that is paused past its lease goes on if nobody has taken its workflow over",
  ignore,
  fn: async () => {
    await using folder = temporaryFolder();
    const file = folder.file("held.db");
    await using worker = await startWorker(file, "50ms");
    worker.kill("SIGSTOP");
    await eventually(() => Date.now() > leaseOf(file));

    worker.kill("SIGCONT");
    await worker.say("go on");
    assertEquals(JSON.parse(await worker.line("output: ")), ["first", "second by the worker", "third"]);
  },
});

Deno.test("a workflow whose process was killed is taken over at once, however long its lease", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("held.db");
  await using worker = await startWorker(file, "1h");
  worker.kill("SIGKILL");
  await worker.ended();

  await using engine = await Engine.open(file);
  const start = Date.now();
  assertEquals(await engine.run(byTheTest(), { id: ID }), OUTPUT);
  assertLess(Date.now() - start, 5_000);
});

Deno.test("a workflow in a copy of a database waits for the lease, since nobody can tell whether its process lives", async () => {
  await using folder = temporaryFolder();
  await using worker = await startWorker(folder.file("held.db"), "1h");
  worker.kill("SIGKILL");
  await worker.ended();
  const file = folder.file("copy.db");
  for (const end of ["", "-wal"]) await Deno.copyFile(folder.file(`held.db${end}`), `${file}${end}`);

  const clock = new ShiftedClock();
  await using engine = await Engine.open(file, { clock });
  assertEquals(await busyUntil(engine), leaseOf(file));

  clock.shiftMs = leaseOf(file) - Date.now();
  assertEquals(await engine.run(byTheTest(), { id: ID }), OUTPUT);
});

/** Starts a worker, and waits until it is in its second step and has written down that it is. */
async function startWorker(file: string, zombieTimeout: string): Promise<ChildProcess> {
  const worker = startChild(WORKER, file, ID, zombieTimeout);
  await worker.line("in the second step");
  await eventually(() => query(file, "SELECT 1 FROM steps WHERE status = 'running'").length === 1);
  return worker;
}

/** Wakes a worker up that has lost its lease, and has it end its second step. */
async function wakeUp(worker: ChildProcess): Promise<void> {
  worker.kill("SIGCONT");
  await worker.say("go on");
  assertStringIncludes(await worker.line("step refused: "), "LeaseLostError");
  assertStringIncludes(await worker.line("run refused: "), "LeaseLostError");
  await worker.line("closed");
  const { code, stderr } = await worker.ended();
  assertEquals({ code, stderr }, { code: 0, stderr: "" });
}

function byTheTest() {
  return heldWorkflow({ hold: () => Promise.resolve("second by the test") });
}

async function busyUntil(engine: Engine): Promise<number> {
  const error = await assertRejects(() => engine.run(byTheTest(), { id: ID }), WorkflowBusyError);
  assertStringIncludes(error.message, error.until.toISOString());
  return error.until.getTime();
}

/** A clock that has passed the end of the lease. */
function afterLease(file: string): ShiftedClock {
  const clock = new ShiftedClock();
  clock.shiftMs = leaseOf(file) - Date.now();
  return clock;
}

/** When the lease of the workflow's process ends. */
function leaseOf(file: string): number {
  const [row] = query(
    file,
    "SELECT lease_until FROM executors JOIN workflows USING (executor) WHERE workflow_id = ?",
    ID,
  );
  return row!.lease_until as number;
}

/** All that the store knows of the workflow. */
function rowsOf(file: string): unknown {
  return ["workflows", "inputs", "checkpoints"].map((table) => query(file, `SELECT * FROM ${table}`));
}
