/**
 * What the engine tells about its work while it does it. The engine prints nothing.
 *
 * @module
 */

import { LimitExceededError } from "./errors.ts";

/** What every event says. */
export interface EventBase {
  /** When it happened, by the engine's clock. */
  readonly at: Date;
  /** The workflow it happened to. */
  readonly workflowId: string;
  /** The workflow's name. */
  readonly workflow: string;
  /** The run it happened in. */
  readonly runId: string;
}

/** How urgent a message of `ctx.log` is. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** One thing that happened, by its `type`. */
export type EventDetail =
  /** A run began. `recovered`: it took the workflow over from one whose process was lost. */
  | { readonly type: "started"; readonly recovered: boolean }
  /** A stored outcome was given to the workflow. */
  | {
    readonly type: "replayed";
    readonly key: string;
    readonly status: "completed" | "failed";
    readonly attempt: number;
    readonly durationMs: number;
  }
  /** A step's function is about to be called. */
  | { readonly type: "stepStarted"; readonly key: string; readonly attempt: number }
  /** A step's function has returned; nothing of that is stored yet. */
  | { readonly type: "stepReturned"; readonly key: string; readonly attempt: number }
  /** A step's result is committed; the workflow has not seen it yet. */
  | {
    readonly type: "stepCompleted";
    readonly key: string;
    readonly attempt: number;
    readonly durationMs: number;
  }
  /** A step failed for good, and its error is committed. */
  | {
    readonly type: "stepFailed";
    readonly key: string;
    readonly attempt: number;
    readonly durationMs: number;
    readonly error: unknown;
  }
  /** An attempt of a step failed, and another will follow; both is committed. */
  | {
    readonly type: "stepRetried";
    readonly key: string;
    readonly attempt: number;
    readonly maxAttempts: number;
    readonly error: unknown;
    readonly nextAttemptAt: Date;
  }
  | { readonly type: "completed"; readonly output: unknown }
  | { readonly type: "failed"; readonly error: unknown }
  /** The engine does not go on with the workflow without a person. */
  | { readonly type: "blocked"; readonly error: unknown }
  /** The run ended without an outcome: the engine was closed, the lease lost, the store failed. */
  | { readonly type: "suspended"; readonly error: unknown }
  /** The workflow logged something, for the first time: a replay is silent. */
  | {
    readonly type: "log";
    readonly level: LogLevel;
    readonly message: string;
    readonly fields: Readonly<Record<string, unknown>> | undefined;
  };

/** One thing that happened to a workflow. */
export type EngineEvent = EventBase & EventDetail;

/** How many events an iterator keeps for a reader that is slow. */
const MAX_BUFFERED_EVENTS = 100_000;

/** Hands events to those who asked for them. */
export class Events {
  #observers = new Set<(event: EngineEvent) => void>();

  /** Whether anybody listens: where nobody does, events need not even be made. */
  get observed(): boolean {
    return this.#observers.size > 0;
  }

  /**
   * Calls `observer` with every event, at the instant of which it tells. What it throws is reported as an uncaught
   * exception, as with an event listener of the web, and stops nothing.
   *
   * @returns a function that ends it
   */
  observe(observer: (event: EngineEvent) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  emit(event: EngineEvent): void {
    for (const observer of this.#observers) {
      try {
        observer(event);
      } catch (error) {
        reportError(error);
      }
    }
  }

  /**
   * The events of one workflow, from now to the end of the run that it is in or comes to.
   *
   * @throws {LimitExceededError} when more than 100,000 events wait for a reader that does not come
   */
  ofWorkflow(workflowId: string): AsyncIterableIterator<EngineEvent> {
    const buffer: EngineEvent[] = [];
    let wake: (() => void) | undefined;
    let overflowed = false;
    let ended = false;
    const stop = this.observe((event) => {
      if (event.workflowId !== workflowId || ended) return;
      if (buffer.length < MAX_BUFFERED_EVENTS) buffer.push(event);
      else overflowed = true;
      ended = overflowed || isLast(event);
      if (ended) stop();
      wake?.();
    });
    return (async function* () {
      try {
        while (true) {
          const events = buffer.splice(0);
          yield* events;
          if (buffer.length > 0) continue;
          if (overflowed) {
            throw new LimitExceededError("buffered events", MAX_BUFFERED_EVENTS, "keep more events");
          }
          if (ended) return;
          await new Promise<void>((resolve) => wake = resolve);
        }
      } finally {
        stop();
      }
    })();
  }
}

function isLast({ type }: EngineEvent): boolean {
  return type === "completed" || type === "failed" || type === "blocked" || type === "suspended";
}
