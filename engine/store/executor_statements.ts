/**
 * The statements about executors: the processes that own workflows.
 *
 * @module
 */

import type { Statement } from "./database.ts";

const RENEW = `INSERT INTO executors (executor, lease_until) VALUES (?, ?)
  ON CONFLICT (executor) DO UPDATE SET lease_until = excluded.lease_until`;

/** Registers an executor, or renews its lease. */
export function renewLease(executor: number, leaseUntil: number): Statement {
  return { sql: RENEW, params: [executor, leaseUntil] };
}

/** Strikes an executor off, whose process has ended: what it owned is free. */
export function removeExecutor(executor: number): Statement {
  return { sql: "DELETE FROM executors WHERE executor = ?", params: [executor] };
}

/** The executors that are registered. */
export function selectExecutors(limit: number): Statement {
  return { sql: "SELECT executor FROM executors LIMIT ?", params: [limit] };
}
