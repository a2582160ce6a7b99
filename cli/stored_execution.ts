import type { Engine, Handle } from "../mod.ts";
import { availableWorkflows } from "./available_workflows.ts";
import { checkDatabase } from "./database.ts";
import { execute } from "./execution.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { requireWorkflow } from "./stored_workflow.ts";

/** What is to be done with a workflow that is stored. */
export interface StoredExecution {
  /** Its id. */
  readonly id: string;
  /** The id of the workflow that runs then, where that is another one. */
  readonly runsAs?: string;
  /** Begins it. */
  begin(engine: Engine): Promise<Handle>;
}

/** Goes on with a workflow that is stored, and shows how it does. */
export async function executeStored(
  given: Invocation["flags"],
  { id, runsAs = id, begin }: StoredExecution,
): Promise<ExitStatus> {
  const flags = readExecutionFlags(given);
  await checkDatabase(flags.location, { isThere: true });
  const workflows = await availableWorkflows(flags.location, flags.modules);
  return await execute({
    flags,
    workflows,
    id: runsAs,
    async begin(engine) {
      await requireWorkflow(engine, id, workflows);
      return await begin(engine);
    },
  });
}
