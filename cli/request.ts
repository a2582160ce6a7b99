import type { Engine, WorkflowStatus } from "../mod.ts";
import { commandLine } from "./command_line.ts";
import { locationOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";

/**
 * Asks something of a workflow that it does not run itself, and says what has come of it.
 *
 * @param make makes the request
 * @param options.done the status in which it has been met, and what is said of it then
 * @param options.pending what is said of it until then
 */
export async function request(
  { operands, flags }: Invocation,
  make: (engine: Engine, id: string) => Promise<void>,
  options: { done: [WorkflowStatus, string]; pending: string },
): Promise<ExitStatus> {
  const id = operands[0]!;
  const location = locationOf(flags);
  await using engine = await openStored(flags);
  await make(engine, id).catch(refuse);
  const status = await engine.handle(id).status();
  if (flags.has("json")) {
    stdout.write(toJson({ workflowId: id, status }) + "\n");
    return ExitStatus.completed;
  }
  const name = `"${printableCell(id)}"`;
  const [done, said] = options.done;
  if (status === done) {
    stdout.write(`${name} is ${said}\n`);
  } else {
    stdout.write(`${name} is ${printableCell(status)}, and ${options.pending}\n`);
    if (status !== "running") {
      stdout.write(`If no process runs it: ${commandLine("resume", id, { location, modules: [] })}\n`);
    }
  }
  return ExitStatus.completed;
}
