/**
 * A part of a workflow that is aborted as a whole: the workflow itself, the branches of one `ctx.all()`, a step.
 *
 * Like `AbortController` and `AbortSignal.any()`, at a cost that a step which never looks at its signal does not notice:
 * the signal is only made when it is asked for.
 */
export class Scope {
  #aborted = false;
  #reason: unknown;
  #controller: AbortController | undefined;
  #children: Set<Scope> | undefined;
  #listener: (() => void) | undefined;

  /** @param parent the scope that takes this one with it; {@linkcode Scope.end} lets go of it */
  constructor(private readonly parent?: Scope) {
    if (parent === undefined) return;
    if (parent.#aborted) this.abort(parent.#reason);
    else (parent.#children ??= new Set()).add(this);
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

  /** Calls `listener` when the scope is aborted; there is one listener at a time. */
  set onabort(listener: (() => void) | undefined) {
    this.#listener = listener;
  }

  /** Takes the scope out of its parent: what it was for is over. */
  end(): void {
    if (this.parent !== undefined) this.parent.#children?.delete(this);
  }
}
