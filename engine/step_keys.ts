import { LimitExceededError } from "./errors.ts";
import { checkName } from "./names.ts";
import { quote } from "./quote.ts";

/** How many digits a key has, and the last number of a step id. */
const DIGITS = 6;
const MAX_SEQUENCE = 10 ** DIGITS - 1;

/** What the keys of compensations begin with. */
const UNDO = "compensate:";

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
    if (!this.#sequences.has(id)) {
      checkName(id, "a step's id");
      if (id.startsWith(UNDO)) {
        throw new TypeError(
          `Cannot use a step's id: wanted one that does not begin with "${UNDO}", found ${quote(id)}`,
        );
      }
    }
    return this.nextOf(id);
  }

  /** The key for the next call of something else than a step: its id is one that the engine has made. */
  nextOf(id: string): string {
    const sequence = (this.#sequences.get(id) ?? 0) + 1;
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

  /** The key for undoing the step of a key. */
  undo(key: string): string {
    return UNDO + key;
  }
}
