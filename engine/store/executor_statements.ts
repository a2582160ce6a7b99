/**
 * The statements about executors: the processes that own workflows.
 *
 * @module
 */

import type { Statement } from "./database.ts";

/** What is written down of an executor. */
export interface ExecutorEntry {
  readonly executor: number;
  /** The number of its process, on its machine. */
  readonly pid: number;
  readonly startedAt: number;
  /** The name of its machine, if the process may know it. */
  readonly host: string | null;
  /** The names and versions of the code that it has, as JSON: see {@linkcode codesParam}. */
  readonly codes: string;
  /** Whether it claims what no process runs. */
  readonly isWorking: boolean;
  /** The names of the queues that it works on, and on nothing else, as JSON; null for all that there is. */
  readonly queues: string | null;
}

const RENEW = `INSERT INTO executors (executor, lease_until, pid, started_at, host, codes, is_working, queues)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (executor) DO UPDATE SET lease_until = excluded.lease_until, is_working = excluded.is_working,
    queues = excluded.queues`;

/** Registers an executor, or renews its lease. */
export function renewLease(entry: ExecutorEntry, leaseUntil: number): Statement {
  const { executor, pid, startedAt, host, codes, isWorking, queues } = entry;
  return {
    sql: RENEW,
    params: [executor, leaseUntil, pid, startedAt, host, codes, Number(isWorking), queues],
  };
}

/** Strikes an executor off, whose process has ended: what it owned is free. */
export function removeExecutor(executor: number): Statement {
  return { sql: "DELETE FROM executors WHERE executor = ?", params: [executor] };
}

/** The executors that are registered. */
export function selectExecutors(limit: number): Statement {
  return { sql: "SELECT executor FROM executors LIMIT ?", params: [limit] };
}

/** The executors that are registered, with how many workflows each of them runs, the oldest first. */
export function selectExecutorUse(limit: number): Statement {
  return {
    sql: `SELECT e.executor, e.lease_until, e.pid, e.started_at, e.host, e.codes, e.is_working, e.queues, (
        SELECT count(*) FROM workflows w INDEXED BY workflows_running
        WHERE w.status = 'running' AND w.executor = e.executor) AS running
      FROM executors e ORDER BY e.started_at, e.executor LIMIT ?`,
    params: [limit],
  };
}
