/**
 * The statements about what workflows show to the outside: values that were published, and streams. Those that write
 * are fenced as the checkpoint is that they are committed with.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import type { Ownership } from "./ownership.ts";
import type { PagedQuery } from "./pages.ts";
import { type Checkpoint, type Publication, publicationChecksum, type ShownPublication } from "./rows.ts";

const PUBLISH = `INSERT INTO published (workflow, key, value_json, published_at, completion, checksum)
  SELECT workflow, ?, ?, ?, ?, ? FROM workflows WHERE workflow = ? AND run = ? AND status = 'running'
  ON CONFLICT (workflow, key) DO UPDATE SET value_json = excluded.value_json, published_at = excluded.published_at,
    completion = excluded.completion, checksum = excluded.checksum`;
const EMIT = `INSERT INTO emitted (stream, workflow, value_json, emitted_at, completion, checksum, position)
  SELECT ?, w.workflow, ?, ?, ?, ?,
    coalesce((SELECT max(e.position) + 1 FROM emitted e WHERE e.workflow = w.workflow AND e.stream = ?), 0)
  FROM workflows w WHERE w.workflow = ? AND w.run = ? AND w.status = 'running'`;

/** Shows what a checkpoint shows: by its kind, a value takes the place of the one before it, or is added to a stream. */
export function writePublication(
  { workflow, workflowId, run }: Ownership,
  checkpoint: Checkpoint,
  publication: Publication,
): Statement {
  const { name, valueJson } = publication;
  const { kind, startedAt, completion } = checkpoint;
  const checksum = publicationChecksum(workflowId, checkpoint, publication);
  const columns = [name, valueJson, startedAt, completion, checksum];
  return kind === "publish"
    ? { sql: PUBLISH, params: [...columns, workflow, run] }
    : { sql: EMIT, params: [...columns, name, workflow, run] };
}

/**
 * The values that a workflow has published with one of its completions up to a certain one, by their keys.
 *
 * @param after the last one of the page before
 */
export function publishedAfter(
  workflow: number,
  after: Pick<ShownPublication, "name"> | undefined,
  last: number,
): PagedQuery {
  return {
    columns: [
      { column: "key", as: "name" },
      { column: "published_at", as: "at" },
      "value_json",
      "completion",
      "checksum",
    ],
    table: "published",
    key: ["workflow", "key"],
    large: ["value_json"],
    where: "workflow = ? AND key > ? AND completion <= ?",
    params: [workflow, after?.name ?? "", last],
    orderBy: ["key"],
  };
}

/** The entries of a workflow's streams, by stream and position, likewise. */
export function emittedAfter(
  workflow: number,
  after: Pick<ShownPublication, "name" | "position"> | undefined,
  last: number,
): PagedQuery {
  return {
    columns: [
      { column: "stream", as: "name" },
      "position",
      { column: "emitted_at", as: "at" },
      "value_json",
      "completion",
      "checksum",
    ],
    table: "emitted",
    key: ["workflow", "stream", "position"],
    large: ["value_json"],
    where: "workflow = ? AND (stream, position) > (?, ?) AND completion <= ?",
    params: [workflow, after?.name ?? "", after?.position ?? -1, last],
    orderBy: ["stream", "position"],
  };
}

/** The latest value under a key. */
export function selectPublished(workflow: number, key: string): Statement {
  return {
    sql: `SELECT value_json, published_at AS at, completion, checksum FROM published
      WHERE workflow = ? AND key = ?`,
    params: [workflow, key],
  };
}

/**
 * The entries of a stream from a position on, in their order: one at least, if there is one.
 *
 * @param limits.bytes how many bytes their values may have together, but for the last of them
 */
export function selectEmitted(
  workflow: number,
  stream: string,
  limits: { from: number; rows: number; bytes: number },
): Statement {
  return {
    sql: `SELECT e.position, e.value_json, e.emitted_at AS at, e.completion, e.checksum
      FROM (
        SELECT position, sum(size) OVER (ORDER BY position) - size AS before
        FROM (
          SELECT position, coalesce(octet_length(value_json), 0) AS size FROM emitted
          WHERE workflow = ? AND stream = ? AND position >= ? ORDER BY position LIMIT ?
        )
      ) p CROSS JOIN emitted e ON e.workflow = ? AND e.stream = ? AND e.position = p.position
      WHERE p.before < ? ORDER BY e.position`,
    params: [workflow, stream, limits.from, limits.rows, workflow, stream, limits.bytes],
  };
}
