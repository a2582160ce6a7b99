import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { systemClock } from "../../engine/clock.ts";
import type { Database, Statement } from "../../engine/store/database.ts";
import {
  type Checkpoint,
  checkpointChecksum,
  publicationChecksum,
  type WorkflowOutcome,
} from "../../engine/store/rows.ts";
import * as checkpoints from "../../engine/store/checkpoint_statements.ts";
import * as executors from "../../engine/store/executor_statements.ts";
import { ExecutorRegistry } from "../../engine/store/executor_registry.ts";
import * as publications from "../../engine/store/publication_statements.ts";
import { Mailbox } from "../../engine/store/mailbox.ts";
import * as forks from "../../engine/store/fork_statements.ts";
import * as lines from "../../engine/store/line_statements.ts";
import * as messages from "../../engine/store/message_statements.ts";
import * as patches from "../../engine/store/patch_statements.ts";
import type { Ownership } from "../../engine/store/ownership.ts";
import * as queues from "../../engine/store/queue_statements.ts";
import { Queues } from "../../engine/store/queues.ts";
import * as schedules from "../../engine/store/schedule_statements.ts";
import { Schedules } from "../../engine/store/schedules.ts";
import * as workflows from "../../engine/store/workflow_statements.ts";
import type { WorkflowRecord } from "../../engine/store/records.ts";
import { Store } from "../../engine/store/store.ts";
import { testEachDriver } from "./each_driver.ts";

/** Runs and executors of these tests: the first pair loses what the second takes over. */
const [first, second] = [{ run: 11, executor: 1 }, { run: 22, executor: 2 }];

function checkpoint(key: string, changes: Partial<Checkpoint> = {}): Checkpoint {
  return {
    key,
    kind: "step",
    status: "completed",
    completion: 1,
    attempt: 1,
    startedAt: 1_000,
    durationMs: 5,
    nextAttemptAt: null,
    run: first.run,
    outputJson: '"output"',
    errorJson: null,
    ...changes,
  };
}

const waiting = checkpoint("signal:go#000001", {
  kind: "signal",
  status: "running",
  completion: null,
  durationMs: null,
  outputJson: null,
  topic: "signal:go",
});

const running = checkpoint("running#000001", {
  status: "running",
  completion: null,
  durationMs: null,
  outputJson: null,
});

function outcome(status: WorkflowOutcome["status"]): WorkflowOutcome {
  return { status, outputJson: null, errorJson: '{"name":"Error","message":"No"}', at: 2_000 };
}

/** The parent and the child of a workflow, and a signal that is kept for it. */
async function beginFamily(database: Database): Promise<void> {
  const store = new Store(database);
  for (const workflowId of ["parent", "child"]) {
    const input = { workflowId, name: workflowId, createdAt: 1_000, seed: 7, inputJson: null };
    await store.create(input, 99, 3);
  }
  const signal = { workflowId: "w", topic: "signal:go", payloadJson: "1", sentAt: 900 };
  await new Mailbox(database).send(signal, { key: undefined, max: 10 });
}

/** A workflow that the first run has begun, with a completed and a running step. */
async function begin(database: Database): Promise<{ store: Store; owner: Ownership }> {
  const store = new Store(database);
  databases.set(store, database);
  await beginFamily(database);
  const input = { workflowId: "w", name: "workflow", createdAt: 1_000, seed: 7, inputJson: "1" };
  const entry = {
    executor: first.executor,
    pid: 1,
    startedAt: 0,
    host: null,
    codes: "[]",
    isWorking: false,
    queues: null,
  };
  await new ExecutorRegistry(database, systemClock, 30_000).renew(entry, 5_000);
  const owner = await store.create(input, first.run, first.executor);
  assert(owner !== undefined);
  assert(await store.checkpoint(owner, checkpoint("done#000001"), false));
  assert(await store.checkpoint(owner, running, false));
  const publishing = checkpoint("publish:state#000001", { kind: "publish" });
  const published = publications.writePublication(owner, publishing, {
    name: "state",
    valueJson: '"old"',
  });
  assertEquals(await database.write([published]), [1]);
  return { store, owner };
}

/** Has the second run take the workflow over, once the first one's lease is over. */
async function takeOver(store: Store, now = 9_000): Promise<Ownership | undefined> {
  const claim = {
    ...second,
    recoveries: 1,
    recoveredCompletion: 1,
    now,
    gone: undefined,
  };
  return await store.claim((await store.find("w"))!, claim);
}

/** Has a run show something, with the checkpoint of it. @returns whether that had an effect: all of it, or nothing */
async function publishing(
  store: Store,
  owner: Ownership,
  kind: "publish" | "emit",
  name = "new",
): Promise<boolean> {
  const completed = checkpoint(`${kind}:${name}#000001`, { kind, completion: 2 });
  const batch = store.completing(owner, completed, false, { name, valueJson: '"new"' });
  const counts = await databases.get(store)!.write(batch, owner.run);
  assertEquals(counts.length, 2);
  assertEquals(counts[0], counts[1]);
  return counts[0] === 1;
}

/** The messages that are kept for the child of the workflow. */
async function sent(store: Store): Promise<unknown[]> {
  return (await new Mailbox(databases.get(store)!).kept("child", "cancel", { rows: 10, bytes: 1_000 }))
    .messages;
}

/** The database of each store. */
const databases = new WeakMap<Store, Database>();

async function contents(database: Database): Promise<unknown> {
  const tables = [
    "workflows",
    "inputs",
    "checkpoints",
    "messages",
    "mailboxes",
    "published",
    "emitted",
    "patches",
  ];
  return await Promise.all(
    tables.map((table) => database.read({ sql: `SELECT * FROM ${table}`, params: [] })),
  );
}

/** Every write that a run makes, as the owner it names; all say whether it had an effect. */
const runWrites: Record<string, (store: Store, owner: Ownership) => Promise<boolean>> = {
  "a new checkpoint": (store, owner) =>
    store.checkpoint(owner, checkpoint("new#000001", { completion: 2 }), false),
  "a failed checkpoint": (store, owner) =>
    store.checkpoint(owner, checkpoint("new#000001", { status: "failed", completion: 2 }), false),
  "the checkpoint of a running step": (store, owner) =>
    store.checkpoint(owner, checkpoint(running.key, { completion: 2 }), true),
  "the row of a running step": (store, owner) =>
    store.checkpoint(owner, { ...running, key: "other#000001" }, false),
  "the next attempt of a running step": (store, owner) =>
    store.checkpoint(owner, { ...running, attempt: 2, nextAttemptAt: 3_000 }, true),
  "its completion": (store, owner) => store.finish(owner, outcome("completed")),
  "its failure": (store, owner) => store.finish(owner, outcome("failed")),
  "its block": (store, owner) => store.block(owner, outcome("blocked")),
  "its end with abandoned steps": (store, owner) =>
    store.finish(owner, outcome("failed"), {
      abandoned: [{ ...running, status: "failed", completion: 2 }],
    }),
  "its end with rows of what it waits for": (store, owner) =>
    store.finish(owner, outcome("failed"), { waited: true, parentId: "parent", children: ["child"] }),
  "the row of what it waits for": (store, owner) => store.checkpoint(owner, waiting, false),
  "what has come of it": (store, owner) => {
    const message = { message: 1, workflowId: "w", topic: "signal:go", payloadJson: "1", sentAt: 900 };
    const arrival = { checkpoint: { ...waiting, completion: 2 }, replacesRunning: false, message };
    return new Promise((resolve, failed) => {
      const committed = (counts: readonly number[]) => resolve(counts[0] === 1);
      store.submit({
        batch: store.arrivalStatements(owner, [arrival]),
        stream: owner.run,
        committed,
        failed,
      });
    });
  },
  "a child": async (store, owner) => {
    const input = { workflowId: "new", name: "n", createdAt: 1_000, seed: 7, inputJson: null, parentId: "w" };
    return await store.createChild(owner, input, { ...waiting, kind: "child", topic: "child:new" }) ===
      "made";
  },
  "that its children are cancelled": async (store, owner) => {
    const count = async () => (await sent(store)).length;
    const before = await count();
    await store.cancelChildren(owner, ["child"], 2_000);
    return await count() > before;
  },
  "that it waits": async (store, owner) =>
    await store.park(owner, { rows: [waiting], dueAt: 9_000, topics: ["signal:other"], now: 2_000 }) ===
      "parked",
  "a change of its code that it takes up": async (store, owner) => {
    const database = databases.get(store)!;
    const patch = { changeId: "change", run: owner.run, at: 2_000 };
    const [written] = await database.write([store.patchStatement(owner, patch)], owner.run);
    return written === 1;
  },
  "what the schema of its code makes of its input": (store, owner) => {
    const input = { workflowId: "w", name: "workflow", createdAt: 1_000, seed: 7, inputJson: "2" };
    return store.writeCheckedInput(owner, input);
  },
  "what it publishes": (store, owner) => publishing(store, owner, "publish"),
  "what it publishes again": (store, owner) => publishing(store, owner, "publish", "state"),
  "what it emits": (store, owner) => publishing(store, owner, "emit"),
  "its release": (store, owner) => store.release(owner, 2_000),
};

testEachDriver("a run that owns its workflow can write", async ({ open, folder }) => {
  for (const [name, write] of Object.entries(runWrites)) {
    const database = await open({ location: folder.file(name.replaceAll(" ", "_")) });
    const { store, owner } = await begin(database);
    const before = await contents(database);
    assert(await write(store, owner), name);
    assertNotEquals(await contents(database), before);
  }
});

testEachDriver("a run that has lost its lease changes nothing, whatever it writes", async ({ open }) => {
  const database = await open();
  const { store, owner } = await begin(database);
  const taken = await takeOver(store);
  assert(taken !== undefined);
  const before = await contents(database);
  for (const [name, write] of Object.entries(runWrites)) {
    assertEquals(await write(store, owner), false, name);
    assertEquals(await contents(database), before, name);
  }
  assert(await store.checkpoint(taken, checkpoint(running.key, { completion: 2, run: second.run }), true));
});

testEachDriver(
  "a run whose workflow has ended, is blocked or was released changes nothing",
  async ({ open, folder }) => {
    const ends: Record<string, (store: Store, owner: Ownership) => Promise<boolean>> = {
      completed: (store, owner) => store.finish(owner, outcome("completed")),
      failed: (store, owner) => store.finish(owner, outcome("failed")),
      blocked: (store, owner) => store.block(owner, outcome("blocked")),
      released: (store, owner) => store.release(owner, 2_000),
    };
    for (const [end, finish] of Object.entries(ends)) {
      const database = await open({ location: folder.file(end) });
      const { store, owner } = await begin(database);
      assert(await finish(store, owner));
      const before = await contents(database);
      for (const [name, write] of Object.entries(runWrites)) {
        assertEquals(await write(store, owner), false, `${end}: ${name}`);
        assertEquals(await contents(database), before, `${end}: ${name}`);
      }
    }
  },
);

testEachDriver("a run cannot write to a workflow of another", async ({ open }) => {
  const database = await open();
  const { store, owner } = await begin(database);
  const other = await store.create(
    { workflowId: "other", name: "workflow", createdAt: 1_000, seed: 7, inputJson: "1" },
    second.run,
    second.executor,
  );
  const before = await contents(database);
  for (const stranger of [{ ...other!, run: first.run }, { ...owner, run: second.run }]) {
    for (const [name, write] of Object.entries(runWrites)) {
      assertEquals(await write(store, stranger), false, name);
    }
  }
  assertEquals(await contents(database), before);
});

testEachDriver(
  "a batch keeps its answers where only some of its statements are fenced off",
  async ({ open }) => {
    const database = await open();
    const { store, owner } = await begin(database);
    const lost = { ...owner, run: 99 };
    const writes = Array.from({ length: 40 }, (_, i) =>
      store.checkpoint(
        i % 3 === 0 ? lost : owner,
        checkpoint(`s${i}#000001`, { completion: 10 + i }),
        false,
      ));
    assertEquals(
      await Promise.all(writes),
      Array.from({ length: 40 }, (_, i) => i % 3 !== 0),
    );
    const [{ n }] = await database.read({
      sql: "SELECT count(*) AS n FROM checkpoints WHERE completion >= 10",
      params: [],
    }) as [{ n: number }];
    assertEquals(n, 26);
  },
);

testEachDriver("an id is made once, and its input is that of who made it", async ({ open }) => {
  const database = await open();
  const { store } = await begin(database);
  const before = await contents(database);
  const again = { workflowId: "w", name: "another", createdAt: 2_000, seed: 8, inputJson: "2" };
  assertEquals(await store.create(again, second.run, second.executor), undefined);
  assertEquals(await contents(database), before);
});

testEachDriver("claim() waits for the end of the lease, to the millisecond", async ({ open }) => {
  const database = await open();
  const { store } = await begin(database);
  assertEquals(await takeOver(store, 4_999), undefined);
  assertEquals((await takeOver(store, 5_000))?.run, second.run);
});

testEachDriver(
  "claim() needs no lease to end where the owner is gone, and strikes it off",
  async ({ open }) => {
    const database = await open();
    const { store } = await begin(database);
    const claim = {
      ...second,
      recoveries: 1,
      recoveredCompletion: 1,
      now: 2_000,
      gone: first.executor,
    };
    assert(await store.claim((await store.find("w"))!, claim) !== undefined);
    assertEquals(await database.read({ sql: "SELECT * FROM executors", params: [] }), []);
  },
);

testEachDriver("a fork is made whole, or where its id is taken not at all", async ({ open }) => {
  const database = await open();
  const { store, owner } = await begin(database);
  assert(await publishing(store, owner, "emit", "log"));
  const { workflow, retriedAt } = (await store.find("w"))!;
  const fork = async (workflowId: string, run: number, at = retriedAt) => {
    const input = {
      workflowId,
      name: "workflow",
      createdAt: 1_000,
      seed: 7,
      inputJson: "1",
      forkedFrom: "w",
      forkedAt: 2_000,
    };
    const patches = [{ changeId: "change", run: first.run, at: 2_000 }];
    const sumOf = (kind: "publish" | "emit", completion: number, name: string, valueJson: string) =>
      publicationChecksum(workflowId, { kind, completion, startedAt: 1_000 }, { name, valueJson });
    const copied = {
      checkpoints: [[1, checkpointChecksum(workflowId, checkpoint("done#000001"))]],
      published: [["state", 1, sumOf("publish", 1, "state", '"old"')]],
      emitted: [["log", 0, sumOf("emit", 2, "log", '"new"')]],
      patches,
    } as const;
    return await store.fork({ workflowId, run, from: { workflow, retriedAt: at } }, input, copied, {
      now: 2_000,
    });
  };
  assertEquals(await Promise.all([fork("new", 44), fork("new", 55)]), [true, false]);
  const record = (await store.find("new"))!;
  assertEquals((await store.completions(record, 0)).completions.map(({ key }) => key), ["done#000001"]);
  assertEquals((await store.patches(record)).length, 1);
  const shown = (await Array.fromAsync(store.publications(record, 9))).flat();
  assertEquals(shown.map(({ name }) => name), ["state", "log"]);
  assertEquals((await store.input(record)).forkedFrom, "w");
  const before = await contents(database);
  assertEquals(await fork("after a retry", 77, 1), false);
  assertEquals(await contents(database), before);
  for (const taken of ["new", "w", "parent", "child"]) {
    assertEquals(await fork(taken, 66), false, taken);
    assertEquals(await contents(database), before, taken);
  }
});

/** What is done to a workflow that nobody runs, on the strength of what was seen of it; all say whether they had an effect. */
const decisions: Record<string, (store: Store, seen: WorkflowRecord) => Promise<boolean>> = {
  claim: async (store, seen) => {
    const claim = {
      run: 33,
      executor: 3,
      recoveries: 0,
      recoveredCompletion: null,
      now: 90_000,
      gone: undefined,
    };
    return await store.claim(seen, claim) !== undefined;
  },
  block: (store, seen) => store.blockUnowned(seen, '{"name":"Error","message":"No"}', 2_000),
  unblock: (store, seen) => store.unblock({ ...seen, status: "blocked" }, 2_000),
  cancel: async (store, seen) =>
    await store.cancel({ ...seen, status: "blocked" }, "parent", outcome("cancelled")) !== undefined,
  "cancel while paused": (store, seen) => store.cancelPaused({ ...seen, status: "blocked" }, 2_000),
  "withdraw a pause": async (store, seen) => (await store.withdrawPause(seen), false),
  pause: (store, seen) => store.pause(seen, outcome("blocked")),
  retry: (store, seen) =>
    store.retry({ ...seen, status: "failed" }, { from: undefined, parentId: "parent", now: 2_000 }),
  "retry of steps": (store, seen) =>
    store.retry({ ...seen, status: "failed" }, { from: 1, parentId: undefined, now: 2_000 }),
};

testEachDriver("a decision has no effect on a workflow that has changed since", async ({ open }) => {
  const database = await open();
  const { store, owner } = await begin(database);
  const seen = (await store.find("w"))!;
  await store.finish(owner, outcome("completed"));
  const before = await contents(database);
  for (const [name, decide] of Object.entries(decisions)) {
    assertEquals(await decide(store, seen), false, name);
    assertEquals(await contents(database), before, name);
  }
});

testEachDriver("a decision that was made twice has an effect once", async ({ open, folder }) => {
  const before: Record<string, WorkflowOutcome["status"] | undefined> = {
    unblock: "blocked",
    "cancel while paused": "blocked",
    retry: "failed",
    "retry of steps": "failed",
  };
  for (const [name, decide] of Object.entries(decisions)) {
    // Who is asked to cancel a workflow again has done so, and so has who withdraws a pause.
    if (name === "cancel" || name === "withdraw a pause") continue;
    const database = await open({ location: folder.file(name.replaceAll(" ", "_")) });
    const { store, owner } = await begin(database);
    await (before[name] === undefined
      ? store.release(owner, 2_000)
      : store.finish(owner, outcome(before[name])));
    const seen = (await store.find("w"))!;
    assertEquals(await Promise.all([decide(store, seen), decide(store, seen)]), [true, false], name);
  }
});

const noLimits = {
  concurrency: null,
  executorConcurrency: null,
  partitionConcurrency: null,
  rate: null,
  maxDepth: 10,
  ageingMs: 1,
};

/** A workflow that waits in a queue. */
async function enqueue(database: Database): Promise<{ store: Store; seen: WorkflowRecord }> {
  const input = { workflowId: "w", name: "workflow", createdAt: 1_000, seed: 7, inputJson: "1" };
  const placing = {
    queue: "q",
    readyAt: 1_000,
    priority: 0,
    partition: null,
    deduplicationKey: null,
    debounceKey: "k",
    throttle: null,
  };
  const store = new Store(database);
  databases.set(store, database);
  assert(await new Queues(database).enqueue(input, placing, noLimits));
  assertEquals(await new Queues(database).enqueue(input, placing, noLimits), false);
  return { store, seen: (await store.find("w"))! };
}

/** What is done to a workflow that waits in a queue, on the strength of what was seen of it. */
const decisionsOnQueued: Record<string, (store: Store, seen: WorkflowRecord) => Promise<boolean>> = {
  claim: decisions.claim!,
  postpone: (store, { workflow }) => {
    const input = { workflowId: "w", name: "workflow", createdAt: 1_000, seed: 7, inputJson: "2" };
    return new Queues(databases.get(store)!).postpone(workflow, input, {
      readyAt: 9_000,
      priority: 0,
      partition: null,
      now: 2_000,
    });
  },
};

testEachDriver(
  "what is decided of a workflow in a queue has no effect once it has begun, or been cancelled",
  async ({ open, folder }) => {
    const changes: Record<string, (store: Store, seen: WorkflowRecord) => Promise<unknown>> = {
      begun: (store, seen) => decisions.claim!(store, seen),
      cancelled: (store, seen) => store.cancel(seen, undefined, outcome("cancelled")),
    };
    for (const [change, make] of Object.entries(changes)) {
      const database = await open({ location: folder.file(change) });
      const { store, seen } = await enqueue(database);
      await make(store, seen);
      const before = await contents(database);
      for (const [name, decide] of Object.entries(decisionsOnQueued)) {
        assertEquals(await decide(store, seen), false, `${change}: ${name}`);
        assertEquals(await contents(database), before, `${change}: ${name}`);
      }
    }
  },
);

testEachDriver("a tick is seen to once, and not of a schedule that is paused", async ({ open }) => {
  const database = await open();
  const store = new Schedules(database);
  const entry = {
    name: "s",
    workflow: "workflow",
    version: null,
    timeoutMs: null,
    inputJson: "1",
    makesInput: false,
    cron: "@hourly",
    timeZone: "UTC",
    missed: "all",
    overlap: "allow",
    queue: null,
  } as const;
  assert(await store.define(entry, { definer: 1, from: 1_000, next: 2_000 }));
  const start = (workflowId: string, at: number, seenFrom: number, ticker: number) =>
    store.start({ schedule: "s", at, seenFrom, next: at + 1_000, ticker }, {
      workflowId,
      name: "workflow",
      createdAt: at,
      seed: 7,
      inputJson: "1",
    });
  const outcomes = await Promise.all([start("a", 2_000, 1_000, 1), start("b", 2_000, 1_000, 2)]);
  assertEquals(outcomes, ["started", "lost"]);
  const before = await contents(database);
  await store.pass({ schedule: "s", at: 3_000, seenFrom: 1_000, next: 4_000 });
  const found = (await store.find("s"))!;
  await store.noteNext({ ...found, fromAt: 1_000 }, 9_000);
  assertEquals((await store.find("s"))!, { ...found, fromAt: 2_000, nextTickAt: 3_000 });
  await store.pause("s", 2_500, true);
  assertEquals(await start("c", 3_000, 2_000, 3), "lost");
  assertEquals(await contents(database), before);
  await store.pause("s", 3_500, false);
  assertEquals(await start("c", 3_000, 2_000, 3), "lost");
  assertEquals(await start("c", 4_000, 3_500, 3), "started");
});

testEachDriver(
  "beginWorkflow writes for the run that owns a workflow alone, once, on the input that it has seen",
  async ({ open }) => {
    const database = await open();
    const { store } = await begin(database);
    const record = (await store.find("w"))!;
    const input = await store.input(record);
    const owner = { workflowId: "w", workflow: record.workflow, run: first.run };
    const write = async (by: Ownership, seen: typeof input, at: number) =>
      (await database.write([workflows.beginWorkflow(by, seen, at)]))[0];
    assertEquals(await write({ ...owner, run: first.run + 1 }, input, 2_000), 0);
    assertEquals(await write(owner, { ...input, inputJson: "2" }, 2_000), 0);
    assertEquals(await store.input(record), input);
    assertEquals(await write(owner, input, 2_000), 1);
    assertEquals(await write(owner, input, 3_000), 0);
    assertEquals(await store.input(record), { ...input, begunAt: 2_000 });
  },
);

Deno.test("every statement that writes is fenced, and tested here", () => {
  // A new statement goes into one of these lists, with a test of its fence if it is one that writes.
  const fenced = [
    "amendCheckpoint",
    "beginWorkflow",
    "cancelUnowned",
    "consumeMessage",
    "countMessages",
    "createChild",
    "claimPlace",
    "createMissingInput",
    "createPending",
    "discardMessages",
    "enqueueWorkflow",
    "forgetKept",
    "forgetRequest",
    "forgetWaits",
    "parkWorkflow",
    "pauseUnowned",
    "placeCancelled",
    "postponeWorkflow",
    "sendFrom",
    "sendMessage",
    "sendRequest",
    "copyCheckpoints",
    "copyEmitted",
    "copyPatch",
    "copyPublished",
    "createFork",
    "wakeWorkflow",
    "writePatch",
    "createWorkflow",
    "claimWorkflow",
    "blockUnowned",
    "writeCheckpoint",
    "writeCheckedInput",
    "writePublication",
    "finishWorkflow",
    "releaseWorkflow",
    "unblockWorkflow",
    "retryWorkflow",
    "startTick",
    "passTicks",
    "noteNextTick",
  ];
  const ofExecutors = ["renewLease", "removeExecutor"];
  const ofQueues = ["defineQueue", "ensureQueue", "pauseQueue", "readyDelayed"];
  // What they write follows from the row of the workflow, as the statements before them have left it: see lines.ts.
  const ofLines = [
    "joinLine",
    "leaveLine",
    "notePartition",
    "notePlacement",
    "orderLines",
    "withdrawFromLine",
  ];
  const ofSchedules = ["defineSchedule", "pauseSchedule", "resumeSchedule"];
  const { MAX_QUEUES: _queues, POSTPONED_AT: _place, ...ofQueueing } = queues;
  const { codesParam: _codes, ...ofWorkflows } = workflows;
  const { MAX_SCHEDULES: _schedules, ...ofScheduling } = schedules;
  const statements = {
    ...ofQueueing,
    ...ofScheduling,
    ...ofWorkflows,
    ...lines,
    ...checkpoints,
    ...messages,
    ...publications,
    ...patches,
    ...forks,
    ...executors,
  };
  const reading = Object.keys(statements).filter((name) => /^(select|count(?!Messages))/.test(name));
  const paged = Object.keys(statements).filter((name) => /After$/.test(name) && !reading.includes(name));
  assertEquals(
    Object.keys(statements).toSorted(),
    [...fenced, ...ofExecutors, ...ofQueues, ...ofLines, ...ofSchedules, ...reading, ...paged].toSorted(),
  );
  for (const name of reading) {
    const given =
      (statements as unknown as Record<string, (...about: unknown[]) => Statement | Statement[]>)[name]!(
        Object.assign([], { statuses: [], codes: [], queues: [] }),
        Object.assign([], { dueAt: 0, workflow: 0, codes: [] }),
        { from: 0, codes: [] },
      );
    for (const { sql } of [given].flat()) assert(/^\s*(SELECT|WITH RECURSIVE)\b/.test(sql), name);
  }
});
