import { describeErrorInFull, describeMessage } from "./describe_error.ts";
import { ExitStatus } from "./exit_status.ts";
import { type Invocation, parseInvocation } from "./invocation.ts";
import { stderr } from "./output.ts";
import { palette } from "./paint.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Carries out a command line.
 *
 * @param args the arguments, as in `Deno.args`
 * @returns what the process is to tell its parent
 */
export async function main(args: readonly string[]): Promise<ExitStatus> {
  try {
    return await dispatch(parseInvocation(args));
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
