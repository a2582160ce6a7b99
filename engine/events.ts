/**
 * What the engine tells about its work while it does it. The engine prints nothing.
 *
 * @module
 */

import { encodeError } from "./encode_error.ts";
import { LimitExceededError } from "./errors.ts";
import { plainJson } from "./plain_json.ts";
import { snapshot } from "./snapshot.ts";

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
  /**
   * The event as plain data, for `JSON.stringify()`: errors with their name, message, stack and cause, and values of any kind
   * as far as JSON can say them, within limits. Every event that the engine tells has it, as a property that is not listed.
   */
  readonly toJSON?: () => Record<string, unknown>;
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
  /** The workflow's function has ended while this step was running: its result is not stored, and lost. */
  | { readonly type: "stepAbandoned"; readonly key: string; readonly attempt: number }
  /**
   * The context of a workflow was used after its function had ended, by code which that had not awaited. The call is refused
   * with the error, and nothing of it is done. It may come after the event that says how the workflow has ended.
   */
  | { readonly type: "contextMisused"; readonly method: string; readonly error: unknown }
  | { readonly type: "completed"; readonly output: unknown }
  | { readonly type: "failed"; readonly error: unknown }
  /** The workflow was cancelled, and has ended. */
  | { readonly type: "cancelled"; readonly error: unknown }
  /**
   * The workflow only waits: for a time, or a message. Its run is over, and it is let go from memory; `until` says when
   * it is taken up again at the latest.
   */
  | { readonly type: "waiting"; readonly until?: Date }
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
export type WorkflowEvent = EventBase & EventDetail;

/** One thing that happened to an engine, and to no single workflow, by its `type`. */
export type StoreEvent =
  & {
    /** When it happened, by the engine's clock. */
    readonly at: Date;
    /** It is about no single workflow. */
    readonly workflowId?: undefined;
    /** Likewise. */
    readonly runId?: undefined;
    /** As of {@linkcode EventBase}. */
    readonly toJSON?: () => Record<string, unknown>;
  }
  & (
    /**
     * The store cannot be read or written, and the engine has met that in something that it does by itself, such as `look for
     * work`. It is tried again until it works. Told at the first failure, and again each minute while it lasts.
     */
    | {
      readonly type: "storageFailed";
      readonly workflow?: undefined;
      readonly doing: string;
      readonly error: unknown;
      readonly since: Date;
    }
    /** What had failed works again. `since`: when it first failed. */
    | {
      readonly type: "storageRecovered";
      readonly workflow?: undefined;
      readonly doing: string;
      readonly error: unknown;
      readonly since: Date;
    }
    /**
     * Workflows wait to be run, and no process that lives has their code, as far as is known. `version` is undefined for
     * code without one. Told once while it is so.
     */
    | {
      readonly type: "codeMissing";
      readonly workflow: string;
      readonly version?: string;
    }
    /**
     * The rare sweep has found workflows that this process could have run and had not noticed. They are run now; that there
     * were any means a mistake in Stepwell: please report it.
     */
    | {
      readonly type: "overlooked";
      readonly workflow?: undefined;
      readonly workflowIds: readonly string[];
    }
  );

/** One thing that happened. */
export type EngineEvent = WorkflowEvent | StoreEvent;

/** How many events an iterator keeps for a reader that is slow. */
const MAX_BUFFERED_EVENTS = 100_000;

/** Hands events to those who asked for them. */
export class Events {
  readonly #observers = new Set<(event: EngineEvent) => void>();
  /** Those who read the events of one workflow, by its id. */
  readonly #queues = new Map<string, Set<EventQueue>>();
  #closed = false;

  /** Whether anybody listens: where nobody does, events need not even be made. */
  get observed(): boolean {
    return this.#observers.size + this.#queues.size > 0;
  }

  /**
   * Calls `observer` with every event, at the instant of which it tells. What it throws is reported as an uncaught
   * exception, as with an event listener of the web: it stops nothing here, but ends a process that has no listener for
   * `error` events.
   *
   * @returns a function that ends it
   */
  observe(observer: (event: EngineEvent) => void): () => void {
    this.#observers.add(observer);
    return () => this.#observers.delete(observer);
  }

  emit(event: EngineEvent): void {
    if (!this.observed) return;
    for (const observer of this.#observers) {
      try {
        observer(ownEvent(event));
      } catch (error) {
        reportError(error);
      }
    }
    if (event.workflowId === undefined) return;
    for (const queue of [...this.#queues.get(event.workflowId) ?? []]) {
      queue.push(ownEvent(event));
      if (isLast(event)) queue.end();
    }
  }

  /**
   * The events of one workflow, from now to the end of the run that it is in or comes to. Whoever stops reading before
   * that should say so with `return()`, as `for await` does by itself. Its `next()` rejects with a `LimitExceededError` when
   * more than 100,000 events wait for a reader that does not come.
   */
  ofWorkflow(workflowId: string): EventQueue {
    const queue = new EventQueue();
    const queues = this.#queues.get(workflowId) ?? new Set();
    queue.onend = () => {
      queues.delete(queue);
      if (queues.size === 0 && this.#queues.get(workflowId) === queues) this.#queues.delete(workflowId);
    };
    if (this.#closed) queue.end();
    else this.#queues.set(workflowId, queues.add(queue));
    return queue;
  }

  /** Ends all iterators. */
  close(): void {
    this.#closed = true;
    for (const queues of [...this.#queues.values()]) for (const queue of [...queues]) queue.end();
  }
}

/** Events that wait for their reader. */
export class EventQueue implements AsyncIterableIterator<WorkflowEvent> {
  #events: WorkflowEvent[] = [];
  /** The place of the first event that was not read. */
  #first = 0;
  readonly #readers: PromiseWithResolvers<IteratorResult<WorkflowEvent>>[] = [];
  #error: { readonly error: unknown } | undefined;
  #ended = false;
  /** Called once, when nothing more is wanted. */
  onend: (() => void) | undefined;

  push(event: WorkflowEvent): void {
    if (this.#ended) return;
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      reader.resolve({ done: false, value: event });
    } else if (this.#events.length - this.#first < MAX_BUFFERED_EVENTS) {
      this.#events.push(event);
    } else {
      this.fail(new LimitExceededError("buffered events", MAX_BUFFERED_EVENTS, "keep more events"));
    }
  }

  /** Nothing more can come: the reader is told so after what is there. */
  fail(error: unknown): void {
    if (this.#ended) return;
    this.#error = { error };
    const reader = this.#readers.shift();
    if (reader !== undefined) {
      this.#error = undefined;
      reader.reject(error);
    }
    this.end();
  }

  /** Nothing more will come. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onend?.();
    for (const reader of this.#readers.splice(0)) reader.resolve({ done: true, value: undefined });
  }

  next(): Promise<IteratorResult<WorkflowEvent>> {
    if (this.#first < this.#events.length) {
      const value = this.#events[this.#first++]!;
      // Taking each off the front would move all the others each time.
      if (this.#first * 2 > this.#events.length) {
        this.#events = this.#events.slice(this.#first);
        this.#first = 0;
      }
      return Promise.resolve({ done: false, value });
    }
    if (this.#error !== undefined) {
      const { error } = this.#error;
      this.#error = undefined;
      return Promise.reject(error);
    }
    if (this.#ended) return Promise.resolve({ done: true, value: undefined });
    const reader = Promise.withResolvers<IteratorResult<WorkflowEvent>>();
    this.#readers.push(reader);
    return reader.promise;
  }

  return(): Promise<IteratorResult<WorkflowEvent>> {
    this.#events = [];
    this.#first = 0;
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<WorkflowEvent> {
    return this;
  }
}

/** An event for one who is told of it: what others do to the values in theirs is not seen in it, nor what the workflow does. */
function ownEvent<Event extends EngineEvent>(event: Event): Event {
  const own = event.type === "completed"
    ? { ...event, output: snapshot(event.output) }
    : event.type === "log"
    ? { ...event, fields: snapshot(event.fields) }
    : event;
  return Object.defineProperty(own, "toJSON", { value: eventJson });
}

function isLast({ type }: WorkflowEvent): boolean {
  return type === "completed" || type === "failed" || type === "cancelled" || type === "blocked" ||
    type === "suspended";
}

/** An event as plain data: see {@linkcode EventBase.toJSON}. */
function eventJson(this: EngineEvent): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(this)) {
    json[name] = name === "error" ? encodeError(value) : plainJson(value, { error: encodeError });
  }
  return json;
}
