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

/** On what terms a workflow is taken over. */
export interface Takeover {
  readonly run: number;
  readonly executor: number;
  /** How often in a row it has been, without a new checkpoint. */
  readonly recoveries: number;
  /** The last completion that there is, if its process was lost. */
  readonly recoveredCompletion: number | null;
  readonly now: number;
}
