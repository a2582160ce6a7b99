import type { Engine, ForkOptions, Handle } from "../mod.ts";
import { parseDuration } from "./duration_flag.ts";
import { parsePriority, printQueued } from "./enqueue.ts";
import type { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { openStored } from "./open_engine.ts";
import { refuse } from "./refuse.ts";
import { executeStored } from "./stored_execution.ts";
import { UsageError } from "./usage_error.ts";

/**
 * `fork ID`: runs a new workflow that begins with the checkpoints of another, up to a step; or puts it into a queue, for whoever
 * works on that.
 */
export async function fork({ operands, flags }: Invocation): Promise<ExitStatus> {
  const id = operands[0]!;
  const fromStep = flags.get("from")?.[0];
  if (fromStep === undefined) {
    throw new UsageError("fork wants --from STEP: the first step that runs again, such as pay or pay#000002");
  }
  const newId = flags.get("id")?.[0] ?? crypto.randomUUID();
  const place = readPlace(flags);
  if (place.queue !== null && await isQueued(flags, id, place)) {
    return await putIntoQueue(flags, (engine) => engine.fork(id, { fromStep, newId, ...place }));
  }
  return await executeStored(flags, {
    id,
    runsAs: newId,
    begin: (engine) => engine.fork(id, { fromStep, newId, ...place }),
  });
}

type Place = Pick<ForkOptions, "queue" | "partition" | "priority" | "delay">;

/** @throws {UsageError} if a value cannot be used */
function readPlace(flags: Invocation["flags"]): Place {
  const [queue, ...more] = flags.get("queue") ?? [];
  if (more.length > 0) throw new UsageError(`fork wants one --queue, found ${more.length + 1}`);
  if (queue !== undefined && flags.has("unqueued")) {
    throw new UsageError("fork wants --queue or --unqueued, found both");
  }
  const delay = flags.get("delay")?.[0];
  const partition = flags.get("partition")?.[0];
  const priority = parsePriority(flags.get("priority")?.[0]);
  return {
    ...queue !== undefined && { queue },
    ...flags.has("unqueued") && { queue: null },
    ...partition !== undefined && { partition },
    ...priority !== undefined && { priority },
    ...delay !== undefined && { delay: parseDuration("delay", delay) },
  };
}

/** Whether the fork of a workflow waits in a queue. */
async function isQueued(flags: Invocation["flags"], id: string, { queue }: Place): Promise<boolean> {
  if (queue !== undefined) return true;
  await using engine = await openStored(flags);
  return (await engine.get(id))?.queue !== undefined;
}

async function putIntoQueue(
  flags: Invocation["flags"],
  put: (engine: Engine) => Promise<Handle>,
): Promise<ExitStatus> {
  await using engine = await openStored(flags);
  const { id } = await put(engine).catch(refuse);
  return await printQueued(engine, id, flags.has("json"));
}
