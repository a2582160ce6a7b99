import { CorruptCheckpointError } from "../errors.ts";
import type { Database, Row, Statement } from "./database.ts";
import * as statements from "./message_statements.ts";
import { type PageLimits, readPage, selectPage } from "./pages.ts";
import { type Message, messageChecksum, textOrNull } from "./rows.ts";

/** How many topics are asked for with one query. */
const MAX_TOPICS = 500;
/** How many messages are looked at with one. */
const MAX_NEWS = 1_000;

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
    const [, kept, woken] = await this.database.write(this.sending(message, options));
    return { kept: kept === 1, woken: woken === 1 };
  }

  /** The statements of {@linkcode Mailbox.send}; the second changes a row if the message is kept. */
  sending(
    message: Message,
    options: { key: string | undefined; max: number },
  ): [count: Statement, send: Statement, wake: Statement] {
    const { workflowId, topic, sentAt } = message;
    return [
      statements.countMessages(workflowId),
      statements.sendMessage(message, options),
      statements.wakeWorkflow(workflowId, sentAt, topic),
    ];
  }

  /** Whether there is a message with this key, kept or consumed. */
  async has(workflowId: string, topic: string, key: string): Promise<boolean> {
    return (await this.database.read(statements.selectMessageByKey(workflowId, topic, key))).length > 0;
  }

  /**
   * The messages of a topic that are kept for a workflow, the oldest first, as many as make a page.
   *
   * @throws {CorruptCheckpointError} if one is not as it was written
   */
  async kept(
    workflowId: string,
    topic: string,
    limits: PageLimits,
  ): Promise<{ messages: KeptMessage[]; more: boolean }> {
    const query = statements.keptAfter(workflowId, topic, 0);
    const { rows, more } = await readPage(this.database, query, limits);
    return { messages: rows.map((row) => this.#readMessage(row)), more };
  }

  /** The first of them, if there is one. @throws {CorruptCheckpointError} likewise */
  async first(workflowId: string, topic: string): Promise<KeptMessage | undefined> {
    const { sql, params } = selectPage(statements.keptAfter(workflowId, topic, 0), 1);
    const [row] = await this.database.read({ sql, params });
    return row && this.#readMessage(row);
  }

  /** The number of the first of them after a certain one, if there is one. */
  async firstAfter(workflowId: string, topic: string, after: number): Promise<number | undefined> {
    const [row] = await this.database.read(statements.selectFirstKept(workflowId, topic, after));
    return row?.message as number | undefined;
  }

  /** Of which of some topics a message is kept for a workflow; the one with the oldest comes first. */
  async keptTopics(workflowId: string, topics: readonly string[]): Promise<string[]> {
    const found: Row[] = [];
    for (let i = 0; i < topics.length; i += MAX_TOPICS) {
      const some = topics.slice(i, i + MAX_TOPICS);
      for (const row of await this.database.read(statements.selectKeptTopics(workflowId, some))) {
        found.push(row);
      }
    }
    found.sort((a, b) => (a.message as number) - (b.message as number));
    return found.map(({ topic }) => String(topic));
  }

  /**
   * The topics of the messages that have come for a workflow after a certain one, and are kept.
   *
   * @returns them, and the number of the last message that there is
   */
  async news(workflowId: string, after: number): Promise<{ topics: Set<string>; last: number }> {
    const topics = new Set<string>();
    for (let last = after;;) {
      const rows = await this.database.read(statements.selectNews(workflowId, last, MAX_NEWS));
      for (const row of rows) topics.add(String(row.topic));
      last = rows.at(-1)?.message as number | undefined ?? last;
      if (rows.length < MAX_NEWS) return { topics, last };
    }
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
