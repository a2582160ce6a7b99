import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Engine, type Workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../tests/temporary_folder.ts";

/** A row, by column. */
export type Row = Record<string, SQLInputValue>;

/** The rows of one workflow that has ended. */
export interface RecordedWorkflow {
  readonly workflow: Row;
  readonly input: Row;
  /** In the order of their completion. */
  readonly checkpoints: readonly Row[];
}

/** What an engine has written: the tables and indexes, and the rows that a workload has left in them. */
export interface RecordedRows {
  readonly schema: readonly string[];
  readonly workflows: readonly RecordedWorkflow[];
}

/** Runs a workflow, `count` times at once, in a store of its own, and gives the rows that are in it then. */
export async function recordRows<I>(
  workflow: Workflow<I, unknown>,
  { input, count = 1 }: { input: I; count?: number },
): Promise<RecordedRows> {
  await using folder = temporaryFolder();
  const file = folder.file("recorded.db");
  {
    await using engine = await Engine.open(file, { durability: "normal" });
    await Promise.all(Array.from({ length: count }, () => engine.run(workflow, { input })));
  }
  return readRows(file);
}

/** The tables, indexes and rows of a store. */
function readRows(file: string): RecordedRows {
  const db = new DatabaseSync(file);
  try {
    const rows = (sql: string, ...params: SQLInputValue[]) => db.prepare(sql).all(...params) as Row[];
    return {
      schema: rows("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL").map(({ sql }) => sql as string),
      workflows: rows("SELECT * FROM workflows ORDER BY workflow").map((workflow) => ({
        workflow,
        input: rows("SELECT * FROM inputs WHERE workflow = ?", workflow.workflow!)[0]!,
        checkpoints: rows(
          "SELECT * FROM checkpoints WHERE workflow = ? ORDER BY completion",
          workflow.workflow!,
        ),
      })),
    };
  } finally {
    db.close();
  }
}
