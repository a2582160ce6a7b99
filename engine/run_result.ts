import type { EventDetail } from "./events.ts";
import { decodeValue } from "./serialize.ts";

/** The end of a run whose workflow is let go while it waits. */
export class Parked {
  /** @param dueAt when it is taken up again at the latest; null for only when a message comes */
  constructor(readonly dueAt: number | null) {}
}

/** The end of a run whose workflow has completed. */
class Completed {
  constructor(readonly outputJson: string | null) {}
}

/**
 * What a run comes to: an outcome of its workflow, or why there is none.
 *
 * Owns: the promise of it. Does not own: what is stored, which has been by then.
 *
 * 1. It is settled once, and told once: what comes after that is too late.
 * 2. Whoever asks for the output gets one of his own: what others do to theirs is not seen in it.
 * 3. A run that ends without an outcome, and with its workflow still in its name, is to be released by somebody else.
 */
export class RunResult {
  readonly #promise = Promise.withResolvers<unknown>();
  #isSettled = false;
  #mustRelease = false;

  /** @param tell tells what has happened to who listens */
  constructor(private readonly tell: (detail: () => EventDetail) => void) {}

  /** The workflow's output, or {@linkcode Parked}; rejects with its error, or with why the run is over without one. */
  get value(): Promise<unknown> {
    return this.#promise.promise.then((end) => end instanceof Completed ? decodeValue(end.outputJson) : end);
  }

  /** Whether the run has ended without being able to release the workflow. */
  get mustRelease(): boolean {
    return this.#mustRelease;
  }

  /** Settled when the run is over: when its workflow, let go to wait, is due; undefined if it is not let go to wait. */
  get ended(): Promise<number | null | undefined> {
    return this.#promise.promise.then(
      (result) => result instanceof Parked ? result.dueAt : undefined,
      () => undefined,
    );
  }

  /** The workflow has completed. */
  completed(outputJson: string | null): void {
    this.#resolve(
      new Completed(outputJson),
      () => ({ type: "completed", output: decodeValue(outputJson) }),
    );
  }

  /** The workflow has failed, or is cancelled. */
  failed(status: "failed" | "cancelled", error: unknown): void {
    this.#reject(error, { type: status, error });
  }

  /** The workflow is blocked. */
  blocked(error: unknown): void {
    this.#reject(error, { type: "blocked", error });
  }

  /** The workflow is let go to wait. */
  parked(dueAt: number | null): void {
    const until = dueAt !== null && { until: new Date(dueAt) };
    this.#resolve(new Parked(dueAt), () => ({ type: "waiting", ...until }));
  }

  /** The workflow was only replayed: there is nothing to tell. */
  replayed(): void {
    this.#resolve(undefined);
  }

  /** The run is over without an outcome; the workflow is released, or another run's. */
  suspended(error: unknown): void {
    this.#reject(error, { type: "suspended", error });
  }

  /** The run is over without an outcome, and with the workflow still in its name. */
  left(error: unknown): void {
    if (!this.#isSettled) this.#mustRelease = true;
    this.suspended(error);
  }

  #resolve(result: unknown, detail?: () => EventDetail): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    if (detail !== undefined) this.tell(detail);
    this.#promise.resolve(result);
  }

  #reject(error: unknown, detail: EventDetail): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    this.tell(() => detail);
    this.#promise.reject(error);
  }
}
