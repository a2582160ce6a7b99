/**
 * Executors as people and programs look at them from outside.
 *
 * @module
 */

import { executorName } from "./ids.ts";
import type { ExecutorRecord } from "./store/executor_registry.ts";

/** A process that runs workflows of a store, in a list. */
export interface ExecutorSummary {
  /** `e_` and twelve hexadecimal digits: another one each time an engine is opened. */
  readonly id: string;
  /** The number of its process, on its machine; undefined for one of an older version of Stepwell. */
  readonly pid?: number;
  /** The name of its machine, if the process has the permission to know it (`--allow-sys=hostname`). */
  readonly host?: string;
  /** When it took its first workflow, or began to work. */
  readonly startedAt?: Date;
  /** The workflows that it was opened with, by name and version; undefined for one of an older version of Stepwell. */
  readonly workflows?: readonly { readonly name: string; readonly version?: string }[];
  /** Whether it claims what no process runs: `engine.work()`. */
  readonly isWorking: boolean;
  /** The names of the queues that it works on, and on nothing else; undefined for all that there is. */
  readonly queues?: readonly string[];
  /** Whether its process lives, as far as its lock tells. */
  readonly state: "alive" | "gone" | "unknown";
  /** Until when it keeps what it runs, should it not answer; one that runs nothing lets this pass. */
  readonly leaseUntil: Date;
  /** How many workflows it runs. */
  readonly running: number;
  /** Whether it is the engine that was asked. */
  readonly isSelf: boolean;
}

/** What a list shows of an executor. @param self the one that is asked */
export function summarizeExecutor(record: ExecutorRecord, self: number): ExecutorSummary {
  const { executor, pid, startedAt, liveness, leaseUntil, running, host, codes, isWorking, queues } = record;
  return {
    id: executorName(executor),
    ...pid !== null && { pid },
    ...host !== null && { host },
    ...startedAt !== null && { startedAt: new Date(startedAt) },
    ...codes !== undefined && { workflows: codes },
    isWorking,
    ...queues !== undefined && { queues },
    state: liveness,
    leaseUntil: new Date(leaseUntil),
    running,
    isSelf: executor === self,
  };
}
