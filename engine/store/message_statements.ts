/**
 * The statements about messages: what workflows are told from outside, signals above all.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import { type Message, messageChecksum } from "./rows.ts";
import { hasOwnKey, type Ownership, type Seen } from "./ownership.ts";
import type { PagedQuery } from "./pages.ts";

const COUNT = `INSERT INTO mailboxes (workflow_id, counted, kept)
  SELECT ?, max(message), count(*) FROM messages INDEXED BY messages_in_order
  WHERE workflow_id = ? AND consumed IS NULL
    AND message > coalesce((SELECT counted FROM mailboxes WHERE workflow_id = ?), 0)
  HAVING count(*) > 0
  ON CONFLICT (workflow_id) DO UPDATE SET counted = excluded.counted, kept = kept + excluded.kept`;

/**
 * Counts the messages that are kept for a workflow and have not been counted yet, each of them once: those that came since
 * this was done last. Where several transactions may write at a time, the row of the mailbox is to be locked before.
 */
export function countMessages(workflowId: string): Statement {
  return { sql: COUNT, params: [workflowId, workflowId, workflowId] };
}

const SEND = `INSERT INTO messages (workflow_id, topic, payload_json, idempotency_key, sent_at, checksum)
  SELECT ?, ?, ?, ?, ?, ?
  WHERE NOT EXISTS (
      SELECT 1 FROM workflows WHERE workflow_id = ? AND status IN ('completed', 'failed', 'cancelled'))
    AND coalesce((SELECT kept FROM mailboxes WHERE workflow_id = ?), 0) < ?
  ON CONFLICT DO NOTHING`;

/**
 * Keeps a message, unless its workflow has ended, so many are kept for it already, or it is there by its key. They are to have
 * been counted in the same batch.
 *
 * @param options.key another message with the same topic and key is this one
 * @param options.max how many messages may be kept for one workflow
 */
export function sendMessage(message: Message, options: { key: string | undefined; max: number }): Statement {
  const { workflowId, topic, payloadJson, sentAt } = message;
  const { key = null, max } = options;
  return {
    sql: SEND,
    params: [
      workflowId,
      topic,
      payloadJson,
      key,
      sentAt,
      messageChecksum(message),
      workflowId,
      workflowId,
      max,
    ],
  };
}

const sendFromWhere = (condition: string) =>
  `INSERT INTO messages (workflow_id, topic, payload_json, idempotency_key, sent_at, checksum)
  SELECT ?, ?, ?, ?, ?, ? FROM workflows w
  WHERE w.workflow = ? AND w.run IS ? AND ${condition} AND EXISTS (
      SELECT 1 FROM workflows r WHERE r.workflow_id = ? AND r.status NOT IN ('completed', 'failed', 'cancelled'))
  ON CONFLICT DO NOTHING`;
const SEND_FROM_RUN = sendFromWhere("w.status = 'running'");
const SEND_FROM_UNOWNED = sendFromWhere("(w.status = 'blocked' OR w.status = 'pending' AND w.run IS NULL)");

/**
 * Keeps a message that a workflow sends to another one which has not ended.
 *
 * @param sender the run that owns the workflow; or the workflow as it was seen, if nobody runs it
 * @param key another message with the same topic and key is this one
 */
export function sendFrom(sender: Ownership | Seen, message: Message, key: string | null): Statement {
  const { workflowId, topic, payloadJson, sentAt } = message;
  return {
    sql: "status" in sender ? SEND_FROM_UNOWNED : SEND_FROM_RUN,
    params: [
      workflowId,
      topic,
      payloadJson,
      key,
      sentAt,
      messageChecksum(message),
      sender.workflow,
      sender.run,
      workflowId,
    ],
  };
}

const REQUEST = `INSERT INTO messages (workflow_id, topic, idempotency_key, sent_at, checksum)
  SELECT ?, ?, ?, ?, ? FROM workflows WHERE workflow_id = ? AND status IN ('pending', 'running', 'waiting')
  ON CONFLICT DO NOTHING`;

/** Keeps a request to a workflow that has not ended and is not blocked. @param key another with the same key is this one */
export function sendRequest(message: Message, key: string | null): Statement {
  const { workflowId, topic, sentAt } = message;
  return {
    sql: REQUEST,
    params: [workflowId, topic, key, sentAt, messageChecksum(message), workflowId],
  };
}

const WAKE = `UPDATE workflows SET due_at = ? WHERE workflow_id = ? AND status = 'waiting'
  AND (due_at IS NULL OR due_at > ?) AND EXISTS (
    SELECT 1 FROM checkpoints c
    WHERE c.workflow = workflows.workflow AND c.completion IS NULL AND c.topic = ?)`;
const WAKE_WHATEVER = `UPDATE workflows SET due_at = ? WHERE workflow_id = ? AND status = 'waiting'
  AND (due_at IS NULL OR due_at > ?)`;

/**
 * Makes a workflow due that is waiting.
 *
 * @param topic only if it is waiting for a message of this topic
 */
export function wakeWorkflow(workflowId: string, now: number, topic?: string): Statement {
  return topic === undefined
    ? { sql: WAKE_WHATEVER, params: [now, workflowId, now] }
    : { sql: WAKE, params: [now, workflowId, now, topic] };
}

/** The messages of a topic that are kept for a workflow, the oldest first. */
export function keptAfter(workflowId: string, topic: string, after: number): PagedQuery {
  return {
    columns: ["message", "workflow_id", "topic", "payload_json", "sent_at", "checksum"],
    table: "messages",
    key: ["message"],
    large: ["payload_json"],
    where: "workflow_id = ? AND topic = ? AND consumed IS NULL AND message > ?",
    params: [workflowId, topic, after],
    orderBy: ["message"],
  };
}

/** The number of the first message of a topic that is kept for a workflow after a certain one. */
export function selectFirstKept(workflowId: string, topic: string, after: number): Statement {
  return {
    sql: `SELECT message FROM messages INDEXED BY messages_kept
      WHERE workflow_id = ? AND topic = ? AND consumed IS NULL AND message > ? ORDER BY message LIMIT 1`,
    params: [workflowId, topic, after],
  };
}

/** A row for each of some topics of which a message is kept for a workflow, with the first of them. */
export function selectKeptTopics(workflowId: string, topics: readonly string[]): Statement {
  return {
    sql: `SELECT topic, message FROM (
        SELECT t.value AS topic, (
          SELECT m.message FROM messages m INDEXED BY messages_kept
          WHERE m.workflow_id = ? AND m.topic = t.value AND m.consumed IS NULL
          ORDER BY m.message LIMIT 1) AS message
        FROM json_each(?) t)
      WHERE message IS NOT NULL`,
    params: [workflowId, JSON.stringify(topics)],
  };
}

/** The messages that are kept for a workflow after a certain one, in their order, without what they say. */
export function selectNews(workflowId: string, after: number, limit: number): Statement {
  return {
    sql: `SELECT message, topic FROM messages INDEXED BY messages_in_order
      WHERE workflow_id = ? AND consumed IS NULL AND message > ? ORDER BY message LIMIT ?`,
    params: [workflowId, after, limit],
  };
}

/** A row if there is a message with this key. */
export function selectMessageByKey(workflowId: string, topic: string, key: string): Statement {
  return {
    sql: "SELECT 1 AS found FROM messages WHERE workflow_id = ? AND topic = ? AND idempotency_key = ?",
    params: [workflowId, topic, key],
  };
}

const OWNED =
  "EXISTS (SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')";
const CONSUME = `UPDATE messages SET consumed = ?, payload_json = NULL, checksum = ?
  WHERE message = ? AND consumed IS NULL AND ${OWNED}`;
const UNCOUNT_ONE = `UPDATE mailboxes SET kept = kept - 1 WHERE workflow_id = ? AND counted >= ? AND EXISTS (
    SELECT 1 FROM messages m WHERE m.message = ? AND m.consumed IS NULL) AND ${OWNED}`;

/** Takes a message out of what is kept: it has become a completion. */
export function consumeMessage(
  { workflow, run }: Ownership,
  message: Message & { readonly message: number },
  completion: number,
): Statement[] {
  const checksum = messageChecksum({ ...message, payloadJson: null });
  const { message: number, workflowId } = message;
  return [
    { sql: UNCOUNT_ONE, params: [workflowId, number, number, workflow, run] },
    { sql: CONSUME, params: [completion, checksum, number, workflow, run] },
  ];
}

/** SQL that has the mailbox know what is about to be taken out of what is kept of a topic. */
const uncount = (fence: string, and = "") =>
  `UPDATE mailboxes SET kept = kept - (
    SELECT count(*) FROM messages m INDEXED BY messages_kept WHERE m.workflow_id = mailboxes.workflow_id
      AND m.topic = ? AND m.consumed IS NULL AND m.message <= mailboxes.counted${and})
  WHERE workflow_id = ? AND ${fence}`;

const BLOCKED =
  "EXISTS (SELECT 1 FROM workflows w WHERE w.workflow_id = TABLE.workflow_id AND w.status = 'blocked')";
const DISCARD = `UPDATE messages SET consumed = 0 WHERE workflow_id = ? AND topic = ? AND consumed IS NULL
  AND ${BLOCKED.replace("TABLE", "messages")}`;
const UNCOUNT_DISCARDED = uncount(BLOCKED.replace("TABLE", "mailboxes"));

/** Takes the messages of a topic out of what is kept for a workflow that is blocked. */
export function discardMessages(workflowId: string, topic: string): Statement[] {
  return [
    { sql: UNCOUNT_DISCARDED, params: [topic, workflowId] },
    { sql: DISCARD, params: [workflowId, topic] },
  ];
}

const AS_SEEN = `EXISTS (
  SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.status = ? AND w.run IS ? AND ${hasOwnKey("w")})`;
const FORGET_CANCEL = `UPDATE messages SET consumed = coalesce(consumed, 0), idempotency_key = NULL
  WHERE workflow_id = ? AND topic = ? AND idempotency_key = ? AND ${AS_SEEN}`;
const UNCOUNT_CANCEL = uncount(AS_SEEN, " AND m.idempotency_key = ?");
const FORGET_KEPT =
  `UPDATE messages SET consumed = 0 WHERE workflow_id = ? AND topic = ? AND consumed IS NULL AND ${AS_SEEN}`;
const UNCOUNT_KEPT = uncount(AS_SEEN);

/** Has a request with a key be as if it had never been made, if its workflow is still as it was seen. */
export function forgetRequest(
  seen: Seen,
  message: Pick<Message, "workflowId" | "topic">,
  key: string,
): Statement[] {
  const { workflowId, topic } = message;
  const asSeen = [seen.workflow, seen.status, seen.run];
  return [
    { sql: UNCOUNT_CANCEL, params: [topic, key, workflowId, ...asSeen] },
    { sql: FORGET_CANCEL, params: [workflowId, topic, key, ...asSeen] },
  ];
}

/** Takes what is kept of a topic out of what is kept, if the workflow that it is about is still as it was seen. */
export function forgetKept(seen: Seen, message: Pick<Message, "workflowId" | "topic">): Statement[] {
  const { workflowId, topic } = message;
  const asSeen = [seen.workflow, seen.status, seen.run];
  return [
    { sql: UNCOUNT_KEPT, params: [topic, workflowId, ...asSeen] },
    { sql: FORGET_KEPT, params: [workflowId, topic, ...asSeen] },
  ];
}

/** Whom the messages after a certain one are for, in their order. */
export function selectRecipients(after: number, limit: number): Statement {
  return {
    sql: "SELECT message, workflow_id FROM messages WHERE message > ? ORDER BY message LIMIT ?",
    params: [after, limit],
  };
}

/** The number of the last message. */
export function selectLastMessage(): Statement {
  return { sql: "SELECT max(message) AS message FROM messages", params: [] };
}
