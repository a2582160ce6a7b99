import { Engine, type EngineEvent, StoreBusyError, StoreError, workflow } from "@stepwell/stepwell";
import {
  assert,
  assertEquals,
  assertGreater,
  assertInstanceOf,
  assertLess,
  assertRejects,
} from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import type { Database } from "../../engine/store/database.ts";
import { openCrashing } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** What makes a connection fail from now on, and what mends it. */
const troubles = {
  "read-only": ["PRAGMA query_only = 1", "PRAGMA query_only = 0"],
  "full": ["PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000"],
} as const;

async function pragma(database: Database, sql: string): Promise<void> {
  await database.read({ sql, params: [] });
}

/** So long that it does not fit a page, so that a full file has no room for it. */
const long = "x".repeat(20_000);

for (const [trouble, [begin, end]] of Object.entries(troubles)) {
  Deno.test(`a store that is ${trouble} at any write fails no workflow, which goes on once that is over`, async () => {
    let write = 1;
    while (await failAt(write, begin, end)) write++;
    assertGreater(write, 6);
  });
}

/** Runs a workflow whose store begins to fail at its n-th write, and again once it is mended. @returns whether it failed */
async function failAt(n: number, begin: string, end: string): Promise<boolean> {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const effects: string[] = [];
  let committed: unknown[] = [];
  const sample = workflow("sample", async (ctx, _: string) => {
    const act = ({ idempotencyKey }: { idempotencyKey: string }) => {
      assert(!committed.includes(idempotencyKey), `${idempotencyKey} ran again`);
      effects.push(idempotencyKey);
      return long;
    };
    await ctx.step("first", act);
    await ctx.all([(ctx) => ctx.step("branch", act), (ctx) => ctx.step("branch", act)]);
    await ctx.step("once", act, { semantics: n % 2 === 0 ? "at-least-once" : "at-most-once" })
      .catch((error) => assertEquals(error.name, "StepInterruptedError"));
    await ctx.step("flaky", (info) => {
      if (info.attempt === 1) throw new Error(long);
      return act(info);
    }, { retry: { maxAttempts: 2, initialInterval: 0 } });
    return long;
  });
  let writes = 0;
  const { engine, database } = await openCrashing(
    file,
    { clock: new ManualClock() },
    ({ name, when }, database) => {
      if (name === "write" && when === "before" && ++writes === n) void pragma(database, begin);
      return false;
    },
  );
  const result = await engine.run(sample, { id: "s", input: long }).catch((error) => error);
  const failed = result !== long;
  if (failed) {
    assertInstanceOf(result, StoreError, `write ${n}`);
    const [row] = query(file, "SELECT status FROM workflows");
    assert(row === undefined || row.status === "running", `write ${n}: ${row?.status}`);
    committed = query(file, "SELECT 's/' || step_key AS key FROM steps WHERE status = 'completed'")
      .map(({ key }) => key);
    await pragma(database, end);
    assertEquals(await engine.run(sample, { id: "s", input: long }), long);
  }
  await engine.close();
  assertEquals(new Set(effects).size, 5, `write ${n}`);
  return failed;
}

Deno.test("a result that finds no room takes with it those that the workflow would have seen after it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const { engine, database } = await openCrashing(file, { clock: new ManualClock() }, () => false);
  const go = Promise.withResolvers<void>();
  let begun = 0;
  let full = true;
  const two = workflow("two", (ctx) => {
    const result = async (length: number) => {
      begun++;
      await go.promise;
      return "x".repeat(full ? length : 1);
    };
    return ctx.all([
      (ctx) => ctx.step("large", () => result(5_000_000)),
      (ctx) => ctx.step("small", () => result(1)),
    ]);
  });
  const handle = await engine.start(two, { id: "t" });
  await eventually(() => begun === 2);
  const [{ page_count: pages }] = query(file, "PRAGMA page_count") as [{ page_count: number }];
  await pragma(database, `PRAGMA max_page_count = ${pages + 5}`);
  go.resolve();
  await assertRejects(() => handle.result(), StoreError, "full");
  assertEquals(query(file, "SELECT completion FROM steps WHERE completion IS NOT NULL"), []);
  full = false;
  assertEquals(await engine.run(two, { id: "t" }), ["x", "x"]);
  await engine.close();
});

Deno.test("a workflow waits while another process has the file locked, and the event loop goes on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const locker = new DatabaseSync(file);
  let locked = false;
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {
      locker.exec("BEGIN IMMEDIATE");
      locked = true;
    });
    return await ctx.step("second", () => "done");
  });
  const handle = await engine.start(two, { id: "t" });
  await eventually(() => locked);
  const since = Date.now();
  for (let turns = 0; turns < 20; turns++) await new Promise((done) => setTimeout(done));
  assertLess(Date.now() - since, 10_000);
  assertEquals(query(file, "SELECT * FROM steps"), []);
  locker.exec("ROLLBACK");
  assertEquals(await handle.result(), "done");
  locker.close();
});

Deno.test("a file that is locked for longer than busyTimeout suspends a workflow, which goes on after that", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const events: EngineEvent[] = [];
  const options = { busyTimeout: 30, onEvent: (event: EngineEvent) => events.push(event) };
  await using engine = await Engine.open(file, options);
  const locker = new DatabaseSync(file);
  let calls = 0;
  const one = workflow("one", (ctx) =>
    ctx.step("first", () => {
      if (calls++ === 0) locker.exec("BEGIN IMMEDIATE");
      return "done";
    }));
  const error = await assertRejects(() => engine.run(one, { id: "o" }), StoreBusyError);
  assertEquals(error.message, `Cannot write to "${file}": other processes had it locked for 30 ms`);
  assertEquals(events.at(-1)!.type, "suspended");
  assertEquals(await engine.handle("o").status(), "running");
  await assertRejects(() => engine.start(one, { id: "another" }), StoreBusyError);
  locker.exec("ROLLBACK");
  assertEquals(await engine.run(one, { id: "o" }), "done");
  assertEquals(calls, 2);
  locker.close();
});

Deno.test("a workflow that a storage error suspended goes on by itself once the store can be written again", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const { engine, database } = await openCrashing(file, { clock, zombieTimeout: "30s" }, () => false);
  let failing = true;
  const one = workflow("one", (ctx) =>
    ctx.step("first", async () => {
      if (failing) await pragma(database, "PRAGMA query_only = 1");
      failing = false;
    }));
  await assertRejects(() => engine.run(one, { id: "o" }), StoreError);
  await pragma(database, "PRAGMA query_only = 0");
  // The engine that had to drop it releases it as soon as it can write again, and no one has to ask for it.
  await eventually(() => {
    clock.advance(1_000);
    return query(file, "SELECT status FROM workflows")[0]!.status === "completed";
  });
  await engine.handle("o").result();
  await engine.close();
});

/** After how long it is noticed, at the latest, that the file is not there any more. */
const A_WHILE_MS = 1_000;

Deno.test("a value for which the library is not to be had suspends a workflow, and undoes nothing of it", async () => {
  const worker = import.meta.resolve("./undecodable_worker.ts");
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-npm", "--allow-all", worker],
    env: { NO_COLOR: "1" },
  }).output();
  const lines = new TextDecoder().decode(stdout).trim().split("\n");
  assertEquals(lines.slice(-3), ["suspended", "StoreError", "running"], new TextDecoder().decode(stderr));
  assertEquals([code, lines.includes("undone")], [0, false]);
});

Deno.test("a file that is taken away under a running workflow suspends it, and it goes on once it is back", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const move = (from: string, to: string) => {
    for (const end of ["", "-wal", "-shm"]) Deno.renameSync(folder.file(from) + end, folder.file(to) + end);
  };
  const events: string[] = [];
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock, onEvent: ({ type }) => events.push(type) });
  let calls = 0;
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {
      if (calls++ > 0) return;
      move("a.db", "elsewhere.db");
      clock.advance(A_WHILE_MS);
    });
    return await ctx.step("second", () => "done");
  });
  await assertRejects(() => engine.run(two, { id: "t" }), StoreError, "has been removed or replaced");
  assertEquals([events.at(-1), events.includes("failed")], ["suspended", false]);
  await assertRejects(() => engine.run(two, { id: "t" }), StoreError);
  move("elsewhere.db", "a.db");
  assertEquals(await engine.run(two, { id: "t" }), "done");
  assertEquals(calls, 2);
});

Deno.test("a file that was removed under a running workflow is not made anew", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const clock = new ManualClock();
  const engine = await Engine.open(file, { clock });
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {
      Deno.removeSync(file);
      clock.advance(A_WHILE_MS);
    });
    return await ctx.step("second", () => "done");
  });
  await assertRejects(() => engine.run(two, { id: "t" }), StoreError, "has been removed or replaced");
  await engine.close();
  assertEquals(folder.names.includes("a.db"), false);
});

Deno.test("a file that was replaced under a running workflow is not written to", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const other = folder.file("other.db");
  {
    await using engine = await Engine.open(other);
    await engine.run(workflow("other", () => "other"), { id: "other" });
  }
  const content = Deno.readFileSync(other);
  const clock = new ManualClock();
  const engine = await Engine.open(file, { clock });
  const two = workflow("two", async (ctx) => {
    await ctx.step("first", () => {
      Deno.renameSync(other, file);
      clock.advance(A_WHILE_MS);
    });
    return await ctx.step("second", () => "done");
  });
  await assertRejects(() => engine.run(two, { id: "t" }), StoreError, "has been removed or replaced");
  await engine.close();
  assertEquals(Deno.readFileSync(file), content);
});
