import type { EngineEvent } from "./events.ts";
import type { Signal } from "./signal.ts";
import type { WorkflowStatus } from "./store/rows.ts";

/** How a signal is sent. */
export interface SignalOptions {
  /** Another signal of this name with the same key is the same one: the workflow sees it once. */
  idempotencyKey?: string;
}

/** What a handle needs of its engine. */
export interface HandleSource {
  /** See {@linkcode Handle.result}. */
  resultOf(id: string): Promise<unknown>;
  /** See {@linkcode Handle.status}. */
  statusOf(id: string): Promise<WorkflowStatus>;
  /** See {@linkcode Handle.signal}. */
  signal(
    id: string,
    signal: Signal<unknown> | string,
    payload: unknown,
    options?: SignalOptions,
  ): Promise<void>;
  /** See {@linkcode Handle.cancel}. */
  cancel(id: string): Promise<void>;
  /** See {@linkcode Handle.pause}. */
  pause(id: string): Promise<void>;
  /** See {@linkcode Handle.events}. */
  eventsOf(id: string): AsyncIterableIterator<EngineEvent>;
}

/** A workflow, by its id; whether it runs here, in another process, or not at all. */
export class Handle<O = unknown> {
  readonly #source: HandleSource;

  /** Handles come from an engine: `engine.start()` or `engine.handle()`. */
  constructor(source: HandleSource, readonly id: string) {
    this.#source = source;
  }

  /**
   * The workflow's output, once it has one. While nobody runs the workflow, this waits until somebody does.
   *
   * @throws the workflow's error, or why it is blocked or its run here has stopped
   * @throws {WorkflowNotFoundError} if there is no such workflow
   */
  result(): Promise<O> {
    return this.#source.resultOf(this.id) as Promise<O>;
  }

  /** The workflow's status. @throws {WorkflowNotFoundError} if there is no such workflow */
  status(): Promise<WorkflowStatus> {
    return this.#source.statusOf(this.id);
  }

  /** Sends a signal to the workflow: see `engine.signal()`. */
  signal<T>(signal: Signal<T> | string, payload?: T, options?: SignalOptions): Promise<void> {
    return this.#source.signal(this.id, signal, payload, options);
  }

  /** Cancels the workflow: see `engine.cancel()`. */
  cancel(): Promise<void> {
    return this.#source.cancel(this.id);
  }

  /** Pauses the workflow: see `engine.pause()`. */
  pause(): Promise<void> {
    return this.#source.pause(this.id);
  }

  /** What happens to the workflow in this engine, from now to the end of its run. */
  events(): AsyncIterableIterator<EngineEvent> {
    return this.#source.eventsOf(this.id);
  }

  /** {@linkcode Handle.events}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<EngineEvent> {
    return this.events();
  }
}
