import type { Workflow } from "../mod.ts";
import { builtinWorkflows } from "./builtin_workflows.ts";
import { didYouMean } from "./nearest.ts";
import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";
import { loadWorkflows } from "./workflow_modules.ts";

/** The workflows of a command line: those of its modules, and the built-in ones whose names they do not take. */
export async function availableWorkflows(location: string, modules: readonly string[]): Promise<Workflow[]> {
  const loaded = await loadWorkflows(modules);
  const names = new Set(loaded.map((workflow) => workflow.name));
  return [...loaded, ...builtinWorkflows(location).filter((workflow) => !names.has(workflow.name))];
}

/**
 * The workflow of a name; of several versions the highest, as people order them: "10" is higher than "9".
 *
 * @throws {UsageError} if there is none
 */
export function selectWorkflow(workflows: readonly Workflow[], name: string): Workflow {
  const [found] = workflows.filter((workflow) => workflow.name === name).sort(byVersion);
  if (found !== undefined) return found;
  const names = Array.from(new Set(workflows.map((workflow) => workflow.name)));
  const known = names.map((each) => `"${printableCell(each)}"`).join(", ");
  throw new UsageError(
    `There is no workflow "${printableCell(name)}"${didYouMean(name, names)}; there is ${known}, ` +
      `and --module FILE adds those of a module`,
  );
}

/** The highest first, and last the one that has none. */
function byVersion({ version: a }: Workflow, { version: b }: Workflow): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return b.localeCompare(a, "en", { numeric: true });
}
