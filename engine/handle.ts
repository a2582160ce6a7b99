import type { EngineEvent } from "./events.ts";
import type { WorkflowStatus } from "./store/rows.ts";

/** What a handle needs of its engine. */
export interface HandleSource {
  /** See {@linkcode Handle.result}. */
  resultOf(id: string): Promise<unknown>;
  /** See {@linkcode Handle.status}. */
  statusOf(id: string): Promise<WorkflowStatus>;
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

  /** What happens to the workflow in this engine, from now to the end of its run. */
  events(): AsyncIterableIterator<EngineEvent> {
    return this.#source.eventsOf(this.id);
  }

  /** {@linkcode Handle.events}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<EngineEvent> {
    return this.events();
  }
}
