import type { Engine, EnqueueOptions } from "../mod.ts";
import { parseDuration } from "./duration_flag.ts";
import { locationOf, sqliteOf } from "./execution_flags.ts";
import { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { readJson } from "./json_flag.ts";
import { openEngine } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";
import { UsageError } from "./usage_error.ts";

/** `enqueue WORKFLOW`: puts a workflow into a queue, by its name, for whoever works on that. */
export async function enqueue({ operands: [name], flags }: Invocation): Promise<ExitStatus> {
  const options = await readOptions(flags);
  await using engine = await openEngine(locationOf(flags), { sqlite: sqliteOf(flags) });
  const handle = await engine.enqueue(name!, options).catch(refuse);
  return await printQueued(engine, handle.id, flags.has("json"));
}

/** Says where a workflow is that was put into a queue. */
export async function printQueued(engine: Engine, asked: string, isJson: boolean): Promise<ExitStatus> {
  // Where an id or a key says so, it is another one, which may be in no queue or another.
  const { id, workflow, status, queue = null } = (await engine.get(asked))!;
  if (isJson) {
    stdout.write(toJson({ workflowId: id, workflow, queue, status }) + "\n");
  } else {
    const where = queue === null ? "in no queue" : `in queue "${printableCell(queue)}"`;
    stdout.write(`"${printableCell(id)}" is ${printableCell(status)}, ${where}\n`);
  }
  return ExitStatus.completed;
}

/** @throws {UsageError} if a value cannot be used */
async function readOptions(flags: Invocation["flags"]): Promise<EnqueueOptions> {
  const value = (flag: Parameters<typeof flags.get>[0]) => flags.get(flag)?.[0];
  const json = value("input");
  const delay = value("delay");
  const [queue = "default", ...more] = flags.get("queue") ?? [];
  if (more.length > 0) throw new UsageError(`enqueue wants one --queue, found ${more.length + 1}`);
  return {
    id: value("id"),
    queue,
    ...json !== undefined && { input: await readJson("input", json) },
    ...delay !== undefined && { delay: parseDuration("delay", delay) },
    priority: parsePriority(value("priority")),
    partition: value("partition"),
    version: value("workflow-version"),
    deduplicationKey: value("deduplication-key"),
  };
}

/** @throws {UsageError} if it is no priority */
export function parsePriority(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (/^-?\d{1,4}$/.test(text)) return Number(text);
  throw new UsageError(`--priority wants a number from -1000 to 1000, found "${printableCell(text)}"`);
}
