import { isQueue, isSchedule, isWorkflow, type Queue, type Schedule, type Workflow } from "../mod.ts";
import { noteModule } from "./loaded_modules.ts";
import { leavingOut, printableCell, printableLine, printableText } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** How much of the reason is told why a module cannot be loaded. */
const MAX_REASON_LENGTH = 1_000;

/**
 * Loads the workflows that modules export.
 *
 * A module imports Stepwell by its package name: `import { workflow } from "@stepwell/stepwell"`. That works in the
 * executable too, where the name stands for the Stepwell that is inside it.
 *
 * @param files paths, from the current folder
 * @throws {UsageError} if a module cannot be loaded, exports no workflow, or one of a name and version that another has already
 */
export async function loadWorkflows(files: readonly string[]): Promise<Workflow[]> {
  const found = new Map<string, { workflow: Workflow; file: string }>();
  for (const file of files) {
    const exported = Object.values(await load(file)).filter(isWorkflow);
    if (exported.length === 0) {
      throw new UsageError(
        `Module "${printableCell(file)}" exports no workflow: one is made by workflow(name, function)`,
      );
    }
    for (const workflow of exported) {
      const { name, version } = workflow;
      const key = JSON.stringify([name, version]);
      const earlier = found.get(key);
      if (earlier !== undefined && earlier.workflow !== workflow) {
        const where = earlier.file === file ? `twice by "${file}"` : `by "${earlier.file}" and by "${file}"`;
        throw new UsageError(
          printableLine(`Workflow "${name}" is exported ${where}: names must differ, or versions`),
        );
      }
      found.set(key, { workflow, file });
    }
  }
  return Array.from(found.values(), ({ workflow }) => workflow);
}

/** Loads the queues that modules export. @throws {UsageError} as {@linkcode loadWorkflows} */
export async function loadQueues(files: readonly string[]): Promise<Queue[]> {
  const modules = await Promise.all(files.map(load));
  return Array.from(new Set(modules.flatMap((module) => Object.values(module).filter(isQueue))));
}

/** Loads the schedules that modules export. @throws {UsageError} as {@linkcode loadWorkflows} */
export async function loadSchedules(files: readonly string[]): Promise<Schedule[]> {
  const modules = await Promise.all(files.map(load));
  return Array.from(new Set(modules.flatMap((module) => Object.values(module).filter(isSchedule))));
}

async function load(file: string): Promise<Record<string, unknown>> {
  const { pathToFileURL } = await import("node:url");
  try {
    const { isFile, isDirectory } = await Deno.stat(file);
    if (!isFile) {
      throw new UsageError(
        `Module "${printableCell(file)}" is ${isDirectory ? "a folder" : "none"}: wanted a file`,
      );
    }
    const { href } = pathToFileURL(file);
    const module = await import(href);
    const names = Object.values(module).filter(isWorkflow).map(({ name }) => name);
    noteModule(href, names);
    return module;
  } catch (error) {
    if (error instanceof UsageError) throw error;
    if (error instanceof Deno.errors.NotFound) {
      throw new UsageError(`There is no module "${printableCell(file)}"`, { cause: error });
    }
    if (Deno.build.standalone && error instanceof SyntaxError && isTypeScript(file)) {
      throw new UsageError(typeScriptMessage(file), { cause: error });
    }
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(
      `Cannot load module "${printableCell(file)}": ${printableText(leavingOut(reason, MAX_REASON_LENGTH))}`,
      {
        cause: error,
      },
    );
  }
}

function isTypeScript(file: string): boolean {
  return /\.([mc]?ts|tsx)$/i.test(file);
}

function typeScriptMessage(file: string): string {
  const bundle = file.replace(/\.[^.]*$/, ".js");
  return printableText(
    `Cannot load module "${file}": this executable runs JavaScript, and this is TypeScript. ` +
      `Make JavaScript of it, and give that to --module:\n` +
      `  deno bundle --external @stepwell/stepwell --output ${bundle} ${file}`,
  );
}
