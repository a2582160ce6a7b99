import { takesFlag } from "./commands.ts";
import { describeError, describeErrorInFull, describeMessage } from "./describe_error.ts";
import { ExitStatus } from "./exit_status.ts";
import { type Invocation, parseInvocation } from "./invocation.ts";
import { stderr, stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { quietConsole } from "./quiet_console.ts";
import { catchStrayErrors } from "./stray_errors.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Carries out a command line.
 *
 * @param args the arguments, as in `Deno.args`
 * @returns what the process is to tell its parent
 */
export async function main(args: readonly string[]): Promise<ExitStatus> {
  quietConsole();
  using _strays = catchStrayErrors();
  try {
    const invocation = parseInvocation(args);
    return withOutput(invocation, await dispatch(invocation));
  } catch (error) {
    const { bad } = palette(stderr.colour);
    if (error instanceof UsageError) {
      stderr.write(`${bad("error")}: ${describeMessage(error)}\nTry "stepwell help"\n`);
      return ExitStatus.usage;
    }
    stderr.write(`${bad("error")}: ${describeErrorInFull(error)}\n`);
    return ExitStatus.failed;
  }
}

/** The exit status of a command that has ended, where what it was to print may have got lost. */
function withOutput({ command, flags }: Invocation, status: ExitStatus): ExitStatus {
  if (stdout.failure === undefined || status !== ExitStatus.completed) return status;
  // Of what runs workflows, the lines that people read are a log: what counts is how the workflow ended.
  const isLog = command === "work" || takesFlag(command, "crash") && !flags.has("json");
  if (isLog) return status;
  const { bad } = palette(stderr.colour);
  stderr.write(`${bad("error")}: Cannot write to the standard output: ${describeError(stdout.failure)}\n`);
  return ExitStatus.failed;
}

/** A command's code, and with it the engine, is loaded when it is asked for: `help` needs neither. */
async function dispatch(invocation: Invocation): Promise<ExitStatus> {
  switch (invocation.command) {
    case "run":
      return await (await import("./run.ts")).run(invocation);
    case "resume":
      return await (await import("./resume.ts")).resume(invocation);
    case "retry":
      return await (await import("./retry.ts")).retry(invocation);
    case "fork":
      return await (await import("./fork.ts")).fork(invocation);
    case "enqueue":
      return await (await import("./enqueue.ts")).enqueue(invocation);
    case "why":
      return await (await import("./why.ts")).why(invocation);
    case "queues":
      return await (await import("./queues.ts")).queues(invocation);
    case "schedules":
      return await (await import("./schedules.ts")).schedules(invocation);
    case "executors":
      return await (await import("./executors.ts")).executors(invocation);
    case "work":
      return await (await import("./work.ts")).work(invocation);
    case "signal":
      return await (await import("./signal.ts")).signal(invocation);
    case "cancel":
      return await (await import("./cancel.ts")).cancel(invocation);
    case "pause":
      return await (await import("./pause.ts")).pause(invocation);
    case "list":
      return await (await import("./list.ts")).list(invocation);
    case "show":
      return await (await import("./show.ts")).show(invocation);
    case "check":
      return await (await import("./check.ts")).check(invocation);
    case "help":
      return (await import("./help.ts")).help(invocation);
    case "version":
      return (await import("./version.ts")).version();
  }
}
