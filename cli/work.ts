import { queue } from "../mod.ts";
import { availableWorkflows } from "./available_workflows.ts";
import { parseCount } from "./count_flag.ts";
import { parseDuration } from "./duration_flag.ts";
import { readExecutionFlags } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import { onInterrupt } from "./interrupt.ts";
import type { Invocation } from "./invocation.ts";
import { openEngine } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { RunningWorkflows } from "./running_workflows.ts";
import { tellStrayErrors } from "./stray_errors.ts";
import { loadQueues, loadSchedules } from "./workflow_modules.ts";
import { type Ends, WorkerLog } from "./worker_log.ts";

/** `work`: runs workflows that nobody runs, until it is asked to stop. That is its end: the status is 0. */
export async function work({ flags: given }: Invocation): Promise<ExitStatus> {
  const flags = readExecutionFlags(given);
  const concurrency = parseCount("concurrency", given.get("concurrency")?.[0]);
  const grace = given.get("grace")?.[0];
  const closeGrace = grace === undefined ? undefined : parseDuration("grace", grace);
  const giveUp = given.get("give-up-after")?.[0];
  const giveUpAfter = giveUp === undefined ? undefined : parseDuration("give-up-after", giveUp);
  const queueNames = given.get("queue");
  for (const name of queueNames ?? []) checkQueueName(name);
  const workflows = await availableWorkflows(flags.location, flags.modules);
  const queues = await loadQueues(flags.modules);
  const schedules = await loadSchedules(flags.modules);
  const log = new WorkerLog(stdout, flags.json);
  const running = new RunningWorkflows();
  using _strays = tellStrayErrors(running, (stray) => log.stray(stray));
  {
    await using engine = await openEngine(flags.location, {
      ...flags.engine,
      workflows,
      queues,
      schedules,
      closeGrace,
      onEvent: (event) => {
        running.observe(event);
        log.observe(event);
      },
    });
    using _signals = onInterrupt(() => {
      if (!flags.json) stdout.write("Stopping at the next checkpoints; a second signal stops at once\n");
      engine.close().catch(() => {}); // closed again at the end, where its error counts
    });
    const working = engine.work({ concurrency, queues: queueNames, giveUpAfter });
    const names = Array.from(new Set(workflows.map(({ name }) => name)));
    stdout.write((flags.json ? toJson({ type: "working", workflows: names }) : begun(names)) + "\n");
    await working;
  }
  stdout.write((flags.json ? toJson({ type: "stopped", ...log.ends }) : ended(log.ends)) + "\n");
  return ExitStatus.completed;
}

/** Also the queues that schedules have for themselves can be worked on. @throws {UsageError} if it is no name */
function checkQueueName(name: string): void {
  try {
    queue(name.replace(/^schedule:/, "schedule "));
  } catch (error) {
    refuse(error);
  }
}

function begun(names: readonly string[]): string {
  return `Working on ${names.map((name) => `"${printableCell(name)}"`).join(", ")}`;
}

function ended(ends: Ends): string {
  const counts = Object.entries(ends).filter(([, count]) => count > 0);
  if (counts.length === 0) return "Stopped: there was nothing to do";
  return `Stopped: ${counts.map(([end, count]) => `${count} ${end}`).join(", ")}`;
}
