import {
  type Context,
  Engine,
  LeaseLostError,
  LimitExceededError,
  SerializationError,
  StatementError,
  StoreError,
  type Transaction,
  TransactionTimeoutError,
  workflow,
  WorkflowConflictError,
  WorkflowStateError,
} from "@stepwell/stepwell";
import { assert, assertEquals, assertInstanceOf, assertRejects } from "@std/assert";
import type { Database } from "../../engine/store/database.ts";
import { Crash } from "../crash.ts";
import { openCrashing, type StoreCall } from "../crashing_database.ts";
import { eventually } from "../eventually.ts";
import { ManualClock } from "../manual_clock.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { accounts, move, openAccounts, transfer } from "./accounts.ts";
import { waiting } from "./waiting_workflow.ts";

/** A file with two accounts. */
async function fileWithAccounts(path: string): Promise<string> {
  await using engine = await Engine.open(path);
  await openAccounts(engine);
  return path;
}

const steps = (file: string) =>
  query(file, "SELECT step_key, kind, status, attempt FROM steps ORDER BY completion IS NULL, completion");

Deno.test("ctx.transaction() commits its SQL with its checkpoint, and its result is replayed", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  let begun = 0;
  const definition = transfer(() => begun++);
  for (let process = 0; process < 2; process++) {
    await using engine = await Engine.open(file);
    assertEquals(await engine.run(definition, { id: "w" }), ["before", 70, "after"]);
  }
  assertEquals(begun, 1);
  assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["w"] });
  assertEquals(steps(file)[1], {
    step_key: "move#000001",
    kind: "transaction",
    status: "completed",
    attempt: 1,
  });
});

Deno.test("ctx.transaction() is replayed in a workflow that has not ended", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const crash = new Crash();
  let begun = 0;
  const definition = workflow("w", async (ctx) => {
    const left = await ctx.transaction("move", (tx) => (begun++, move(tx, "w")));
    await ctx.step("crash", () => crash.here());
    return left;
  });
  await crash.happens(file, definition, { id: "w" });
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(definition, { id: "w" }), 70);
  assertEquals(begun, 1);
});

Deno.test("a process that is lost inside a transaction leaves nothing of it, and another one runs it", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const crash = new Crash();
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      await tx.signal("other", "moved");
      await crash.here();
      return "moved";
    }));
  await crash.happens(file, definition, { id: "w" });
  assertEquals(accounts(file), { ada: 100, grace: 0, moves: [] });
  assertEquals(query(file, "SELECT * FROM signals"), []);
  await using engine = await Engine.open(file);
  assertEquals(await engine.run(definition, { id: "w" }), "moved");
  assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["w"] });
});

/** Runs a workflow in a process that is lost at a call of the store. @returns its output, undefined if it was lost */
async function live(
  file: string,
  run: (ctx: Context, dead: () => boolean) => Promise<unknown>,
  crashesAt: (call: StoreCall) => boolean,
): Promise<{ output: unknown; calls: StoreCall[] }> {
  const calls: StoreCall[] = [];
  const { engine, database } = await openCrashing(
    file,
    { clock: new ManualClock(), durability: "normal" },
    (call) => (calls.push(call), crashesAt(call)),
  );
  const definition = workflow("sample", (ctx) => run(ctx, () => database.dead));
  const ended = engine.run(definition, { id: "w" }).then(async (output) => {
    await engine.close();
    return output;
  });
  return { output: await Promise.race([ended, database.crashed]), calls };
}

const crashSamples: Record<string, (ctx: Context) => Promise<unknown>> = {
  "a transfer between steps": async (ctx) => {
    await ctx.step("before", () => 1);
    const left = await ctx.transaction("move", async (tx) => {
      await tx.signal("other", "moved", { by: "w" });
      await tx.start(workflow("receipt", () => "printed"), { id: "receipt" });
      return await move(tx, "w");
    });
    await ctx.step("after", () => 2);
    return left;
  },
  "transfers beside steps": async (ctx) => {
    const several = async (ctx: Context, id: string) => {
      for (let i = 0; i < 2; i++) await ctx.step("step", () => id);
    };
    const results = await ctx.all([
      (ctx) => several(ctx, "left"),
      (ctx) => ctx.transaction("move", (tx) => move(tx, "w")),
      (ctx) => several(ctx, "right"),
      (ctx) =>
        ctx.transaction("failing", async (tx) => {
          await move(tx, "never");
          throw new RangeError("No");
        }).catch((error) => error.message),
    ]);
    await ctx.transaction("last", (tx) => tx.signal("other", "moved", { by: "w" }, { idempotencyKey: "k" }));
    await ctx.transaction("start", (tx) => tx.start(workflow("receipt", () => "printed"), { id: "receipt" }));
    return [results[1], results[3]];
  },
};

for (const [name, run] of Object.entries(crashSamples)) {
  Deno.test(`money is moved once, whatever call of the store the process is lost at: ${name}`, async () => {
    await using folder = temporaryFolder();
    const undisturbed = await live(await fileWithAccounts(folder.file("0.db")), run, () => false);
    const points = undisturbed.calls.map(({ number, when }) => ({ number, when }));
    assert(undisturbed.calls.some((call) => call.name === "commit" && call.when === "after"));
    for (const { number, when } of points) {
      const where = `${when} call ${number}`;
      const file = await fileWithAccounts(folder.file(`${number}-${when}.db`));
      let output: unknown;
      for (const lives of [2, 1, 0]) {
        const life = await live(
          file,
          run,
          (call) => lives > 0 && call.number === number && call.when === when,
        );
        output = life.output ?? output;
        const { ada, grace, moves } = accounts(file);
        assertEquals(Number(ada) + Number(grace), 100, where);
        assertEquals(moves.length * 30, Number(grace), where);
        const [row] = query(
          file,
          "SELECT status FROM steps WHERE step_key = 'move#000001' AND status <> 'running'",
        );
        assertEquals(row?.status === "completed", moves.length === 1, where);
      }
      assertEquals(output, undisturbed.output, where);
      assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["w"] }, where);
      assertEquals(query(file, "SELECT name, payload_json FROM signals"), [
        { name: "moved", payload_json: '{"by":"w"}' },
      ], where);
      assertEquals(query(file, "SELECT count(*) AS n FROM workflows WHERE workflow_id = 'receipt'"), [{
        n: 1,
      }]);
      const completions = query(file, "SELECT completion FROM steps ORDER BY completion");
      assertEquals(completions.map(({ completion }) => completion), completions.map((_, i) => i + 1), where);
    }
  });
}

Deno.test("what the function of a transaction throws is its outcome, and nothing else of it is stored", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  let begun = 0;
  const receipt = workflow("receipt", () => {});
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      begun++;
      await move(tx, "w");
      await tx.signal("other", "moved");
      await tx.start(receipt, { id: "receipt" });
      throw Object.assign(new RangeError("Too little"), { code: "E_LITTLE" });
    }));
  for (let process = 0; process < 2; process++) {
    await using engine = await Engine.open(file);
    const error = await assertRejects(() => engine.run(definition, { id: "w" }), RangeError, "Too little");
    assertEquals((error as { code?: string }).code, "E_LITTLE");
  }
  assertEquals(begun, 1);
  assertEquals(accounts(file), { ada: 100, grace: 0, moves: [] });
  assertEquals(query(file, "SELECT * FROM signals"), []);
  assertEquals(query(file, "SELECT workflow_id FROM workflows"), [{ workflow_id: "w" }]);
  assertEquals(steps(file), [{ step_key: "move#000001", kind: "transaction", status: "failed", attempt: 1 }]);
});

Deno.test("a statement that is refused can be caught, and the transaction goes on", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  await using engine = await Engine.open(file);
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      const overdrawn = "UPDATE accounts SET cents = cents - 1000 WHERE name = 'ada'";
      const error = await assertRejects(() => tx.run(overdrawn), StatementError, "CHECK constraint failed");
      await move(tx, "w");
      return error.statement === overdrawn;
    }));
  assertEquals(await engine.run(definition), true);
  assertEquals(accounts(file).ada, 70);
});

Deno.test("a transaction cannot do what would keep the store from working, and its workflow goes on", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const harmful = [
    "CREATE TRIGGER \"TABLE\" BEFORE UPDATE ON workflows BEGIN SELECT RAISE(ABORT, 'no'); END",
    "CREATE TABLE t (status TEXT REFERENCES workflows (status))",
    "CREATE TRIGGER x AFTER INSERT ON mine BEGIN SELECT 1; END; DELETE FROM mine",
    "DROP INDEX workflows_pending",
    "DELETE FROM mine\0 WHERE x = 7",
    "CREATE TEMP TABLE checkpoints (x)",
  ];
  const definition = workflow("w", async (ctx) => {
    const refused = await ctx.transaction("harm", async (tx) => {
      const names: string[] = [];
      for (const sql of harmful) await tx.run(sql).catch((error) => names.push(error.name));
      await tx.run("INSERT INTO mine VALUES (2)");
      return names;
    });
    await ctx.step("after", () => 1);
    return refused;
  });
  for (const id of ["first", "second"]) {
    await using engine = await Engine.open(file);
    await engine.transaction((tx) => tx.run("CREATE TABLE IF NOT EXISTS mine (x)"));
    assertEquals(await engine.run(definition, { id }), harmful.map(() => "TypeError"));
  }
  assertEquals(query(file, "SELECT count(*) AS n FROM mine"), [{ n: 2 }]);
  assertEquals(query(file, "SELECT name FROM sqlite_schema WHERE name IN ('TABLE', 't', 'x')"), []);
});

Deno.test("a result that cannot be stored fails a transaction, and nothing of it is there", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  await using engine = await Engine.open(file);
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      return { fn: () => {} };
    }));
  const error = await assertRejects(() => engine.run(definition), SerializationError);
  assertEquals(error.path, ".fn");
  assertEquals(accounts(file).moves, []);
  const rich = workflow(
    "rich",
    (ctx) => ctx.transaction("rich", (tx) => move(tx, "w").then(() => new Map([[1, 2n]]))),
  );
  assertEquals(await engine.run(rich), new Map([[1, 2n]]));
  assertEquals(accounts(file).moves, ["w"]);
});

Deno.test("a constraint that is checked at the commit is the outcome of the transaction", async () => {
  await using folder = temporaryFolder();
  await using engine = await Engine.open(folder.file("a.db"));
  await engine.transaction(async (tx) => {
    await tx.run("CREATE TABLE p (id INTEGER PRIMARY KEY)");
    await tx.run("CREATE TABLE c (p INTEGER REFERENCES p DEFERRABLE INITIALLY DEFERRED)");
  });
  const definition = workflow("w", (ctx) =>
    ctx.all([
      (ctx) => ctx.step("beside", () => 1),
      (ctx) =>
        ctx.transaction("orphan", (tx) => tx.run("INSERT INTO c VALUES (7)")).catch((error) => error.name),
      (ctx) => ctx.step("beside", () => 2),
    ]));
  assertEquals(await engine.run(definition, { id: "w" }), [1, "StatementError", 2]);
  assertEquals((await engine.get("w"))!.steps.map(({ completion }) => completion), [1, 2, 3]);
  await assertRejects(
    () => engine.transaction((tx) => tx.run("INSERT INTO c VALUES (7)")),
    StatementError,
    "FOREIGN KEY constraint failed",
  );
});

Deno.test("a transaction that fails is tried again as its options say, each time as a transaction of its own", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock });
  let attempts = 0;
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      const left = await move(tx, `attempt ${++attempts}`);
      if (attempts < 3) throw new Error("Not yet");
      return left;
    }, { retry: { maxAttempts: 3, initialInterval: "1s", jitter: 0 } }));
  const handle = await engine.start(definition, { id: "w" });
  for (const pause of [1_000, 2_000]) {
    await eventually(() => query(file, "SELECT 1 FROM steps WHERE next_attempt_at IS NOT NULL").length === 1);
    await eventually(() => clock.timers.includes(pause));
    assertEquals(accounts(file).moves, []);
    clock.advance(pause);
  }
  assertEquals(await handle.result(), 70);
  assertEquals(accounts(file), { ada: 70, grace: 30, moves: ["attempt 3"] });
  assertEquals(steps(file), [{
    step_key: "move#000001",
    kind: "transaction",
    status: "completed",
    attempt: 3,
  }]);
});

Deno.test("a transaction takes a commit, as a step does", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const calls: string[] = [];
  const { engine } = await openCrashing(file, { clock: new ManualClock() }, ({ name, when }) => {
    if (when === "after" && (name === "write" || name === "commit")) calls.push(name);
    return false;
  });
  await engine.run(transfer(), { id: "w" });
  // The lease, the start, two steps and the outcome are writes.
  assertEquals(calls, ["write", "write", "write", "commit", "write", "write"]);
  await engine.close();
});

Deno.test("a run that has lost its lease begins no transaction", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const clock = new ManualClock();
  const { definition, begun, go } = waiting();
  let moves = 0;
  const stale = workflow("waiting", async (ctx) => {
    await Promise.resolve(definition.run(ctx, undefined)).catch(() => {});
    return await ctx.transaction("move", (tx) => (moves++, move(tx, "w")));
  });
  await using zombie = await Engine.open(file, { clock: new ManualClock(), closeGrace: 0 });
  const lost = await zombie.start(stale, { id: "w" });
  await eventually(() => begun.length === 1);
  clock.advance(60_000);
  await using owner = await Engine.open(file, { clock, closeGrace: 0 });
  await owner.start(stale, { id: "w" });
  await eventually(() => begun.length === 2);
  go[0]!.resolve("by a zombie");
  await assertRejects(() => lost.result(), LeaseLostError);
  assertEquals(moves, 0);
  assertEquals(accounts(file).moves, []);
});

/** Runs a transfer in a process whose lease is lost just before one of its calls. */
async function loseLeaseAt(point: (call: StoreCall) => boolean, lose: (database: Database) => unknown) {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  let begun = 0;
  const { engine } = await openCrashing(
    file,
    { clock: new ManualClock(), closeGrace: 0 },
    (call, database) => {
      if (call.when === "before" && point(call)) void lose(database);
      return false;
    },
  );
  const error = await assertRejects(() => engine.run(transfer(() => begun++), { id: "w" }), LeaseLostError);
  const after = { accounts: accounts(file), steps: query(file, "SELECT step_key FROM steps"), begun };
  await engine.close();
  return { error, ...after };
}

Deno.test("a run that loses its lease while it waits for its transaction does not call its function", async () => {
  const lose = (database: Database) =>
    database.write([{ sql: "UPDATE workflows SET run = run + 1", params: [] }]);
  const { error, begun, ...after } = await loseLeaseAt(({ name }) => name === "begin", lose);
  assertEquals(begun, 0);
  assertEquals(after, {
    accounts: { ada: 100, grace: 0, moves: [] },
    steps: [{ step_key: "before#000001" }],
  });
  assert(
    error.message.startsWith('Cannot begin transaction "move#000001" of workflow "w": the lease'),
    error.message,
  );
});

Deno.test("a run that does not own its workflow at the commit of its transaction changes nothing", async () => {
  // Nobody else can write by then; so it is done through its own connection, inside of the transaction.
  const lose = (database: Database) =>
    database.read({ sql: "UPDATE workflows SET run = run + 1", params: [] });
  const { error, begun, ...after } = await loseLeaseAt(({ name }) => name === "commit", lose);
  assertEquals(begun, 1);
  assertEquals(after, {
    accounts: { ada: 100, grace: 0, moves: [] },
    steps: [{ step_key: "before#000001" }],
  });
  assert(
    error.message.startsWith('Cannot record transaction "move#000001" of workflow "w": the lease'),
    error.message,
  );
});

Deno.test("a disk that is full is no outcome of a transaction, whatever its function makes of it", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const { engine, database } = await openCrashing(file, { clock: new ManualClock() }, () => false);
  const [{ page_count: pages }] = query(file, "PRAGMA page_count") as [{ page_count: number }];
  let full = true;
  const pragma = (pages: number) => database.read({ sql: `PRAGMA max_page_count = ${pages}`, params: [] });
  const definition = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      if (!full) return "done";
      await pragma(pages + 2);
      await tx.run("INSERT INTO moves VALUES (?)", "x".repeat(100_000)).catch(() => {});
      if (full) throw new Error("Something else");
    }, { retry: { maxAttempts: 5 } }));
  await assertRejects(() => engine.run(definition, { id: "w" }), StoreError, "full");
  assertEquals(query(file, "SELECT status FROM workflows"), [{ status: "running" }]);
  assertEquals(accounts(file), { ada: 100, grace: 0, moves: [] });
  full = false;
  await pragma(1_000_000);
  assertEquals(await engine.run(definition, { id: "w" }), "done");
  assertEquals(accounts(file).moves, ["w"]);
  await engine.close();
});

Deno.test("a transaction waits while another process has the file locked, and the event loop goes on", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  await using first = await Engine.open(file);
  await using second = await Engine.open(file);
  const go = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const held = first.transaction(async (tx) => {
    await move(tx, "first");
    begun.resolve();
    await go.promise;
  });
  await begun.promise;
  const waiting = second.run(transfer(), { id: "second" });
  for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(accounts(file).moves, []);
  go.resolve();
  await held;
  assertEquals(await waiting, ["before", 40, "after"]);
  assertEquals(accounts(file), { ada: 40, grace: 60, moves: ["first", "second"] });
});

Deno.test("transactions of one engine are run one after the other, and beside steps", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  await using engine = await Engine.open(file, { durability: "normal" });
  await engine.transaction((tx) => tx.run("UPDATE accounts SET cents = 100000"));
  let open = 0;
  const definition = workflow(
    "many",
    (ctx) =>
      ctx.all(Array.from({ length: 5 }, (_, i) => async (ctx: Context) => {
        await ctx.step("step", () => i);
        await ctx.transaction("move", async (tx) => {
          assertEquals(++open, 1);
          await move(tx, `${ctx.workflowId}-${i}`);
          open--;
        });
        await ctx.step("step", () => i);
      })),
  );
  await Promise.all(Array.from({ length: 20 }, (_, i) => engine.run(definition, { id: `w${i}` })));
  const { moves, grace, ada } = accounts(file);
  assertEquals([moves.length, new Set(moves).size], [100, 100]);
  assertEquals([ada, grace], [100000 - 3000, 100000 + 3000]);
});

// --- Time ---

Deno.test("a transaction that awaits a step is rolled back when its time is over, and the workflow goes on", async () => {
  // A replay does not ask for that step, and is told so.
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const clock = new ManualClock();
  await using engine = await Engine.open(file, { clock, alwaysReplay: false });
  const definition = workflow("w", async (ctx) => {
    const error = await ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      await ctx.step("inside", () => "cannot be committed while the transaction is open");
    }).catch((error) => error);
    return [error instanceof TransactionTimeoutError, await ctx.step("after", () => "after")];
  });
  const result = engine.run(definition, { id: "w" });
  await eventually(() => clock.timers.includes(5_000));
  clock.advance(5_000);
  assertEquals(await result, [true, "after"]);
  assertEquals(accounts(file), { ada: 100, grace: 0, moves: [] });
});

Deno.test("a transaction may take as long as it says, or as long as the engine does", async () => {
  const clock = new ManualClock();
  await using engine = await Engine.open(":memory:", { clock, transactionTimeout: "2s" });
  const hanging = () => new Promise<never>(() => {});
  const samples: [() => Promise<unknown>, number][] = [
    [() => engine.transaction(hanging), 2_000],
    [() => engine.transaction(hanging, { timeout: "1s" }), 1_000],
    [() => engine.run(workflow("w", (ctx) => ctx.transaction("hang", hanging))), 2_000],
    [() => engine.run(workflow("w", (ctx) => ctx.transaction("hang", hanging, { timeout: 700 }))), 700],
  ];
  for (const [run, timeoutMs] of samples) {
    const failed = assertRejects(run, TransactionTimeoutError);
    await eventually(() => clock.timers.includes(timeoutMs));
    clock.advance(timeoutMs);
    assertEquals((await failed).timeoutMs, timeoutMs);
  }
  for (const transactionTimeout of [-1, NaN, "soon"] as never[]) {
    await assertRejects(() => Engine.open(":memory:", { transactionTimeout }), Error, "transactionTimeout");
  }
});

Deno.test("engine.close() waits for a transaction within its time", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const engine = await Engine.open(file);
  const go = Promise.withResolvers<void>();
  const begun = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const moving = (i: number) => async (tx: Transaction) => {
    await move(tx, `${i}`);
    begun[i]!.resolve();
    await go.promise;
  };
  const ran = engine.run(workflow("w", (ctx) => ctx.transaction("move", moving(0))), { id: "w" });
  ran.catch(() => {});
  await begun[0]!.promise;
  let closed = false;
  const closing = engine.close().then(() => closed = true);
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
  assert(!closed);
  go.resolve();
  await closing;
  assertEquals(accounts(file).moves, ["0"]);

  const second = await Engine.open(file);
  const own = second.transaction(moving(1));
  await begun[1]!.promise;
  await Promise.all([own, second.close()]);
  assertEquals(accounts(file).moves, ["0", "1"]);
  await assertRejects(() => second.transaction(() => {}), Error, "closed");
});

Deno.test("engine.close() without grace rolls back a transaction that hangs once its time is over", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const clock = new ManualClock();
  const engine = await Engine.open(file, { clock, closeGrace: 0 });
  const begun = Promise.withResolvers<void>();
  const hanging = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      begun.resolve();
      await new Promise(() => {});
    }));
  const refused = assertRejects(() => engine.run(hanging, { id: "w" }), Error, "was closed");
  await begun.promise;
  let closed = false;
  const closing = engine.close().then(() => closed = true);
  await eventually(() => {
    clock.advance(100);
    return closed;
  });
  await closing;
  await refused;
  assertEquals(accounts(file).moves, []);
  assertEquals(query(file, "SELECT status FROM workflows"), [{ status: "pending" }]);
});

Deno.test("a transaction whose function returns when its run is over is rolled back", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const engine = await Engine.open(file, { closeGrace: 0 });
  const begun = Promise.withResolvers<void>();
  const go = Promise.withResolvers<void>();
  const held = workflow("w", (ctx) =>
    ctx.transaction("move", async (tx) => {
      await move(tx, "w");
      begun.resolve();
      await go.promise;
    }));
  const refused = assertRejects(() => engine.run(held, { id: "w" }), Error, "was closed");
  await begun.promise;
  const closing = engine.close();
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
  go.resolve();
  await closing;
  await refused;
  assertEquals(accounts(file).moves, []);
  await using again = await Engine.open(file);
  assertEquals(await again.run(held, { id: "w" }), undefined);
  assertEquals(accounts(file).moves, ["w"]);
});

// --- What may not be done ---

Deno.test("ctx.* and other transactions are refused in the function of a transaction", async () => {
  await using engine = await Engine.open(":memory:");
  const refused: string[] = [];
  const note = (error: unknown) => {
    assertInstanceOf(error, TypeError);
    refused.push(error.message.split(":")[0]!);
  };
  const definition = workflow("w", (ctx) =>
    ctx.transaction("outer", async () => {
      const asked = [
        ctx.step("step", () => {}),
        ctx.sleep(1),
        ctx.transaction("inner", () => {}),
        ctx.child(definition),
        engine.transaction(() => {}),
      ];
      for (const promise of asked) await promise.catch(note);
      return "done";
    }));
  assertEquals(await engine.run(definition), "done");
  assertEquals(refused, [
    'Cannot run step "step" in the function of step "outer#000001"',
    'Cannot sleep in the function of step "outer#000001"',
    'Cannot run transaction "inner" in the function of step "outer#000001"',
    'Cannot start child "w" in the function of step "outer#000001"',
    "Cannot begin a transaction in the function of another",
  ]);
});

Deno.test("a transaction cannot be used when its function has ended", async () => {
  await using engine = await Engine.open(":memory:");
  let kept: Transaction | undefined;
  const receipt = workflow("receipt", () => {});
  const uses: ((tx: Transaction) => Promise<unknown>)[] = [
    (tx) => tx.run("CREATE TABLE late (x)"),
    (tx) => tx.all("SELECT 1"),
    (tx) => tx.get("SELECT 1"),
    (tx) => tx.signal("w", "late"),
    (tx) => tx.start(receipt),
  ];
  const ends: (() => unknown)[] = [() => {}, () => Promise.reject(new Error("No"))];
  for (const end of ends) {
    await engine.transaction((tx) => (kept = tx, end())).catch(() => {});
    for (const use of uses) await assertRejects(() => use(kept!), TypeError, "whose function has ended");
  }
});

Deno.test("what a function asked of its transaction without waiting for it is a part of it", async () => {
  await using engine = await Engine.open(":memory:");
  const receipt = workflow("receipt", () => "printed");
  await engine.transaction((tx) => {
    void tx.run("CREATE TABLE t (x)");
    void tx.run("INSERT INTO t VALUES (1)");
    void tx.start(receipt, { id: "receipt" });
  });
  assertEquals(await engine.transaction((tx) => tx.get("SELECT * FROM t")), { x: 1 });
  assertEquals(await engine.handle("receipt").result(), "printed");
});

Deno.test("transaction() takes a function and sound options", async () => {
  await using engine = await Engine.open(":memory:");
  await assertRejects(() => engine.transaction("fn" as never), TypeError, "wanted a function");
  await assertRejects(() => engine.transaction(() => {}, { timeout: "x" as never }), Error, "timeout");
  const bad = workflow("bad", async (ctx) => {
    await assertRejects(() => ctx.transaction("t", undefined as never), TypeError, "wanted a function");
    await assertRejects(() => ctx.transaction("t", () => {}, { retry: { maxAttempts: 0 } }), RangeError);
  });
  await engine.run(bad);
});

// --- The outbox ---

const greeted = workflow("greeted", async (ctx) => await ctx.waitForSignal<string>("name"));

Deno.test("engine.transaction() tells and starts workflows once it is committed, not before", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const waiting = await engine.start(greeted, { id: "waiting" });
  const started: unknown[] = [];
  const receipt = workflow("receipt", (_, number: number) => started.push(number));
  const go = Promise.withResolvers<void>();
  const sent = Promise.withResolvers<void>();
  const committing = engine.transaction(async (tx) => {
    await tx.run("CREATE TABLE orders (number)");
    await tx.signal("waiting", "name", "Ada");
    assertEquals(await tx.start(receipt, { id: "receipt", input: 17 }), "receipt");
    sent.resolve();
    await go.promise;
    return "returned";
  });
  await sent.promise;
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setTimeout(resolve));
  assertEquals(query(file, "SELECT 1 FROM signals"), []);
  assertEquals(await engine.get("receipt"), undefined);
  assertEquals(started, []);
  go.resolve();
  assertEquals(await committing, "returned");
  assertEquals(await waiting.result(), "Ada");
  await engine.handle("receipt").result();
  assertEquals(started, [17]);
});

Deno.test("engine.transaction() sends and starts nothing where its function throws", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  const failed = engine.transaction(async (tx) => {
    await tx.run("CREATE TABLE orders (number)");
    await tx.signal("w", "name", "Ada");
    await tx.start(greeted, { id: "w" });
    throw new RangeError("No");
  });
  await assertRejects(() => failed, RangeError, "No");
  assertEquals(query(file, "SELECT 1 FROM sqlite_master WHERE name = 'orders'"), []);
  assertEquals(query(file, "SELECT * FROM workflows"), []);
  assertEquals(query(file, "SELECT * FROM messages"), []);
});

Deno.test("tx.start() is of an id what engine.start() is", async () => {
  await using engine = await Engine.open(":memory:");
  const inputs: unknown[] = [];
  const noted = workflow("noted", (_, input: number) => inputs.push(input));
  const other = workflow("other", (_, input: number) => input);
  await engine.run(noted, { id: "known", input: 1 });
  const ids = await engine.transaction(async (tx) => {
    await tx.start(noted, { id: "known", input: 1 });
    // @ts-expect-error an input is wanted, though one that is there already needs none
    await tx.start(noted, { id: "known" });
    await tx.start(noted, { id: "new", input: 2 });
    await tx.start(noted, { id: "new", input: 2 });
    await assertRejects(() => tx.start(noted, { id: "known", input: 2 }), WorkflowConflictError);
    await assertRejects(() => tx.start(other, { id: "known", input: 1 }), WorkflowConflictError);
    await assertRejects(() => tx.start(other, { id: "new", input: 2 }), WorkflowConflictError);
    await assertRejects(() => tx.start(noted, { id: "", input: 1 }), Error);
    await assertRejects(() => tx.start({} as never), TypeError);
    return [await tx.start(noted, { input: 3 }), await tx.start(noted, { input: 3 })];
  });
  assert(ids[0] !== ids[1]);
  for (const id of ["new", ...ids]) await engine.handle(id).result();
  assertEquals(inputs, [1, 2, 3, 3]);
});

Deno.test("tx.signal() is of a workflow what engine.signal() is", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await using engine = await Engine.open(file);
  await engine.run(workflow("ended", () => {}), { id: "ended" });
  await engine.signal("w", "name", "before", { idempotencyKey: "k1" });
  await engine.transaction(async (tx) => {
    await tx.signal("w", "name", "again", { idempotencyKey: "k1" });
    await Promise.all(
      ["first", "second"].map((name) => tx.signal("w", "name", name, { idempotencyKey: "k2" })),
    );
    await tx.signal("w", "name", new Date(0));
    await assertRejects(() => tx.signal("ended", "name"), WorkflowStateError);
    for (const _ of ["once", "again"]) {
      const sent = () => tx.signal("ended", "name", 1, { idempotencyKey: "k3" });
      await assertRejects(sent, WorkflowStateError);
    }
    await assertRejects(() => tx.signal("w", ""), Error);
    await assertRejects(() => tx.signal("w", "name", () => {}), SerializationError);
  });
  assertEquals(query(file, "SELECT payload_json, idempotency_key AS key FROM signals ORDER BY signal"), [
    { payload_json: '"before"', key: "k1" },
    { payload_json: '"first"', key: "k2" },
    { payload_json: '{"$devalue":[["Date","1970-01-01T00:00:00.000Z"]]}', key: null },
  ]);
});

Deno.test("a transaction sends and starts 10,000 at most, and none where it asks for more", async () => {
  await using engine = await Engine.open(":memory:");
  const send = (count: number) =>
    engine.transaction(async (tx) => {
      for (let i = 0; i < count; i++) await tx.signal(`w${i % 100}`, "name", i);
    }, { timeout: "1h" });
  await assertRejects(() => send(10_001), LimitExceededError, "10000");
  await send(10_000);
  const reader = workflow(
    "reader",
    async (ctx) => [await ctx.waitForSignal("name"), await ctx.waitForSignal("name")],
  );
  assertEquals(await engine.run(reader, { id: "w7" }), [7, 107]);
});

Deno.test("a workflow that a transaction started is there for the next process, if this one is lost", async () => {
  await using folder = temporaryFolder();
  const file = await fileWithAccounts(folder.file("a.db"));
  const receipt = workflow("receipt", (_, id: string) => `receipt for ${id}`);
  const definition = (ctx: Context) =>
    ctx.transaction("move", async (tx) => {
      await tx.start(receipt, { id: "receipt", input: "w" });
      return await move(tx, "w");
    });
  await live(file, definition, ({ name, when }) => name === "commit" && when === "after");
  assertEquals(query(file, "SELECT status FROM workflows WHERE workflow_id = 'receipt'"), [{
    status: "pending",
  }]);
  await using engine = await Engine.open(file, { workflows: [receipt] });
  assertEquals(await (await engine.resume("receipt")).result(), "receipt for w");
});
