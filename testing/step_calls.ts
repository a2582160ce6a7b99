import { LimitExceededError } from "../engine/errors.ts";

/** A call of a step's function, or of what undoes a step. */
export interface StepCall {
  /** The workflow that the step is part of. */
  readonly workflowId: string;
  /** The step's key: `id#000001`. What undoes a step has its key after `compensate:`. */
  readonly key: string;
  /** Which attempt it was, from 1. One that ended with its process is made again under the same number. */
  readonly attempt: number;
  /** In which life of the engine it was, from 1: each crash begins a new one. */
  readonly life: number;
  /** Whether the step had been completed before, and should not have run: always `false`, as far as the engine is right. */
  readonly hadCheckpoint: boolean;
}

/** How many calls are kept. */
const MAX_CALLS = 1_000_000;

/** The calls of step functions, in their order. */
export class StepCalls {
  readonly #calls: StepCall[] = [];

  /** All of them. */
  get all(): readonly StepCall[] {
    return this.#calls;
  }

  /** @throws {LimitExceededError} if there are too many */
  add(call: StepCall): void {
    if (this.#calls.length >= MAX_CALLS) {
      throw new LimitExceededError("calls of step functions", MAX_CALLS, `call step "${call.key}"`);
    }
    this.#calls.push(call);
  }

  /** How often a step's function was called. @param step its key, or its id for all of its keys */
  count(step: string, workflowId?: string): number {
    return this.#calls.filter((call) =>
      isStep(step, call.key) && (workflowId === undefined || call.workflowId === workflowId)
    ).length;
  }

  /** The attempts that were made more than once: that is, again after a crash. */
  repeated(): { readonly workflowId: string; readonly key: string; readonly times: number }[] {
    const counts = new Map<string, { call: StepCall; times: number }>();
    for (const call of this.#calls) {
      const name = JSON.stringify([call.workflowId, call.key, call.attempt]);
      const entry = counts.get(name);
      if (entry === undefined) counts.set(name, { call, times: 1 });
      else entry.times++;
    }
    return [...counts.values()].filter(({ times }) => times > 1)
      .map(({ call: { workflowId, key }, times }) => ({ workflowId, key, times }));
  }
}

/** Whether a step of this key is meant. @param step a step's id, or its key */
export function isStep(step: string, key: string): boolean {
  return key === step || key.replace(/#\d{6}$/, "") === step;
}
