import { UnknownVersionError, UnknownWorkflowError, type WorkflowBlockedError } from "./errors.ts";
import type { WorkflowInput } from "./store/rows.ts";
import type { CodeName } from "./store/workflow_statements.ts";
import type { Workflow } from "./workflow.ts";

/** What decides on the code of a stored workflow. */
type Stored = Pick<WorkflowInput, "workflowId" | "name" | "version">;

/** The workflows that an engine was given, by name and version; a workflow without a version is one of its own. */
export class Versions {
  readonly #byName = new Map<string, Map<string | undefined, Workflow>>();

  /** @param workflows no two of them of one name and version */
  constructor(workflows: readonly Workflow[]) {
    for (const workflow of workflows) {
      const { name, version } = workflow;
      const versions = this.#byName.get(name) ?? new Map();
      this.#byName.set(name, versions.set(version, workflow));
    }
  }

  /** Their names and versions. */
  get codes(): readonly CodeName[] {
    return [...this.#byName.values()].flatMap((versions) => [...versions.values()]);
  }

  /** Their names. */
  get names(): string[] {
    return [...this.#byName.keys()];
  }

  /** A workflow of this name, of whatever version. */
  named(name: string): Workflow | undefined {
    return this.#byName.get(name)?.values().next().value;
  }

  /**
   * The code with which a stored workflow goes on: that of the version it was started with.
   *
   * @param asked what it is asked for with, which need not be among the engine's own
   * @returns the code, or why there is none here
   */
  codeFor(
    { workflowId, name, version }: Stored,
    asked?: Workflow,
  ): Workflow | UnknownVersionError | UnknownWorkflowError {
    if (asked?.name === name && asked.version === version) return asked;
    const versions = this.#byName.get(name);
    const code = versions?.get(version);
    if (code !== undefined) return code;
    const known = new Set(versions?.keys());
    if (asked?.name === name) known.add(asked.version);
    if (known.size === 0) return this.unknown(workflowId, name);
    return new UnknownVersionError(workflowId, name, version, [...known].map((each) => each ?? null));
  }

  /** The error for a workflow whose name is not here. */
  unknown(workflowId: string, name: string): UnknownWorkflowError {
    return new UnknownWorkflowError(workflowId, name, this.names);
  }
}

/** Whether there is code to go on with. */
export function isCode(code: Workflow | WorkflowBlockedError): code is Workflow {
  return !(code instanceof Error);
}
