import type { Engine, Workflow } from "../mod.ts";
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
  if (workflows.some((workflow) => workflow.name === stored.workflow)) return;
  throw new UsageError(
    printableLine(
      `"${id}" is of the workflow "${stored.workflow}", which is not loaded; --module FILE loads it`,
    ),
  );
}
