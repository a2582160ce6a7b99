/**
 * A part of a workflow that is aborted as a whole: the workflow itself, the branches of one `ctx.all()`, a step.
 *
 * Like `AbortController` and `AbortSignal.any()`, at a cost that a step which never looks at its signal does not notice:
 * the signal is only made when it is asked for.
 */
export class Scope {
  #aborted = false;
  #reason: unknown;
  #ended = false;
  #controller: AbortController | undefined;
  #children: Set<Scope> | undefined;
  #listener: (() => void) | undefined;

  /** @param parent the scope that takes this one with it; {@linkcode Scope.end} lets go of it */
  constructor(private readonly parent?: Scope) {
    if (parent !== undefined) parent.#adopt(this);
  }

  get aborted(): boolean {
    return this.#aborted;
  }

  get reason(): unknown {
    return this.#reason;
  }

  /** The signal that is aborted together with the scope. */
  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#aborted) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** Calls `listener` when the scope is aborted; there is one listener at a time. */
  set onabort(listener: (() => void) | undefined) {
    this.#listener = listener;
  }

  /** Aborts the scope and those within it; the first reason stands. */
  abort(reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    this.#controller?.abort(reason);
    this.#listener?.();
    for (const child of this.#children ?? []) child.abort(reason);
    this.#children = undefined;
  }

  /** What the scope was for is over. It goes with its parent for as long as something in it goes on. */
  end(): void {
    this.#ended = true;
    if (this.parent !== undefined && !this.#children?.size) this.parent.#dismiss(this);
  }

  #adopt(child: Scope): void {
    // A scope that had been let go of, and in which something begins after all, goes with its parent again.
    if (this.parent !== undefined && this.#ended && !this.#children?.size) this.parent.#adopt(this);
    if (this.#aborted) child.abort(this.#reason);
    else (this.#children ??= new Set()).add(child);
  }

  #dismiss(child: Scope): void {
    this.#children?.delete(child);
    if (this.#ended) this.end();
  }
}
