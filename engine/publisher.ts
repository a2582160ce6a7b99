import { isEngineFailure } from "./engine_failure.ts";
import type { Scope } from "./scope.ts";
import { encodeAhead } from "./serialize.ts";
import type { StepOutcome } from "./step.ts";
import { errorText } from "./stored_error.ts";

/** What is to be shown to the outside. */
export interface PublishTask {
  /** Whether it takes the place of what is published under its name, or is added to the stream of that name. */
  readonly kind: "publish" | "emit";
  readonly name: string;
  readonly value: unknown;
  /** The part of the workflow that it belongs to. */
  readonly scope: Scope;
}

/** What publishing needs of the run. */
export interface PublishHost {
  readonly clock: { now(): number };
  readonly maxValueBytes: number;
}

/**
 * What one run of a workflow shows to the outside.
 *
 * Owns: the order of what is shown under one name. Does not own: that it is shown once, which is what the checkpoint is
 * for that it is committed with.
 *
 * 1. What was asked for first is shown first, however long its value takes to be encoded.
 * 2. A value is shown as it was when that was asked for.
 */
export class Publisher {
  /** What is under way and was asked for last, by kind and name; most runs never have any. */
  #last: Map<string, Promise<StepOutcome>> | undefined;

  constructor(private readonly host: PublishHost) {}

  /** Prepares to show something. @returns a function that gives the outcome, which is not stored yet */
  publishing(task: PublishTask): () => StepOutcome | Promise<StepOutcome> {
    const encoded = this.#encode(task);
    return () => this.#publish(task, encoded);
  }

  /** A replay that finds it in its history has no use for it. */
  #encode({ kind, name, value }: PublishTask): string | null | Promise<string> {
    const what = kind === "publish" ? `what is published as "${name}"` : `an entry of stream "${name}"`;
    return encodeAhead(value, what, this.host.maxValueBytes);
  }

  #publish(
    { kind, name, scope }: PublishTask,
    encoded: string | null | Promise<string>,
  ): StepOutcome | Promise<StepOutcome> {
    const { clock } = this.host;
    const startedAt = clock.now();
    const ended = () => ({
      attempt: 1,
      startedAt,
      durationMs: Math.max(0, clock.now() - startedAt),
      outputJson: null,
    });
    const refused = (error: unknown): StepOutcome => {
      if (isEngineFailure(error)) throw error;
      return { ...ended(), errorJson: errorText(error) };
    };
    const published = (valueJson: string | null): StepOutcome =>
      scope.aborted
        ? refused(scope.reason)
        : { ...ended(), errorJson: null, publication: { name, valueJson } };

    const id = `${kind}:${name}`;
    const before = this.#last?.get(id);
    if (before === undefined && !(encoded instanceof Promise)) return published(encoded);
    const outcome = Promise.resolve(before).then(() => encoded).then(published, refused);
    const last = this.#last ??= new Map();
    last.set(id, outcome);
    const clear = () => {
      if (last.get(id) === outcome) last.delete(id);
    };
    outcome.then(clear, clear);
    return outcome;
  }
}
