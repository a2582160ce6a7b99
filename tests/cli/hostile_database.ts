/**
 * Runs commands of the command line on copies of a database in which one column has something hostile, and prints of each, as a
 * line of JSON, how it ended and what it said. In one process: there are thousands.
 *
 * @module
 */
import { DatabaseSync } from "node:sqlite";
import { COMMANDS } from "../../cli/commands.ts";
import { said } from "./said.ts";

/** What a command has come to. */
export interface Result {
  readonly where: string;
  readonly args: readonly string[];
  readonly code: number;
  readonly text: string;
}

/** How long a command may take, in milliseconds, before it is asked to stop as by a person. */
const PATIENCE_MS = 3_000;

/**
 * Every command that ends by itself, on each of these workflows, in both of its forms. What executes a workflow does so on the
 * last of them.
 */
export function commandLines(ids: readonly string[], module: string): string[][] {
  const lines: string[][] = [];
  for (const command of COMMANDS) {
    if (command.name === "work") continue; // it ends when it is asked to
    const operands = ("operands" in command ? command.operands : []) as readonly string[];
    const flags: readonly string[] = command.flags;
    const perId = !operands.includes("ID") ? [""] : flags.includes("crash") ? ids.slice(-1) : ids;
    for (const id of perId) {
      const words = operands.map((operand) => operandOf(operand, id));
      const line = [command.name, ...words, ...flags.includes("module") ? ["--module", module] : []];
      if (flags.includes("from")) line.push("--from", "last");
      lines.push(line);
      if (flags.includes("json")) lines.push([...line, "--json"]);
    }
  }
  return lines;
}

function operandOf(operand: string, id: string): string {
  const known: Record<string, string> = { ID: id, NAME: "go", WORKFLOW: "sample", COMMAND: "list" };
  const value = known[operand];
  if (value === undefined) throw new Error(`What is to stand for ${operand} of a new command?`);
  return value;
}

/** Puts something into a column of all rows. @returns whether it can be there at all */
function spoil(file: string, table: string, column: string, sql: string): boolean {
  const db = new DatabaseSync(file);
  try {
    const triggers = db.prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").all();
    for (const { name } of triggers) db.exec(`DROP TRIGGER "${name}"`);
    db.exec(`UPDATE "${table}" SET "${column}" = ${sql}`);
    for (const { sql } of triggers) db.exec(sql as string);
    return true;
  } catch (error) {
    // An integer key, or a value that has to be there or to be another one in each row.
    if (/datatype mismatch|constraint failed/.test((error as Error).message)) return false;
    throw error;
  } finally {
    db.close();
  }
}

/** What is tried on copies of a database: a value, as SQL, in a column, and the commands that then look at it. */
export interface Trial {
  readonly table: string;
  readonly column: string;
  readonly value: string;
  readonly lines: readonly (readonly string[])[];
}

async function attempt(base: string, { table, column, value, lines }: Trial): Promise<void> {
  const where = `${table}.${column} = ${value}`;
  for (const line of lines) {
    const file = `${base}.copy`;
    for (const suffix of ["-wal", "-shm"]) await Deno.remove(file + suffix).catch(() => {});
    await Deno.copyFile(base, file);
    if (!spoil(file, table, column, value)) return;
    console.log(JSON.stringify({ tries: [where, ...line] }));
    const command = COMMANDS.find(({ name }) => name === line[0])!;
    const takesDatabase = command.flags.some((flag) => flag === "db");
    const impatience = setTimeout(() => Deno.kill(Deno.pid, "SIGTERM"), PATIENCE_MS);
    const { code, text } = await said(takesDatabase ? [...line, "--db", file] : line);
    clearTimeout(impatience);
    console.log(JSON.stringify({ where, args: line, code, text } satisfies Result));
  }
}

if (import.meta.main) {
  const [base, trials] = JSON.parse(await Deno.readTextFile(Deno.args[0]!)) as [string, Trial[]];
  for (const trial of trials) await attempt(base, trial);
  Deno.exit(0);
}
