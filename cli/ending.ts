import {
  EngineClosedError,
  LeaseLostError,
  StoreError,
  WorkflowBlockedError,
  WorkflowBusyError,
} from "../mod.ts";
import type { WorkflowDetail } from "../mod.ts";
import { ExitStatus } from "./exit_status.ts";

/**
 * How a run ended in this process.
 *
 * - `completed`, `failed`, `blocked`, `cancelled`: so did the workflow.
 * - `busy`: another run owns the workflow.
 * - `interrupted`: this process was asked to stop, and did so at a checkpoint.
 * - `stopped`: something that is no outcome of the workflow, such as a full disk; it is as its last checkpoint has it.
 */
export interface Ending {
  readonly kind: keyof typeof EXIT_STATUS;
  readonly id: string;
  /** What the workflow returned. */
  readonly output?: unknown;
  /** Why it did not return. */
  readonly error?: unknown;
  /** What is stored of it, as far as that can be read. */
  readonly detail?: WorkflowDetail;
  readonly elapsedMs: number;
}

const EXIT_STATUS = {
  completed: ExitStatus.completed,
  failed: ExitStatus.failed,
  blocked: ExitStatus.failed,
  cancelled: ExitStatus.failed,
  stopped: ExitStatus.failed,
  busy: ExitStatus.busy,
  interrupted: ExitStatus.interrupted,
} as const;

/** What the process tells its parent of an ending. */
export function exitStatusOf(ending: Ending): ExitStatus {
  return EXIT_STATUS[ending.kind];
}

/** The kind of an ending with an error: by what is stored, and otherwise by the error. */
export function endingKind(error: unknown, detail: WorkflowDetail | undefined): Ending["kind"] {
  if (error instanceof WorkflowBusyError || error instanceof LeaseLostError) return "busy";
  if (error instanceof EngineClosedError) return "interrupted";
  if (error instanceof StoreError) return "stopped";
  const status = detail?.status;
  if (status === "failed" || status === "blocked" || status === "cancelled") return status;
  return error instanceof WorkflowBlockedError ? "blocked" : "failed";
}
