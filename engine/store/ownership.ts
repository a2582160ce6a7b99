import type { WorkflowStatus } from "./rows.ts";

/** The right to write to a workflow. */
export interface Ownership {
  readonly workflowId: string;
  /** The short key of the workflow. */
  readonly workflow: number;
  readonly run: number;
}

/** What a workflow looked like when it was decided to take it over. */
export interface Seen {
  readonly workflow: number;
  readonly status: WorkflowStatus;
  readonly run: number | null;
}
