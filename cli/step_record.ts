import type { EngineEvent, StepDetail, WorkflowDetail } from "../mod.ts";

/** A step, as `--json` prints it. */
export interface StepReport {
  readonly key: string;
  readonly status: StepDetail["status"];
  readonly attempt: number;
  /** Whether its stored result was used in this run. */
  readonly replayed: boolean;
  /** `null` while it runs. */
  readonly durationMs: number | null;
}

/** Remembers from an engine's events what became of each step in this process. */
export class StepRecord {
  readonly #workflows = new Map<string, Map<string, StepReport>>();

  observe(event: EngineEvent): void {
    switch (event.type) {
      case "replayed": {
        const { key, status, attempt, durationMs } = event;
        // What this process has run itself it replays once the workflow comes back from waiting.
        const mine = this.#workflows.get(event.workflowId)?.get(key);
        if (mine !== undefined && mine.status !== "running") return;
        return this.#set(event.workflowId, { key, status, attempt, replayed: true, durationMs });
      }
      case "stepStarted": {
        const { key, attempt } = event;
        return this.#set(event.workflowId, {
          key,
          status: "running",
          attempt,
          replayed: false,
          durationMs: null,
        });
      }
      case "stepCompleted":
      case "stepFailed": {
        const status = event.type === "stepCompleted" ? "completed" : "failed";
        const { key, attempt, durationMs } = event;
        return this.#set(event.workflowId, { key, status, attempt, replayed: false, durationMs });
      }
    }
  }

  /** The steps of a workflow that this process ran or replayed. */
  steps(workflowId: string): StepReport[] {
    return Array.from(this.#workflows.get(workflowId)?.values() ?? []);
  }

  /** All steps of a workflow: those that are stored, with what this process knows of them. */
  stepsOf(detail: WorkflowDetail): StepReport[] {
    const seen = this.#workflows.get(detail.id);
    return detail.steps.map((step) => {
      const mine = seen?.get(step.key);
      const { key, status, attempt } = step;
      return {
        key,
        status,
        attempt,
        replayed: mine?.replayed ?? false,
        durationMs: mine?.durationMs ?? durationOf(step),
      };
    });
  }

  #set(workflowId: string, report: StepReport): void {
    let steps = this.#workflows.get(workflowId);
    if (steps === undefined) this.#workflows.set(workflowId, steps = new Map());
    steps.set(report.key, report);
  }
}

/** How long a stored step took; `null` while it runs. */
export function durationOf({ startedAt, completedAt }: StepDetail): number | null {
  return completedAt === undefined ? null : completedAt.getTime() - startedAt.getTime();
}
