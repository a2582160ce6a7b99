import type { EngineEvent } from "../mod.ts";

/** A workflow that runs in this process. */
export interface RunningWorkflow {
  readonly workflowId: string;
  readonly workflow: string;
}

/** The workflows that run in this process just now, by its engine's events. */
export class RunningWorkflows {
  readonly #running = new Map<string, RunningWorkflow>();

  observe({ type, workflowId, workflow }: EngineEvent): void {
    if (workflowId === undefined) return;
    if (type === "started") this.#running.set(workflowId, { workflowId, workflow });
    else if (ENDS.has(type)) this.#running.delete(workflowId);
  }

  /** Those of workflows of these names; all of them where no names are given. */
  of(names?: ReadonlySet<string>): RunningWorkflow[] {
    return [...this.#running.values()].filter(({ workflow }) => names === undefined || names.has(workflow));
  }
}

const ENDS: ReadonlySet<EngineEvent["type"]> = new Set<EngineEvent["type"]>(
  ["completed", "failed", "cancelled", "blocked", "waiting", "suspended"],
);
