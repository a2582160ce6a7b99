import { LimitExceededError } from "./errors.ts";
import { checkName } from "./workflow.ts";

/** How many digits a key has, and the last number of a step id. */
const DIGITS = 6;
const MAX_SEQUENCE = 10 ** DIGITS - 1;

/** The keys of a workflow's steps: each call of an id gets the next number, in the order of the calls. */
export class StepKeys {
  #count = 0;
  readonly #sequences = new Map<string, number>();

  /** @param maxSteps how many keys there may be in all */
  constructor(private readonly workflowId: string, private readonly maxSteps: number) {}

  /**
   * The key for the next call of a step id: `id#000001`, `id#000002`, …
   *
   * @throws {TypeError | RangeError} if the id is not one
   * @throws {LimitExceededError} if there have been too many
   */
  next(id: string): string {
    let sequence = this.#sequences.get(id);
    if (sequence === undefined) {
      checkName(id, "a step's id");
      sequence = 0;
    }
    sequence++;
    if (sequence > MAX_SEQUENCE) {
      throw new LimitExceededError("calls of one step id", MAX_SEQUENCE, `call step "${id}" again`);
    }
    if (this.#count >= this.maxSteps) {
      throw new LimitExceededError("maxSteps", this.maxSteps, `add step "${id}" to "${this.workflowId}"`);
    }
    this.#count++;
    this.#sequences.set(id, sequence);
    return `${id}#${String(10 ** DIGITS + sequence).slice(1)}`;
  }
}
