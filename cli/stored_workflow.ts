import type { Engine, Workflow, WorkflowDetail } from "../mod.ts";
import { printableLine } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Makes sure that an id is there and that its workflow is loaded, before anything is done with it: an engine blocks a
 * workflow that it does not know, and here a flag is missing.
 *
 * @throws {UsageError} if it is not
 */
export async function requireWorkflow(
  engine: Engine,
  id: string,
  workflows: readonly Workflow[],
): Promise<void> {
  const stored = await engine.get(id);
  if (stored === undefined) {
    throw new UsageError(
      `There is no workflow with the id "${printableLine(id)}" in this database; list shows all`,
    );
  }
  if (isLoaded(stored, workflows)) return;
  const { workflow, version } = stored;
  const which = version === undefined ? "" : `, version "${version}"`;
  throw new UsageError(
    printableLine(
      `"${id}" is of the workflow "${workflow}"${which}, which is not loaded; --module FILE loads it`,
    ),
  );
}

/** Whether the code of a stored workflow is loaded. */
export function isLoaded({ workflow, version }: WorkflowDetail, workflows: readonly Workflow[]): boolean {
  return workflows.some((each) => each.name === workflow && each.version === version);
}
