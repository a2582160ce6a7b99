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
}

const RENEW = `INSERT INTO executors (executor, lease_until, pid, started_at) VALUES (?, ?, ?, ?)
  ON CONFLICT (executor) DO UPDATE SET lease_until = excluded.lease_until`;

/** Registers an executor, or renews its lease. */
export function renewLease({ executor, pid, startedAt }: ExecutorEntry, leaseUntil: number): Statement {
  return { sql: RENEW, params: [executor, leaseUntil, pid, startedAt] };
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
    sql: `SELECT e.executor, e.lease_until, e.pid, e.started_at, (
        SELECT count(*) FROM workflows w INDEXED BY workflows_running
        WHERE w.status = 'running' AND w.executor = e.executor) AS running
      FROM executors e ORDER BY e.started_at, e.executor LIMIT ?`,
    params: [limit],
  };
}
