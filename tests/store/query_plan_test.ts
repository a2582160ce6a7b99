/**
 * Holds every statement of the engine to what it costs: none looks through a table that grows, nor sorts what has no limit.
 * What bounds it is an index, as SQLite says that it would use it.
 */
import { assert, assertEquals } from "@std/assert";
import { Engine } from "@stepwell/stepwell";
import type { Statement } from "../../engine/store/database.ts";
import { measurePage, type PagedQuery, selectPage, selectPageInBytes } from "../../engine/store/pages.ts";
import { query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** The tables in which there may be anything of: of the others there are only so many. */
const GROWING = [
  "workflows",
  "inputs",
  "checkpoints",
  "messages",
  "mailboxes",
  "patches",
  "published",
  "emitted",
  "placements",
  "lines",
];

const FEW = "of so many rows, each part has a limit of its own";
/** What looks through a table, or sorts, for a good reason. */
const EXCEPTIONS: Record<string, string> = {
  "selectWorkflows: SCAN workflows": "the newest of all, up to the limit",
  "selectWorkflows: SEARCH workflows_by_name": "the newest of a name and a status, up to the limit",
  "selectWorkflows: USE TEMP B-TREE FOR ORDER BY": FEW,
  "completionsAfter: USE TEMP B-TREE FOR ORDER BY": FEW,
  "emittedAfter: USE TEMP B-TREE FOR ORDER BY": FEW,
  "keptAfter: USE TEMP B-TREE FOR ORDER BY": FEW,
  "publishedAfter: USE TEMP B-TREE FOR ORDER BY": FEW,
  "runningAfter: USE TEMP B-TREE FOR ORDER BY": FEW,
  "selectEmitted: USE TEMP B-TREE FOR ORDER BY": FEW,
  "readyDelayed: USE TEMP B-TREE FOR GROUP BY": FEW,
  "selectCandidates: USE TEMP B-TREE FOR ORDER BY": FEW,
  "selectDueOf: USE TEMP B-TREE FOR ORDER BY": FEW,
  "selectPendingOf: USE TEMP B-TREE FOR ORDER BY": FEW,
  "selectResumableOf: USE TEMP B-TREE FOR ORDER BY": FEW,
  "selectReadyQueues: USE TEMP B-TREE FOR DISTINCT": "there are only so many queues",
  "selectResumableQueues: USE TEMP B-TREE FOR DISTINCT": "there are only so many queues",
  "selectExecutorUse: USE TEMP B-TREE FOR ORDER BY": "there are only so many executors",
  "selectClaimableCodes: SCAN workflows": "from one name to the next, one row of each",
  "selectOddStatuses: SCAN workflows": "from one name and status to the next, one row of each",
  "selectOddStatuses: SEARCH workflows_by_name": "of a status that there is not, up to the limit",
  "selectClaimableCodes: SCAN lines": "from one name to the next, one row of each",
  "orderLines: USE TEMP B-TREE FOR GROUP BY": "when a person changes the limits of a queue",
};

/** Indexes by which what is found is no less than what there is of a kind: they are for an order with a limit. */
const WIDE = ["workflows_by_name"];

const INTERFACES = {
  owner: { workflowId: "w", workflow: 1, run: 1 },
  seen: { workflow: 1, run: 1, status: "blocked" },
};

/** What is called besides, where a function writes more than one statement: by its name. */
const MORE: Record<string, readonly unknown[][]> = {
  selectWorkflows: [undefined, "w"].flatMap((beforeId) =>
    [undefined, "name"].flatMap((name) =>
      [[], ["failed"], ["failed", "running"]].map((
        statuses,
      ) => [{ statuses, name, beforeId, limit: 10 }])
    )
  ),
  wakeWorkflow: [["w", 1], ["w", 1, "topic"]],
  sendFrom: [[INTERFACES.owner, anything(), null], [INTERFACES.seen, anything(), null]],
  writeCheckpoint: [true, false].flatMap((replaces) =>
    [{}, { topic: "t" }].map((also) => [INTERFACES.owner, { ...checkpoint(), ...also }, replaces])
  ),
  writePublication: ["publish", "emit"].map((
    kind,
  ) => [INTERFACES.owner, { ...checkpoint(), kind }, { name: "n", valueJson: "1" }]),
  joinLine: [[1], [{ workflowId: "w" }]],
};

function checkpoint() {
  return {
    key: "a#000001",
    kind: "step",
    status: "completed",
    completion: 1,
    outputJson: "1",
    errorJson: null,
  };
}

/** A text, a list or an object, whatever is wanted, with what any of the functions may look for in it. */
function anything(base: object = new String("x")): object {
  return Object.assign(base, {
    ...INTERFACES.owner,
    ...checkpoint(),
    name: "n",
    status: "blocked",
    topic: "t",
    sentAt: 1,
    payloadJson: "1",
    createdAt: 1,
    seed: 1,
    inputJson: "1",
    statuses: [],
    codes: [],
    from: { workflow: 1, retriedAt: 1 },
    partition: "p",
    queue: "q",
    throttle: { key: "k", since: 1 },
  });
}

Deno.test("no statement looks through a table that grows, or sorts what has no limit", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  await (await Engine.open(file)).close();
  const problems: string[] = [];
  const used = new Set<string>();
  for (const [name, statements] of await collectStatements()) {
    assert(statements.length > 0, `${name} could not be called: give a sample of what it takes`);
    for (const sql of new Set(statements)) {
      for (const { detail } of query(file, `EXPLAIN QUERY PLAN ${sql}`)) {
        const problem = problemOf(String(detail), sql);
        if (problem === undefined) continue;
        const key = `${name}: ${problem}`;
        if (EXCEPTIONS[key] === undefined) problems.push(`${key}\n${sql}`);
        used.add(key);
      }
    }
  }
  assertEquals(problems, []);
  assertEquals(
    Object.keys(EXCEPTIONS).filter((key) => !used.has(key)),
    [],
    "exceptions that are none any more",
  );
});

/** What is wrong with a line of a plan, if something is. */
function problemOf(detail: string, sql: string): string | undefined {
  if (/^USE TEMP B-TREE/.test(detail)) return detail;
  if (/ AUTOMATIC /.test(detail)) return "AUTOMATIC INDEX";
  const wide = WIDE.find((index) => detail.includes(`INDEX ${index} `));
  if (wide !== undefined) return `SEARCH ${wide}`;
  const [, scanned] = /^SCAN (\w+)(?! VIRTUAL)/.exec(detail) ?? [];
  if (scanned === undefined || / VIRTUAL TABLE /.test(detail)) return undefined;
  const table = tableOf(scanned, sql);
  return table === undefined ? undefined : `SCAN ${table}`;
}

/** Which of the tables that grow a name is of, if one. */
function tableOf(name: string, sql: string): string | undefined {
  return GROWING.find((table) =>
    table === name || new RegExp(`\\b${table}\\s+(AS\\s+)?${name}\\b`, "i").test(sql)
  );
}

/** The SQL of every function of the engine that gives statements, by its name. */
async function collectStatements(): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const folder = new URL("../../engine/store/", import.meta.url);
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith("_statements.ts")) continue;
    for (const [exported, value] of Object.entries(await import(new URL(name, folder).href))) {
      if (typeof value !== "function" || exported === "codesParam") continue;
      found.set(exported, sqlOf(exported, value as (...args: unknown[]) => unknown));
    }
  }
  assert(found.size > 80);
  return found;
}

function sqlOf(name: string, statementsOf: (...args: unknown[]) => unknown): string[] {
  const samples = MORE[name] ?? Array.from(
    { length: 32 },
    (_, bits) => Array.from({ length: 5 }, (_, i) => (bits >> i) & 1 ? anything([]) : anything()),
  );
  return samples.flatMap((sample) => {
    try {
      return textsOf(statementsOf(...sample));
    } catch (error) {
      if (MORE[name] !== undefined || !(error instanceof TypeError)) throw error;
      return [];
    }
  });
}

function textsOf(given: unknown): string[] {
  if (Array.isArray(given)) return given.flatMap(textsOf);
  if ("where" in (given as object)) {
    const paged = given as PagedQuery;
    return [
      measurePage(paged, 1),
      selectPage(paged, 1),
      selectPageInBytes(paged, { rows: 1, bytes: 1 }),
    ].map(({ sql }) => sql);
  }
  const { sql, several } = given as Statement;
  return several === undefined ? [sql] : [sql, several(8)];
}
