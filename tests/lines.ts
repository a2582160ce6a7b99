import { assertEquals } from "@std/assert";
import { query } from "./raw_sqlite.ts";

const IN_LINE = "w.queue IS NOT NULL AND w.placed IS NULL AND w.status IN ('pending', 'waiting')";
const PARTITION = "CASE WHEN q.partition_concurrency IS NULL THEN '' ELSE coalesce(w.partition, '') END";

/** Checks that what is counted of the queues of a file is what there is. */
export function assertLines(file: string): void {
  const counted = query(
    file,
    `SELECT q.name AS queue, l.partition, l.name, l.version, l.waiting, l.head_rank,
      l.is_full FROM lines l JOIN queues q ON q.queue = l.queue ORDER BY 1, 2, 3, 4`,
  );
  const there = query(
    file,
    `SELECT q.name AS queue, ${PARTITION} AS partition, w.name, w.version, count(*) AS waiting,
      min(CASE WHEN w.status = 'pending' THEN w.rank END) AS head_rank,
      q.partition_concurrency IS NOT NULL AND w.partition IS NOT NULL AND (
        SELECT count(*) FROM workflows u WHERE u.placed = 1 AND u.queue = w.queue AND u.partition = w.partition)
        >= q.partition_concurrency AS is_full
      FROM workflows w JOIN queues q ON q.queue = w.queue WHERE ${IN_LINE} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`,
  );
  assertEquals(counted, there);
  const depths = query(
    file,
    `SELECT q.name, q.depth FROM queues q WHERE q.depth <> (SELECT count(*) FROM workflows w WHERE w.queue = q.queue AND ${IN_LINE})`,
  );
  assertEquals(depths, []);
  const misplaced = query(
    file,
    `SELECT w.workflow_id, w.line FROM workflows w LEFT JOIN queues q ON q.queue = w.queue
      LEFT JOIN lines l ON l.line = w.line
      WHERE (${IN_LINE}) <> (w.line IS NOT NULL)
        OR w.line IS NOT NULL AND (l.queue IS NOT w.queue OR l.name IS NOT w.name OR l.version IS NOT w.version
          OR l.partition IS NOT ${PARTITION})`,
  );
  assertEquals(misplaced, []);
}
