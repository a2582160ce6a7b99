import { assertEquals } from "@std/assert";
import type { Database } from "../../engine/store/database.ts";
import { CANCEL_TOPIC, Mailbox, PAUSE_TOPIC } from "../../engine/store/mailbox.ts";
import { Store } from "../../engine/store/store.ts";
import { testEachDriver } from "./each_driver.ts";

/** What the mailbox of a workflow says, and what is so. */
async function counts(database: Database, workflowId: string): Promise<{ said: number; found: number }> {
  const [row] = await database.read({
    sql: `SELECT coalesce((SELECT kept FROM mailboxes WHERE workflow_id = ?), 0) AS said,
        (SELECT count(*) FROM messages WHERE workflow_id = ? AND consumed IS NULL
          AND message <= coalesce((SELECT counted FROM mailboxes WHERE workflow_id = ?), 0)) AS found`,
    params: [workflowId, workflowId, workflowId],
  });
  return row as { said: number; found: number };
}

function message(topic: string, workflowId = "w", sentAt = 1) {
  return { workflowId, topic, payloadJson: "1", sentAt };
}

const completed = {
  kind: "signal",
  status: "completed",
  attempt: 1,
  startedAt: 1,
  durationMs: 1,
  nextAttemptAt: null,
  run: 11,
  outputJson: "1",
  errorJson: null,
} as const;

testEachDriver(
  "a mailbox holds as many messages as it may, and one more for each that was taken out",
  async ({ open }) => {
    const database = await open();
    const [store, mailbox] = [new Store(database), new Mailbox(database)];
    const send = async (topic: string, key?: string) =>
      (await mailbox.send(message(topic), { key, max: 3 })).kept;
    assertEquals([await send("signal:a"), await send("signal:b", "k"), await send("signal:b", "k")], [
      true,
      true,
      false,
    ]);
    assertEquals([await send("signal:a"), await send("signal:a")], [true, false]);
    const input = { workflowId: "w", name: "w", createdAt: 1, seed: 7, inputJson: null };
    const owner = (await store.create(input, 11, 1))!;
    const consume = async (topic: string, completion: number) => {
      const kept = (await mailbox.first("w", topic))!;
      const checkpoint = { ...completed, key: `${topic}#00000${completion}`, completion };
      await database.write(store.arrivalStatements(owner, [{
        checkpoint,
        replacesRunning: false,
        message: kept,
      }]));
    };
    await consume("signal:a", 1);
    // Not by a run that has lost its workflow.
    const stranger = { ...owner, run: 12 };
    const kept = (await mailbox.first("w", "signal:b"))!;
    await database.write(store.arrivalStatements(stranger, [{
      checkpoint: { ...completed, key: "x#000001", completion: 2 },
      replacesRunning: false,
      message: kept,
    }]));
    assertEquals([await send("signal:c"), await send("signal:c")], [true, false]);
    await consume("signal:b", 2);
    await consume("signal:c", 3);
    assertEquals([await send("signal:c"), await send("signal:c"), await send("signal:c")], [
      true,
      true,
      false,
    ]);
    assertEquals(await counts(database, "w"), { said: 3, found: 3 });
    assertEquals(await counts(database, "another"), { said: 0, found: 0 });
  },
);

testEachDriver(
  "what is discarded or forgotten makes room in a mailbox, and what others send counts in it",
  async ({ open }) => {
    const database = await open();
    const [store, mailbox] = [new Store(database), new Mailbox(database)];
    const send = async (topic = "signal:s") =>
      (await mailbox.send(message(topic), { key: undefined, max: 3 })).kept;
    const input = { workflowId: "w", name: "w", createdAt: 1, seed: 7, inputJson: null };
    const owner = (await store.create(input, 11, 1))!;
    const pause = { status: "blocked", outputJson: null, errorJson: "{}", at: 2 } as const;
    assertEquals(await store.pause((await store.find("w"))!, pause), true);
    assertEquals([await send(), await send(), await send()], [true, true, false]);
    assertEquals((await mailbox.first("w", PAUSE_TOPIC))?.topic, PAUSE_TOPIC);
    await store.block(owner, pause);
    assertEquals(await mailbox.first("w", PAUSE_TOPIC), undefined);
    assertEquals([await send(), await send()], [true, false]);
    assertEquals(await counts(database, "w"), { said: 3, found: 3 });

    // A request to cancel it, which a retry forgets.
    await store.unblock((await store.find("w"))!, 3);
    const cancelled = { status: "cancelled", outputJson: null, errorJson: "{}", at: 4 } as const;
    await store.cancel((await store.find("w"))!, undefined, cancelled);
    assertEquals((await mailbox.first("w", CANCEL_TOPIC))?.topic, CANCEL_TOPIC);
    assertEquals([await send(), await counts(database, "w")], [false, { said: 4, found: 4 }]);
    await store.withdrawPause((await store.find("w"))!);
    const record = (await store.find("w"))!;
    assertEquals(await store.retry(record, { from: undefined, parentId: undefined, now: 5 }), true);
    assertEquals(await counts(database, "w"), { said: 3, found: 3 });
    assertEquals(await send(), false);
  },
);

testEachDriver(
  "a mailbox counts right whoever sends at the same time, in two connections",
  async ({ open }) => {
    const [one, other] = await Promise.all([open(), open()]);
    const sent = await Promise.all(Array.from({ length: 300 }, async (_, i) => {
      const mailbox = new Mailbox(i % 2 === 0 ? one : other);
      return (await mailbox.send(message("signal:s"), { key: `${i % 250}`, max: 200 })).kept;
    }));
    assertEquals(sent.filter((kept) => kept).length, 200);
    assertEquals(await counts(one, "w"), { said: 200, found: 200 });
  },
);
