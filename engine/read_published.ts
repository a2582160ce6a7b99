import { type Duration, durationMs } from "./duration.ts";
import { follow, type FollowHost } from "./follow.ts";
import { checkOptions, optionNames } from "./known_options.ts";
import { checkName } from "./names.ts";
import { Scope } from "./scope.ts";
import { decodeStored } from "./serialize.ts";
import { publishedKey } from "./store/publications.ts";
import type { WorkflowRecord } from "./store/records.ts";

/** How a published value is read. */
export interface ReadOptions {
  /**
   * Whether to wait until there is a value, or for how long at most. A workflow that ends without one is not waited for
   * any longer. `false` by default.
   */
  wait?: boolean | Duration;
}

const OPTIONS = optionNames<ReadOptions>({ wait: true });

/** The latest value that a workflow has published under a key: see `handle.read()`. */
export async function readPublished(
  host: FollowHost,
  id: string,
  key: string,
  options: ReadOptions = {},
): Promise<unknown> {
  checkName(key, "a key of what is published");
  checkOptions(options, OPTIONS, "read", key);
  const { wait = false } = options;
  const waitMs = typeof wait === "boolean" ? (wait ? Infinity : 0) : durationMs(wait, "wait for a value");
  const look = (record: WorkflowRecord) => host.publications.latest(record, key);
  const found = waitMs === 0 ? await look(await host.find(id)) : await lookFor(host, id, { look, waitMs });
  return found && await decodeRead(host, found.valueJson, { workflowId: id, key: publishedKey(key) });
}

async function lookFor<T>(
  host: FollowHost,
  id: string,
  { look, waitMs }: { look: (record: WorkflowRecord) => Promise<T | undefined>; waitMs: number },
): Promise<T | undefined> {
  const giveUp = new Scope();
  const cancelTimer = waitMs === Infinity
    ? undefined
    : host.clock.setTimer(waitMs, () => giveUp.abort(undefined));
  try {
    return await follow(host, id, { look, giveUp });
  } finally {
    cancelTimer?.();
  }
}

/** The value of a text that was read. @throws {CorruptCheckpointError} if it is none */
export async function decodeRead(
  { publications }: FollowHost,
  valueJson: string | null,
  { workflowId, key }: { workflowId: string; key: string },
): Promise<unknown> {
  return await decodeStored(
    valueJson,
    (found, cause) => publications.corrupt(workflowId, key, found, cause),
  );
}
