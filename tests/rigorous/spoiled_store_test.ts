import { Engine, queue, StepwellError, workflow } from "@stepwell/stepwell";
import { schedule } from "@stepwell/stepwell/schedule";
import { assert, assertEquals } from "@std/assert";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import type { SeededRandom } from "../../engine/random.ts";
import { RIGOROUS } from "../effort.ts";
import { Crash } from "../crash.ts";
import { query } from "../raw_sqlite.ts";
import { type TemporaryFolder, temporaryFolder } from "../temporary_folder.ts";
import { oneOf, withSeeds } from "./seed.ts";

/** What may stand in a column after bits were flipped, or somebody has written to the file. */
const VALUES = [
  null,
  -1,
  0,
  1,
  1.5,
  7,
  9_007_199_254_740_993n,
  -8_640_000_000_000_001n,
  9_223_372_036_854_775_807n,
  "",
  "pendilg",
  "\u001b[31mred",
  "[1,",
  new Uint8Array([0, 255, 128]),
] as const;

/** How long what is not spoiled may take, in milliseconds. */
const CALM_MS = 10_000;

const job = workflow("job", (ctx) => ctx.step("s", () => "done"));
const sleeper = workflow("sleeper", async (ctx) => {
  await ctx.publish("state", 1);
  await ctx.emit("log", 1);
  ctx.patched("change");
  await ctx.sleep(1_500);
  return await ctx.waitForSignal("go", { timeout: 50 });
});
const failing = workflow("failing", (ctx) =>
  ctx.step("s", () => {
    throw new Error("no");
  }));
const parts = queue("parts", { partitionConcurrency: 1 });
const rated = queue("rated", { rate: { limit: 100, period: "1m" } });
const often = schedule("often", { cron: "* * * * * *", workflow: job, overlap: "queue", missed: "skip" });
const options = { workflows: [job, sleeper, failing], queues: [parts, rated], schedules: [often] };

/** A file with something in every table and in every state, as a process that is lost has left it. */
async function makeFile(file: string): Promise<void> {
  const crash = new Crash();
  await crash.happens(file, workflow("job", (ctx) => ctx.step("s", () => crash.here())), {
    id: "victim-lost",
  });
  await using engine = await Engine.open(file, { ...options, closeGrace: 0 });
  await engine.run(job, { id: "victim-done" });
  await engine.run(failing, { id: "victim-failed" }).catch(() => {});
  await engine.start(sleeper, { id: "victim-waiting" });
  for (const id of ["victim-first", "victim-second"]) {
    await engine.enqueue(job, { id, queue: parts, partition: "p" });
  }
  await engine.enqueue(job, { id: "victim-rated", queue: rated });
  await engine.enqueue(job, { id: "victim-later", queue: rated, delay: 300, deduplicationKey: "d" });
  await engine.signal("victim-waiting", "go", 1, { idempotencyKey: "k" });
  await engine.pause("victim-rated");
  await engine.enqueue(job, { id: "bystander", queue: "q" });
  await engine.enqueue(job, { id: "delayed-bystander", queue: "q", delay: 300 });
}

/** Every column of every table, as far as it has rows of a victim. */
function columnsOf(file: string): { table: string; column: string }[] {
  return query(
    file,
    `SELECT m.name AS "table", c.name AS "column" FROM sqlite_schema m, pragma_table_info(m.name) c
      WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> 'wal_growth'`,
  ) as { table: string; column: string }[];
}

function spoil(file: string, { table, column }: { table: string; column: string }, value: unknown): boolean {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA busy_timeout = 5000");
    const columns = db.prepare(`SELECT name FROM pragma_table_info(?)`).all(table).map(({ name }) => name);
    const victims = "SELECT workflow FROM workflows WHERE workflow_id LIKE 'victim%'";
    const where = columns.includes("workflow_id")
      ? "workflow_id LIKE 'victim%'"
      : table === "schedules"
      ? "1"
      : columns.includes("workflow")
      ? `workflow IN (${victims})`
      : columns.includes("queue")
      ? "queue IN (SELECT queue FROM queues WHERE name <> 'q')"
      : "1";
    const { changes } = db.prepare(`UPDATE OR IGNORE ${table} SET "${column}" = ? WHERE ${where}`).run(
      value as SQLInputValue,
    );
    return Number(changes) > 0;
  } catch {
    return false; // a constraint keeps that out
  } finally {
    db.close();
  }
}

async function attempt(
  base: TemporaryFolder,
  spoilt: { table: string; column: string },
  value: unknown,
): Promise<boolean> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  for (const name of base.names) await Deno.copyFile(base.file(name), folder.file(name));
  if (!spoil(file, spoilt, value)) return false;
  const what = `${spoilt.table}.${spoilt.column} = ${Deno.inspect(value)}`;
  let turns = 0;
  const ticking = setInterval(() => turns++, 10);
  try {
    const engine = await Engine.open(file, { ...options, closeGrace: 100 });
    const working = engine.work();
    const deadline = performance.now() + CALM_MS;
    const bystanders = ["bystander", "delayed-bystander"];
    const done = async () =>
      (await Promise.all(bystanders.map((id) => engine.handle(id).status()))).every((s) => s === "completed");
    while (!await done()) {
      assert(performance.now() < deadline, `${what}: another workflow does not go on`);
      await new Promise((wake) => setTimeout(wake, 10));
    }
    const before = turns;
    await new Promise((wake) => setTimeout(wake, 100));
    assert(turns > before, `${what}: the event loop stands still`);
    const ids = query(file, "SELECT workflow_id FROM workflows").map((row) => row.workflow_id)
      .filter((id) => typeof id === "string" && /^[\w-]+$/.test(id)) as string[];
    await told(what, () => engine.list());
    for (const status of ["pending", "blocked"] as const) await told(what, () => engine.list({ status }));
    await told(what, () => engine.queues());
    await told(what, () => engine.schedules());
    await told(what, () => engine.executors());
    for (const id of ids) {
      await told(what, () => engine.get(id));
      await told(what, () => engine.why(id));
    }
    await engine.close();
    await working;
  } catch (error) {
    throw error instanceof Error && error.message.startsWith(what)
      ? error
      : new Error(what, { cause: error });
  } finally {
    clearInterval(ticking);
  }
  return true;
}

/** Looking never throws but an error of ours, and what it gives can be printed. */
async function told(what: string, look: () => Promise<unknown>): Promise<void> {
  try {
    JSON.stringify(await look(), (_, value) => typeof value === "bigint" ? String(value) : value);
  } catch (error) {
    if (error instanceof StepwellError && error.message !== "") return;
    throw new Error(`${what}: ${error}`, { cause: error });
  }
}

Deno.test("whatever stands in a column, the other workflows go on, and everything can still be looked at", async () => {
  await using base = temporaryFolder();
  await makeFile(base.file("a.db"));
  const columns = columnsOf(base.file("a.db"));
  const tried = new Set<string>();
  const failures: unknown[] = [];
  const all = columns.flatMap((column) => VALUES.map((value) => ({ column, value })));
  const tryOne = async ({ column, value }: (typeof all)[number]) => {
    if (await attempt(base, column, value)) tried.add(column.column);
  };
  if (RIGOROUS) {
    for (const each of all) {
      await tryOne(each).catch((error) => failures.push(error.message, error.cause?.stack));
    }
  } else {
    await withSeeds(1, async (random: SeededRandom) => {
      for (let i = 0; i < 25; i++) await tryOne(oneOf(random, all));
    });
  }
  assertEquals(failures, []);
  assert(tried.size > 5);
  assert(columns.length > 100);
});
