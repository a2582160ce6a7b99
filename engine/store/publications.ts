import { CorruptCheckpointError } from "../errors.ts";
import type { Database, Row } from "./database.ts";
import * as statements from "./publication_statements.ts";
import { publicationChecksum, textOrNull } from "./rows.ts";

/** A workflow, by both of its names. */
interface Named {
  readonly workflowId: string;
  readonly workflow: number;
}

/** A value that was published. */
export interface PublishedRow {
  readonly valueJson: string | null;
}

/** An entry of a stream. */
export interface EmittedRow extends PublishedRow {
  readonly position: number;
  /** The completion that it was emitted with: greater than that of the entry before it. */
  readonly completion: number;
}

/** What workflows show to the outside, to be read; nothing is taken for read that is not as it was written. */
export class Publications {
  constructor(private readonly database: Database) {}

  /**
   * The latest value under a key.
   *
   * @throws {CorruptCheckpointError} if it is not as it was written
   */
  async latest(of: Named, key: string): Promise<PublishedRow | undefined> {
    const [row] = await this.database.read(statements.selectPublished(of.workflow, key));
    if (row === undefined) return undefined;
    const wrong = findWrong(of.workflowId, row, { kind: "publish", name: key });
    if (wrong !== undefined) throw this.corrupt(of.workflowId, publishedKey(key), wrong);
    return { valueJson: textOrNull(row.value_json) };
  }

  /**
   * The entries of a stream that come next.
   *
   * @param after.from the position of the first of them
   * @param after.completion that of the entry before it; 0 where that is not known
   * @param limits how many there are at most, and how many bytes they may have in all, but for the last
   * @throws {CorruptCheckpointError} if one is missing or not as it was written, or not where it was
   */
  async entries(
    of: Named,
    stream: string,
    after: { from: number; completion: number },
    limits: { rows: number; bytes: number },
  ): Promise<EmittedRow[]> {
    const statement = statements.selectEmitted(of.workflow, stream, { from: after.from, ...limits });
    const entries: EmittedRow[] = [];
    let { from: position, completion: last } = after;
    for (const row of await this.database.read(statement)) {
      const completion = row.completion as number;
      const wrong = findWrong(of.workflowId, row, { kind: "emit", name: stream }) ??
        (row.position !== position ? "no such row, and rows after it" : undefined) ??
        (completion <= last ? "a row that belongs before another one" : undefined);
      if (wrong !== undefined) {
        // What is before it is given first.
        if (entries.length > 0) break;
        throw this.corrupt(of.workflowId, emittedKey(stream, position), wrong);
      }
      entries.push({ position, completion, valueJson: textOrNull(row.value_json) });
      position++;
      last = completion;
    }
    return entries;
  }

  /** The error for something that cannot be read back as it was written. */
  corrupt(workflowId: string, key: string, found: string, cause?: unknown): CorruptCheckpointError {
    return new CorruptCheckpointError(this.database.location, workflowId, key, found, { cause });
  }
}

function findWrong(
  workflowId: string,
  row: Row,
  { kind, name }: { kind: "publish" | "emit"; name: string },
): string | undefined {
  if (typeof (row.value_json ?? "") !== "string") return "a column that is no text";
  const checkpoint = { kind, completion: row.completion as number, startedAt: row.at as number };
  const publication = { name, valueJson: textOrNull(row.value_json) };
  return publicationChecksum(workflowId, checkpoint, publication) === row.checksum
    ? undefined
    : "a row with another checksum";
}

/** What is published under a key, for messages. */
export function publishedKey(key: string): string {
  return `publish:${key}`;
}

/** An entry of a stream, for messages. */
export function emittedKey(stream: string, position: number): string {
  return `emit:${stream}[${position}]`;
}
