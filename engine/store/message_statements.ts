/**
 * The statements about messages: what workflows are told from outside, signals above all.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import { type Message, messageChecksum } from "./rows.ts";
import { hasOwnKey, type Ownership, type Seen } from "./ownership.ts";

const SEND = `INSERT INTO messages (workflow_id, topic, payload_json, idempotency_key, sent_at, checksum)
  SELECT ?, ?, ?, ?, ?, ?
  WHERE NOT EXISTS (
      SELECT 1 FROM workflows WHERE workflow_id = ? AND status IN ('completed', 'failed', 'cancelled'))
    AND (SELECT count(*) FROM (SELECT 1 FROM messages WHERE workflow_id = ? AND consumed IS NULL LIMIT ?)) < ?
  ON CONFLICT DO NOTHING`;

/**
 * Keeps a message, unless its workflow has ended, so many are kept for it already, or it is there by its key.
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
export function selectKept(workflowId: string, topic: string, limit: number): Statement {
  return {
    sql: `SELECT message, workflow_id, topic, payload_json, sent_at, checksum FROM messages
      WHERE workflow_id = ? AND topic = ? AND consumed IS NULL ORDER BY message LIMIT ?`,
    params: [workflowId, topic, limit],
  };
}

/** A row if there is a message with this key. */
export function selectMessageByKey(workflowId: string, topic: string, key: string): Statement {
  return {
    sql: "SELECT 1 AS found FROM messages WHERE workflow_id = ? AND topic = ? AND idempotency_key = ?",
    params: [workflowId, topic, key],
  };
}

const CONSUME = `UPDATE messages SET consumed = ?, payload_json = NULL, checksum = ?
  WHERE message = ? AND consumed IS NULL AND EXISTS (
    SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running')`;

/** Takes a message out of what is kept: it has become a completion. */
export function consumeMessage(
  { workflow, run }: Ownership,
  message: Message & { readonly message: number },
  completion: number,
): Statement {
  const checksum = messageChecksum({ ...message, payloadJson: null });
  return { sql: CONSUME, params: [completion, checksum, message.message, workflow, run] };
}

const DISCARD = `UPDATE messages SET consumed = 0 WHERE workflow_id = ? AND topic = ? AND consumed IS NULL
  AND EXISTS (SELECT 1 FROM workflows w WHERE w.workflow_id = messages.workflow_id AND w.status = 'blocked')`;

/** Takes the messages of a topic out of what is kept for a workflow that is blocked. */
export function discardMessages(workflowId: string, topic: string): Statement {
  return { sql: DISCARD, params: [workflowId, topic] };
}

const fencedBySeen = `EXISTS (
  SELECT 1 FROM workflows w WHERE w.workflow = ? AND w.status = ? AND w.run IS ? AND ${hasOwnKey("w")})`;
const FORGET_CANCEL = `UPDATE messages SET consumed = coalesce(consumed, 0), idempotency_key = NULL
  WHERE workflow_id = ? AND topic = ? AND idempotency_key = ? AND ${fencedBySeen}`;
const FORGET_KEPT =
  `UPDATE messages SET consumed = 0 WHERE workflow_id = ? AND topic = ? AND consumed IS NULL AND ${fencedBySeen}`;

/** Has a request with a key be as if it had never been made, if its workflow is still as it was seen. */
export function forgetRequest(
  seen: Seen,
  message: Pick<Message, "workflowId" | "topic">,
  key: string,
): Statement {
  const { workflowId, topic } = message;
  return { sql: FORGET_CANCEL, params: [workflowId, topic, key, seen.workflow, seen.status, seen.run] };
}

/** Takes what is kept of a topic out of what is kept, if the workflow that it is about is still as it was seen. */
export function forgetKept(seen: Seen, message: Pick<Message, "workflowId" | "topic">): Statement {
  const { workflowId, topic } = message;
  return { sql: FORGET_KEPT, params: [workflowId, topic, seen.workflow, seen.status, seen.run] };
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
