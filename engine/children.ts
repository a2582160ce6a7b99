import { childId } from "./child.ts";
import type { Ownership } from "./store/ownership.ts";
import type { Store } from "./store/store.ts";
import type { Workflow } from "./workflow.ts";

/** What the children of a workflow need of its process. */
export interface ChildrenHost {
  /** Tells a workflow that it was sent something, if it is here. */
  told(workflowId: string): void;
  /** Runs a workflow that is stored, if it can be run here. */
  runChild(workflow: Workflow, workflowId: string): void;
}

/**
 * The children of a run's workflow: those it has asked for, and what they are told when it ends before them.
 *
 * Owns: the code of those that it has asked for. Does not own: how one is started and waited for (child.ts).
 */
export class Children {
  /** By key. */
  readonly #asked = new Map<string, { readonly workflow: Workflow; readonly id: string | undefined }>();

  constructor(
    private readonly store: Store,
    private readonly parent: Ownership,
    private readonly host: ChildrenHost,
  ) {}

  /** Notes that the workflow asks for a child. @param id the one that it is given, if it is */
  asked(key: string, workflow: Workflow, id: string | undefined): void {
    this.#asked.set(key, { workflow, id });
  }

  /** Whether the workflow has asked for any. */
  get any(): boolean {
    return this.#asked.size > 0;
  }

  /** The ids of those that have not ended and do not outlive the workflow. */
  async open(): Promise<string[]> {
    return this.any ? await this.store.openChildren(this.parent.workflowId) : [];
  }

  /** Requests those that are open to be cancelled. */
  async cancel(now: number): Promise<void> {
    const children = await this.open();
    if (children.length === 0) return;
    await this.store.cancelChildren(this.parent, children, now);
    await this.tell(children);
  }

  /** Has some see that they are cancelled: also one that waits, or whose process is lost, and that nobody here has. */
  async tell(children: readonly string[]): Promise<void> {
    const open = new Set(children);
    for (const child of children) this.host.told(child);
    for (const [key, { workflow, id }] of this.#asked) {
      const child = id ?? await childId(this.parent.workflowId, key);
      if (open.has(child)) this.host.runChild(workflow, child);
    }
  }
}
