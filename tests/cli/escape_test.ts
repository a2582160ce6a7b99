import { Engine } from "@stepwell/stepwell";
import { assert, assertEquals } from "@std/assert";
import { ExitStatus } from "../../cli/exit_status.ts";
import { startChild } from "../child_process.ts";
import { RIGOROUS } from "../effort.ts";
import { eventually } from "../eventually.ts";
import { execute, query } from "../raw_sqlite.ts";
import { temporaryFolder } from "../temporary_folder.ts";
import { commandLines, type Result, type Trial } from "./hostile_database.ts";
import { mail, nightly, sample } from "./modules/hostile.ts";
import { start } from "./program.ts";

const MODULE = new URL("./modules/hostile.ts", import.meta.url).pathname;

/** What a terminal acts on, but for the ends of lines and tabs. */
// deno-lint-ignore no-control-regex -- it is these that must not be there
const ACTING = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/;

/** SQL for such a text, another one in each row, and for others that are no less out of place. */
const CODES = [27, 155, 7, 10, 13, 0x202e, 0x2066, 0x9d, 8];
const TEXT = `'[31m' || ${CODES.map((code) => `char(${code}) || '2J'`).join(" || ")} || abs(random())`;
const OTHERS = ["x'1b5b324a9b' || randomblob(4)", "1e308", "-9223372036854775808", "NULL", "''"];

/** A database with rows in every table but `wal_growth`. @returns its columns */
async function fill(file: string): Promise<[table: string, column: string][]> {
  {
    await using engine = await Engine.open(file, {
      workflows: [sample],
      queues: [mail],
      schedules: [nightly],
    });
    engine.work();
    await engine.run(sample, { id: "done", input: "ends" });
    await engine.start(sample, { id: "waiting", input: "waits" });
    await engine.run(sample, { id: "failed", input: "fails" }).catch(() => {});
    const options = { queue: mail, partition: "p", input: "ends" };
    await (await engine.enqueue(sample, { id: "queued", deduplicationKey: "d", ...options })).result();
    await engine.enqueue(sample, {
      id: "later",
      delay: "10d",
      throttle: { key: "t", period: "1d" },
      ...options,
    });
    await eventually(async () => (await engine.schedules()).length === 1);
    await (await engine.triggerSchedule("nightly")).result();
    // The second counts the first in its mailbox.
    await engine.signal("waiting", "other", { a: 1 }, { idempotencyKey: "k" });
    await engine.signal("waiting", "other", { a: 2 });
    await eventually(async () => await engine.handle("waiting").status() === "waiting");
  }
  execute(file, "INSERT INTO executors (executor, lease_until, pid, started_at) VALUES (17, 9e12, 1, 1)");
  execute(file, "PRAGMA wal_checkpoint(TRUNCATE)");
  const columns = query(
    file,
    `SELECT t.name AS "table", c.name AS "column" FROM sqlite_schema t, pragma_table_info(t.name) c
     WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'`,
  );
  for (const { table } of columns) {
    assert(
      query(file, `SELECT count(*) AS n FROM "${table}"`)[0]!.n as number > 0,
      `Wanted rows in ${table}`,
    );
  }
  return columns.map(({ table, column }) => [table as string, column as string]);
}

/** Makes the trials in a process of its own, where one that hangs is found. */
async function attempt(base: string, trials: readonly Trial[]): Promise<Result[]> {
  await Deno.writeTextFile(`${base}.json`, JSON.stringify([base, trials]));
  await using child = startChild(import.meta.resolve("./hostile_database.ts"), `${base}.json`);
  let ended = false;
  const end = child.ended(TRIALS_MS).then(({ code, stderr }) => {
    ended = true;
    assertEquals([code, stderr], [0, ""], child.lines.findLast((line) => line.startsWith('{"tries"')));
  });
  try {
    await end;
  } catch (error) {
    const last = child.lines.findLast((line) => line.startsWith('{"tries"'));
    throw new Error(ended ? `It ended at ${last}` : `It hangs at ${last}`, { cause: error });
  }
  return child.lines.filter((line) => line.startsWith('{"where"')).map((line) => JSON.parse(line));
}

/** How long all trials of a process may take, in milliseconds. */
const TRIALS_MS = 600_000;

Deno.test("no command prints what a terminal acts on, or hangs, whatever a column of the database has in it", async () => {
  await using folder = temporaryFolder();
  const bases = [folder.file("a.db"), folder.file("b.db")];
  const columns = await fill(bases[0]!);
  await Deno.copyFile(bases[0]!, bases[1]!);
  const lines = commandLines(["waiting", "failed"], MODULE);
  const trials = columns.flatMap(([table, column], i): Trial[] => {
    const all = [TEXT, ...RIGOROUS ? OTHERS : [OTHERS[i % OTHERS.length]!]];
    // Each column is met by some of the commands, those that show most by all; and each command by each kind of table.
    const some = lines.filter((_, line) => RIGOROUS || (line + i) % 10 === 0);
    const always = lines.filter(([name, id]) => name === "list" || name === "show" && id === "waiting");
    return all.map((value) => ({
      table,
      column,
      value,
      lines: value === TEXT ? [...always, ...some] : some,
    }));
  });
  const halves = bases.map((base, half) => attempt(base, trials.filter((_, i) => i % 2 === half)));
  const results = (await Promise.all(halves)).flat();

  const statuses: readonly number[] = Object.values(ExitStatus);
  for (const { where, args, code, text } of results) {
    const what = `${args.join(" ")} with ${where}`;
    const acting = ACTING.exec(text);
    assertEquals([what, acting && text.slice(acting.index - 50, acting.index + 50)], [what, null]);
    assertEquals([what, statuses.includes(code), /\n {4}at /.test(text)], [what, true, false], text);
    if (args.includes("--json") && code !== ExitStatus.usage && !text.includes("error: ")) {
      JSON.parse(text.trimEnd().split("\n").at(-1)!);
    }
  }
  const tried = new Set(results.map(({ args }) => args[0]));
  assertEquals(lines.filter(([name]) => !tried.has(name)), []);
});

Deno.test("work prints nothing that a terminal acts on, and stops when it is asked to, whatever a table has in it", async () => {
  await using folder = temporaryFolder();
  const file = folder.file("a.db");
  const columns = await fill(file);
  const spoiled: [string, string[]][] = [
    ["workflows", ["name", "queue", "partition", "error_json"]],
    ["inputs", ["version", "input_json"]],
    ["checkpoints", ["attempt", "topic"]],
    ["schedules", ["workflow", "cron", "time_zone"]],
    ["queues", ["name", "depth", "concurrency"]],
  ];
  for (const [table, names] of spoiled) {
    const sets = names.filter((name) => columns.some(([of, column]) => of === table && column === name));
    for (const json of [[], ["--json"]]) {
      const copy = folder.file(`${table}${json.length}.db`);
      await Deno.copyFile(file, copy);
      execute(
        copy,
        `UPDATE workflows SET status = 'pending', due_at = NULL WHERE workflow_id IN ('done', 'waiting')`,
      );
      execute(copy, `UPDATE "${table}" SET ${sets.map((name) => `"${name}" = ${TEXT}`).join(", ")}`);
      const worker = start(["work", "--module", MODULE, "--db", copy, ...json], { cwd: folder.path });
      await worker.says(json.length === 0 ? "Working on" : '"type":"working"');
      worker.kill("SIGTERM");
      const { code, signal, stdout, stderr } = await worker.ended();
      const text = stdout + stderr;
      assertEquals([table, ACTING.exec(text)?.[0]], [table, undefined], text);
      assertEquals([table, code, signal, /\n {4}at /.test(text)], [table, 0, null, false], text);
    }
  }
});
