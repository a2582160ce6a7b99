/**
 * The statements that keep the lines of queues true: which workflows wait in a queue to begin, how many, and which of their
 * partitions have room. A batch that changes the status, the rank or the slot of a workflow of a queue ends with those
 * that are about it; they look at its row as the batch has left it, so it does not matter whether the rest had an effect.
 *
 * A line is a row that is updated in the same transaction as what it counts. There are no triggers, so a store in which
 * several transactions write at a time can lock the rows of lines and queues first, and run the same statements.
 *
 * @module
 */

import type { Statement } from "./database.ts";

/** A workflow, by its short key or its id. */
export type WorkflowKey = number | { readonly workflowId: string };

/** Whether a workflow waits in a queue to begin: SQL. */
const inLine = (row: string) =>
  `${row}.queue IS NOT NULL AND ${row}.placed IS NULL AND ${row}.status IN ('pending', 'waiting')`;

/** The name of the line of a workflow within its queue: its partition, where the queue limits those. SQL. */
const partitionOf = (row: string, queue = "q") =>
  `CASE WHEN ${queue}.partition_concurrency IS NULL THEN '' ELSE coalesce(${row}.partition, '') END`;

/** Whether as many of the partition of a workflow are under way as may be: SQL. */
const isFull = (row: string) =>
  `CASE WHEN q.partition_concurrency IS NULL OR ${row}.partition IS NULL THEN 0
    ELSE (SELECT count(*) FROM workflows u INDEXED BY workflows_placed
      WHERE u.placed = 1 AND u.queue = q.queue AND u.partition = ${row}.partition) >= q.partition_concurrency END`;

/** The least rank of those of a line that may begin, but for one workflow: SQL. */
const HEAD_WITHOUT = `(SELECT i.rank FROM workflows i INDEXED BY workflows_in_line
  WHERE i.line = lines.line AND i.line IS NOT NULL AND i.status = 'pending' AND i.workflow <> ? ORDER BY i.rank LIMIT 1)`;

const leaving = (condition: string) => ({
  lines: `UPDATE lines SET waiting = waiting - 1, head_rank = ${HEAD_WITHOUT}
    WHERE line = (SELECT w.line FROM workflows w WHERE w.workflow = ? AND ${condition})`,
  queue: `UPDATE queues SET depth = depth - 1
    WHERE queue = (SELECT w.queue FROM workflows w WHERE w.workflow = ? AND w.line IS NOT NULL AND ${condition})`,
  empty: `DELETE FROM lines WHERE waiting = 0
    AND line = (SELECT w.line FROM workflows w WHERE w.workflow = ? AND ${condition})`,
  row: `UPDATE workflows SET line = NULL WHERE workflow = ? AND line IS NOT NULL AND ${
    condition.replaceAll("w.", "workflows.")
  }`,
});
const LEAVE = leaving(`NOT (${inLine("w")})`);
const WITHDRAW = leaving("w.run IS NULL AND w.status IN ('pending', 'waiting')");

const leave = ({ lines, queue, empty, row }: typeof LEAVE, workflow: number): Statement[] => [
  { sql: lines, params: [workflow, workflow] },
  { sql: queue, params: [workflow] },
  { sql: empty, params: [workflow] },
  { sql: row, params: [workflow] },
];

/** Takes a workflow out of its line, if it does not wait to begin any more. */
export function leaveLine(workflow: number): Statement[] {
  return leave(LEAVE, workflow);
}

/** Takes a workflow that has not begun out of its line, before its place there is changed: it joins one after that. */
export function withdrawFromLine(workflow: number): Statement[] {
  return leave(WITHDRAW, workflow);
}

const joining = (key: "workflow" | "workflow_id") => ({
  lines: `INSERT INTO lines (queue, partition, name, version, waiting, head_rank, is_full)
    SELECT w.queue, ${
    partitionOf("w")
  }, w.name, w.version, 1, CASE w.status WHEN 'pending' THEN w.rank END, ${isFull("w")}
    FROM workflows w JOIN queues q ON q.queue = w.queue WHERE w.${key} = ? AND w.line IS NULL AND ${
    inLine("w")
  }
    ON CONFLICT (queue, partition, name, version) DO UPDATE SET waiting = lines.waiting + 1,
      head_rank = CASE WHEN lines.head_rank IS NULL OR excluded.head_rank < lines.head_rank THEN excluded.head_rank
        ELSE lines.head_rank END`,
  queue: `UPDATE queues SET depth = depth + 1 WHERE queue = (
    SELECT w.queue FROM workflows w WHERE w.${key} = ? AND w.line IS NULL AND ${inLine("w")})`,
  row: `UPDATE workflows SET line = (
      SELECT l.line FROM queues q JOIN lines l ON l.queue = q.queue AND l.partition = ${
    partitionOf("workflows")
  }
        AND l.name = workflows.name AND l.version = workflows.version WHERE q.queue = workflows.queue)
    WHERE ${key} = ? AND line IS NULL AND ${inLine("workflows")}`,
});
const JOIN_BY_KEY = joining("workflow");
const JOIN_BY_ID = joining("workflow_id");

/** Counts a workflow in its line, if it waits to begin and is not counted yet. */
export function joinLine(workflow: WorkflowKey): Statement[] {
  const { lines, queue, row } = typeof workflow === "number" ? JOIN_BY_KEY : JOIN_BY_ID;
  const params = [typeof workflow === "number" ? workflow : workflow.workflowId];
  return [{ sql: lines, params }, { sql: queue, params }, { sql: row, params }];
}

const FULL = `UPDATE lines SET is_full = (SELECT ${isFull("lines")} FROM queues q WHERE q.queue = lines.queue)
  WHERE partition <> '' AND queue = (SELECT w.queue FROM workflows w WHERE w.workflow = ?)
    AND partition = (SELECT w.partition FROM workflows w WHERE w.workflow = ?)`;

/** Notes whether the partition of a workflow has room, after the workflow has taken a slot or given it back. */
export function notePartition(workflow: number): Statement {
  return { sql: FULL, params: [workflow, workflow] };
}

/** Brings the lines of one queue up to date with whether and how it limits its partitions, through all that waits in it. */
export function orderLines(queue: string): Statement[] {
  const key = "(SELECT q.queue FROM queues q WHERE q.name = ?)";
  const old = `SELECT o.line FROM lines o WHERE o.queue = -${key}`;
  return [
    { sql: `UPDATE lines SET queue = -queue WHERE queue = ${key}`, params: [queue] },
    {
      sql: `INSERT INTO lines (queue, partition, name, version, waiting, head_rank, is_full)
        SELECT q.queue, ${partitionOf("w")} AS part, w.name, w.version, count(*),
          min(CASE w.status WHEN 'pending' THEN w.rank END), ${isFull("w")}
        FROM queues q JOIN workflows w INDEXED BY workflows_in_line ON w.line IN (${old}) AND w.line IS NOT NULL
        WHERE q.name = ? GROUP BY part, w.name, w.version`,
      params: [queue, queue],
    },
    {
      sql: `UPDATE workflows INDEXED BY workflows_in_line SET line = (
          SELECT l.line FROM queues q JOIN lines l ON l.queue = q.queue AND l.partition = ${
        partitionOf("workflows")
      }
            AND l.name = workflows.name AND l.version = workflows.version WHERE q.name = ?)
        WHERE line IN (${old}) AND line IS NOT NULL`,
      params: [queue, queue],
    },
    { sql: `DELETE FROM lines WHERE queue = -${key}`, params: [queue] },
  ];
}
