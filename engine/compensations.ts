import { CompensationError } from "./errors.ts";
import type { RetryPolicy } from "./retry.ts";
import { Scope } from "./scope.ts";
import { decodeValue } from "./serialize.ts";
import { performStep, type StepHost, type StepOutcome } from "./step.ts";
import type { StepKeys } from "./step_keys.ts";
import type { Checkpoint } from "./store/rows.ts";
import { errorOf } from "./stored_error.ts";
import type { StepInfo } from "./workflow.ts";

/** How a step is undone. */
export interface Compensation {
  /** The key of the step. */
  readonly key: string;
  readonly undo: (output: unknown, info: StepInfo) => unknown;
  readonly policy: RetryPolicy;
  readonly timeoutMs: number | undefined;
}

/** Where compensations are asked for: the execution that the steps were completed in. */
export interface CompensationHost {
  readonly keys: StepKeys;
  ask(
    kind: "compensation",
    key: string,
    scope: Scope,
    perform: (row: Checkpoint | undefined) => Promise<StepOutcome>,
  ): Promise<unknown>;
}

/**
 * The steps of a workflow that can be undone: a saga (Garcia-Molina and Salem, 1987).
 *
 * Owns: which steps have been completed, in their order, and which may yet be. Does not own: whether they are undone.
 *
 * 1. Steps are undone in the reverse of the order in which they were completed, one after the other.
 * 2. Undoing one is a step of its own: it has a checkpoint, and is tried again. One that fails for good is not a part of
 *    the history: it blocks the workflow, and is tried again when that is resumed.
 * 3. What undoes a step is given what the step had returned, whatever the workflow has made of its own copy since.
 */
export class Compensations {
  readonly #completed: { readonly compensation: Compensation; readonly outputJson: string | null }[] = [];
  /** Those that have not ended, by key. */
  readonly #pending = new Map<string, Compensation>();
  #settled: (() => void) | undefined;
  /** What steps are undone in. */
  readonly scope = new Scope();

  /** Whether anything is to be undone, or may be once it has ended. */
  get isEmpty(): boolean {
    return this.#completed.length === 0 && this.#pending.size === 0;
  }

  /** Notes a step that can be undone once it is completed. */
  add(compensation: Compensation): void {
    this.#pending.set(compensation.key, compensation);
  }

  /** The workflow sees the outcome of a step. */
  ended({ key, status, outputJson }: Pick<Checkpoint, "key" | "status" | "outputJson">): void {
    const compensation = this.#pending.get(key);
    if (compensation === undefined) return;
    this.#pending.delete(key);
    if (status !== "failed") this.#completed.push({ compensation, outputJson });
    if (this.#pending.size === 0) this.#settled?.();
  }

  /** Waits for the steps that still run: they may have had their effect. */
  async settle(): Promise<void> {
    if (this.#pending.size > 0) await new Promise<void>((settled) => this.#settled = settled);
  }

  /**
   * Undoes the steps.
   *
   * @param failure what the workflow has ended with
   */
  async undo(host: StepHost, asker: CompensationHost, failure: unknown): Promise<void> {
    // A scope of their own: what they were done in has been given up.
    const { scope } = this;
    for (
      const { compensation: { key, undo, policy, timeoutMs }, outputJson } of this.#completed.toReversed()
    ) {
      const ownKey = asker.keys.undo(key);
      // The workflow has seen it, so that what decoding it needs is there.
      const fn = async (info: StepInfo) => void await undo(decodeValue(outputJson), info);
      const task = {
        kind: "compensation" as const,
        key: ownKey,
        fn,
        policy,
        timeoutMs,
        atMostOnce: false,
        scope,
      };
      await asker.ask("compensation", ownKey, scope, async (row) => {
        const outcome = await performStep(host, task, row);
        if (outcome.errorJson === null) return outcome;
        const thrown = errorOf(outcome.errorJson);
        throw new CompensationError(host.workflowId, key, thrown, failure);
      });
    }
  }
}
