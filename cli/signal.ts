import { ExitStatus } from "./exit_status.ts";
import type { Invocation } from "./invocation.ts";
import { readJson } from "./json_flag.ts";
import { openStored } from "./open_engine.ts";
import { stdout } from "./output.ts";
import { toJson } from "./plain_json.ts";
import { printableCell } from "./printable.ts";
import { refuse } from "./refuse.ts";

/** `signal ID NAME`: sends a signal, which is kept until the workflow waits for it. */
export async function signal({ operands: [id, name], flags }: Invocation): Promise<ExitStatus> {
  const json = flags.get("payload")?.[0];
  const payload = json === undefined ? undefined : await readJson("payload", json);
  const idempotencyKey = flags.get("idempotency-key")?.[0];
  await using engine = await openStored(flags);
  await engine.signal(id!, name!, payload, { idempotencyKey }).catch(refuse);
  const status = (await engine.get(id!))?.status;
  if (flags.has("json")) {
    stdout.write(toJson({ workflowId: id, signal: name, status: status ?? null }) + "\n");
    return ExitStatus.completed;
  }
  const whose = status === undefined ? "which does not exist yet" : `which is ${printableCell(status)}`;
  stdout.write(`Signal "${printableCell(name!)}" is kept for "${printableCell(id!)}", ${whose}\n`);
  return ExitStatus.completed;
}
