import type { WorkflowStatus } from "./rows.ts";

/** The right to write to a workflow. */
export interface Ownership {
  readonly workflowId: string;
  /** The short key of the workflow. */
  readonly workflow: number;
  readonly run: number;
  /** Whether it belongs to a partition of a queue: others of that may begin when it gives its slot back. */
  readonly isPartitioned?: boolean;
}

/** What a workflow looked like when it was decided to take it over. */
export interface Seen {
  readonly workflow: number;
  readonly status: WorkflowStatus;
  readonly run: number | null;
}

/** The same, with what it takes to bring the lines of its queue up to date. */
export interface SeenInQueue extends Seen {
  /** The short key of the queue that it was put into. */
  readonly queue: number | null;
  /** The part of it that it belongs to. */
  readonly partition: string | null;
}

/** Whether a workflow's deduplication key is its own: no other one has it that has not ended. SQL. */
export const hasOwnKey = (row: string): string =>
  `(${row}.deduplication_key IS NULL OR NOT EXISTS (
    SELECT 1 FROM workflows k INDEXED BY workflows_deduplicated
    WHERE k.queue = ${row}.queue AND k.deduplication_key = ${row}.deduplication_key AND k.deduplication_key IS NOT NULL
      AND k.status IN ('pending', 'running', 'waiting', 'blocked') AND k.workflow <> ${row}.workflow))`;

/** On what terms a workflow is taken over. */
export interface Takeover {
  readonly run: number;
  readonly executor: number;
  /** How often in a row it has been, without a new checkpoint. */
  readonly recoveries: number;
  /** The last completion that there is, if its process was lost. */
  readonly recoveredCompletion: number | null;
  readonly now: number;
  /** The lease of who owned it, where that is over whatever the clock says. */
  readonly overLease?: number | null;
}
