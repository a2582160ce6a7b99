import type { Engine, Workflow, WorkflowDetail } from "../mod.ts";
import { printableCell, printableLine } from "./printable.ts";
import { refuse } from "./refuse.ts";
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
  const stored = await engine.get(id).catch(refuse);
  if (stored === undefined) {
    throw new UsageError(
      `There is no workflow with the id "${printableCell(id)}" in this database; list shows all`,
    );
  }
  if (isLoaded(stored, workflows)) return;
  const { workflow, version } = stored;
  const which = version === undefined ? "" : `, version "${printableCell(version)}"`;
  throw new UsageError(
    printableLine(
      `"${printableCell(id)}" is of the workflow "${
        printableCell(workflow)
      }"${which}, which is not loaded; --module FILE loads it`,
    ),
  );
}

/** Whether the code of a stored workflow is loaded. */
export function isLoaded({ workflow, version }: WorkflowDetail, workflows: readonly Workflow[]): boolean {
  return workflows.some((each) => each.name === workflow && each.version === version);
}
