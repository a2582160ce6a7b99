import { CorruptCheckpointError } from "../errors.ts";
import type { Database, Row, Statement } from "./database.ts";
import * as statements from "./message_statements.ts";
import { type Message, messageChecksum, textOrNull } from "./rows.ts";

/** A message that is kept, with its number. */
export interface KeptMessage extends Message {
  readonly message: number;
}

/** What became of a message that was sent. */
export type Sent = {
  /** Whether it is kept now; if not, it was there already, its workflow has ended, or there are too many. */
  readonly kept: boolean;
  /** Whether its workflow was waiting for it, and is due now. */
  readonly woken: boolean;
};

/**
 * The messages that are kept for workflows, whether these exist, run, wait, or not: signals, the ends of children,
 * requests to cancel or to pause. In the words of the engine; what it may change is fenced in its statements.
 */
export class Mailbox {
  constructor(private readonly database: Database) {}

  /**
   * Keeps a message, and makes its workflow due if that is waiting for it: one commit, so that neither can be lost.
   *
   * @param options.key another message with the same topic and key is this one
   * @param options.max how many messages may be kept for one workflow
   */
  async send(message: Message, options: { key: string | undefined; max: number }): Promise<Sent> {
    const [kept, woken] = await this.database.write(this.sending(message, options));
    return { kept: kept === 1, woken: woken === 1 };
  }

  /** The statements of {@linkcode Mailbox.send}; the first changes a row if the message is kept. */
  sending(message: Message, options: { key: string | undefined; max: number }): Statement[] {
    const { workflowId, topic, sentAt } = message;
    return [
      statements.sendMessage(message, options),
      statements.wakeWorkflow(workflowId, sentAt, topic),
    ];
  }

  /** Whether there is a message with this key, kept or consumed. */
  async has(workflowId: string, topic: string, key: string): Promise<boolean> {
    return (await this.database.read(statements.selectMessageByKey(workflowId, topic, key))).length > 0;
  }

  /**
   * The messages of a topic that are kept for a workflow, the oldest first.
   *
   * @throws {CorruptCheckpointError} if one is not as it was written
   */
  async kept(workflowId: string, topic: string, limit: number): Promise<KeptMessage[]> {
    const rows = await this.database.read(statements.selectKept(workflowId, topic, limit));
    return rows.map((row) => this.#readMessage(row));
  }

  #readMessage(row: Row): KeptMessage {
    const message = {
      message: row.message as number,
      workflowId: String(row.workflow_id),
      topic: String(row.topic),
      payloadJson: textOrNull(row.payload_json),
      sentAt: row.sent_at as number,
    };
    if (typeof (row.payload_json ?? "") !== "string" || messageChecksum(message) !== row.checksum) {
      const { workflowId, topic } = message;
      throw new CorruptCheckpointError(
        this.database.location,
        workflowId,
        topic,
        "a message with another checksum",
      );
    }
    return message;
  }

  /**
   * For whom messages have come after a certain one.
   *
   * @param limit how many messages are looked at, at most
   * @returns the ids of their workflows, how many messages there were, and the number of the last of them
   */
  async recipients(
    after: number,
    limit: number,
  ): Promise<{ workflowIds: Set<string>; count: number; last: number }> {
    const rows = await this.database.read(statements.selectRecipients(after, limit));
    return {
      workflowIds: new Set(rows.map((row) => String(row.workflow_id))),
      count: rows.length,
      last: rows.at(-1)?.message as number | undefined ?? after,
    };
  }

  /** The number of the last message, 0 where there is none. */
  async last(): Promise<number> {
    const [row] = await this.database.read(statements.selectLastMessage());
    return row!.message as number | null ?? 0;
  }
}

/** How many messages are kept for one workflow that it has not consumed. */
export const MAX_KEPT = 100_000;

/** The topic of a request to cancel a workflow. */
export const CANCEL_TOPIC = "cancel";
/** The topic of a request to pause one. */
export const PAUSE_TOPIC = "pause";

/** The topic of a signal. */
export function signalTopic(name: string): string {
  return `signal:${name}`;
}

/** The topic of the end of a child. */
export function childTopic(workflowId: string): string {
  return `child:${workflowId}`;
}
