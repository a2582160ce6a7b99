import type { WorkflowEvent } from "./events.ts";
import type { ReadOptions } from "./read_published.ts";
import type { Signal } from "./signal.ts";
import type { WorkflowStatus } from "./store/rows.ts";
import type { StreamEntry, StreamOptions } from "./stream_reader.ts";

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
  /** See {@linkcode Handle.read}. */
  readOf(id: string, key: string, options?: ReadOptions): Promise<unknown>;
  /** See {@linkcode Handle.stream}. */
  streamOf(id: string, name: string, options?: StreamOptions): AsyncIterableIterator<StreamEntry>;
  /** See {@linkcode Handle.events}. */
  eventsOf(id: string): AsyncIterableIterator<WorkflowEvent>;
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

  /**
   * The latest value that the workflow has published under a key by `ctx.publish()`; undefined if there is none. Whether
   * the workflow runs here, in another process on the same file, or has ended, makes no difference.
   *
   * @param options.wait whether to wait until there is a value, or for how long at most; one that is there is given at
   *   once. Undefined also where the workflow ends without one, or the time is over
   * @throws {TypeError | RangeError} if the key is not one
   * @throws {WorkflowNotFoundError} if there is no such workflow
   * @throws {CorruptCheckpointError} if the value cannot be read back as it was written
   * @throws {EngineClosedError} if the engine is closed meanwhile
   */
  read<T = unknown>(key: string, options?: ReadOptions): Promise<T | undefined> {
    return this.#source.readOf(this.id, key, options) as Promise<T | undefined>;
  }

  /**
   * The entries that the workflow adds to a stream by `ctx.emit()`: those that are there, then each as soon as it is
   * committed, by whatever process; to the end, which is when the workflow has ended and all is read. A workflow that is
   * blocked, or that nobody runs, may yet go on.
   *
   * A reader that was stopped goes on at the position after the last one it has seen. Whoever stops reading before the
   * end should say so with `return()`, as `for await` does by itself.
   *
   * @param options.from the position of the first entry
   * @returns an iterator whose `next()` throws {@linkcode WorkflowNotFoundError} if there is no such workflow,
   *   {@linkcode CorruptCheckpointError} if an entry is missing or cannot be read back as it was written, and
   *   {@linkcode EngineClosedError} if the engine is closed meanwhile
   * @throws {TypeError | RangeError} if the name is not one, or the position is not an integer from 0
   */
  stream<T = unknown>(name: string, options?: StreamOptions): AsyncIterableIterator<StreamEntry<T>> {
    return this.#source.streamOf(this.id, name, options) as AsyncIterableIterator<StreamEntry<T>>;
  }

  /** What happens to the workflow in this engine, from now to the end of its run. */
  events(): AsyncIterableIterator<WorkflowEvent> {
    return this.#source.eventsOf(this.id);
  }

  /** {@linkcode Handle.events}. */
  [Symbol.asyncIterator](): AsyncIterableIterator<WorkflowEvent> {
    return this.events();
  }
}
