/**
 * The statements about patches: the places at which workflows have taken up a change of their code.
 *
 * @module
 */

import type { Statement } from "./database.ts";
import type { Ownership } from "./ownership.ts";
import { type Patch, patchChecksum } from "./rows.ts";

const WRITE = `INSERT INTO patches (workflow, change_id, run, at, checksum)
  SELECT workflow, ?, ?, ?, ? FROM workflows WHERE workflow = ? AND run = ? AND status = 'running'`;

/** Writes that the workflow has taken a change up. */
export function writePatch({ workflow, workflowId, run }: Ownership, patch: Patch): Statement {
  const { changeId, at } = patch;
  return { sql: WRITE, params: [changeId, patch.run, at, patchChecksum(workflowId, patch), workflow, run] };
}

/** The changes that a workflow has taken up. */
export function selectPatches(workflow: number): Statement {
  return {
    sql: "SELECT change_id, run, at, checksum FROM patches WHERE workflow = ? ORDER BY change_id",
    params: [workflow],
  };
}
