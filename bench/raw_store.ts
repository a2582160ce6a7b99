import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import type { RecordedRows, RecordedWorkflow, Row } from "./recorded_rows.ts";

/** One row to write: a statement that is prepared already, with its parameters. */
type Write = readonly [StatementSync, SQLInputValue[]];

/** The writes of one commit. */
type Commit = readonly Write[];

/** In which commits rows are written. */
export type Grouping =
  /** Each step of each workflow on its own, and its start and end as well. */
  | "one by one"
  /** As many workflows side by side as there are: their starts, their first steps, their second steps, …, their ends. */
  | "side by side"
  /** The steps of a workflow in one commit, between its start and its end. */
  | "fanned out";

/**
 * The lower bound: what SQLite itself takes to write the rows that an engine has written, into the same tables with the
 * same indexes, at the same durability. It knows no workflows: it writes what it is given.
 *
 * Every time, rows get numbers that are free, so that they can be written into one file again and again.
 */
export class RawStore implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  #lastWorkflow = 0;

  /**
   * @param file is made anew
   * @param options.after if given, the file is there, and has no workflows of a number above this but those written here
   */
  constructor(
    file: string,
    private readonly rows: RecordedRows,
    durability: "full" | "normal",
    { after }: { after?: number } = {},
  ) {
    this.#db = new DatabaseSync(file);
    this.#db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = ${durability}`);
    if (after !== undefined) {
      this.#lastWorkflow = after;
      return;
    }
    this.#db.exec("BEGIN");
    for (const sql of rows.schema) this.#db.exec(sql);
    this.#db.exec("COMMIT");
  }

  /**
   * Prepares to write the rows, once.
   *
   * @param options.stepsOnly whether to leave out the rows of the workflows themselves
   * @returns a function that writes them: all that has to be timed
   */
  writer(grouping: Grouping, { stepsOnly = false }: { stepsOnly?: boolean } = {}): () => void {
    const commits = this.commits(grouping, { stepsOnly });
    return () => {
      for (const commit of commits) commit();
    };
  }

  /** Prepares to write the rows, once. @returns likewise, for each commit a function */
  commits(grouping: Grouping, { stepsOnly = false }: { stepsOnly?: boolean } = {}): (() => void)[] {
    const commits = this.#group(this.rows.workflows.map((workflow) => this.#renumbered(workflow)), grouping)
      .map((commit) => stepsOnly ? commit.filter(([statement]) => statement === this.#stepStatement) : commit)
      .filter((commit) => commit.length > 0);
    return commits.map((commit) => () => this.#commit(commit));
  }

  /** Prepares to write just one step's row, again and again; each call is a commit. */
  stepWriter(): () => void {
    const row = withoutKey({ ...this.rows.workflows[0]!.checkpoints[0]!, workflow: ++this.#lastWorkflow });
    const [statement, params] = this.#insert("checkpoints", row);
    const place = Object.keys(row).indexOf("completion");
    let completion = 0;
    return () => {
      params[place] = ++completion;
      statement.run(...params);
    };
  }

  /** Runs something in one transaction. */
  inOneCommit(act: () => void): void {
    this.#db.exec("BEGIN IMMEDIATE");
    act();
    this.#db.exec("COMMIT");
  }

  #group(workflows: readonly RecordedWorkflow[], grouping: Grouping): Commit[] {
    const starts = workflows.map((workflow) => this.#start(workflow));
    const ends = workflows.map((workflow) => this.#end(workflow));
    const steps = workflows.map(({ checkpoints }) => checkpoints.map((row) => this.#step(row)));
    switch (grouping) {
      case "one by one":
        return workflows.flatMap((_, i) => [starts[i]!, ...steps[i]!.map((step) => [step]), [ends[i]!]]);
      case "side by side": {
        const longest = Math.max(...steps.map(({ length }) => length));
        const rounds = Array.from(
          { length: longest },
          (_, round) => steps.flatMap((of) => of.slice(round, round + 1)),
        );
        return [starts.flat(), ...rounds, ends];
      }
      case "fanned out":
        return [starts.flat(), steps.flat(), ends];
    }
  }

  #commit(commit: Commit): void {
    if (commit.length === 1) return void commit[0]![0].run(...commit[0]![1]);
    this.#db.exec("BEGIN IMMEDIATE");
    for (const [statement, params] of commit) statement.run(...params);
    this.#db.exec("COMMIT");
  }

  /** The same workflow under a number and an id that nobody has. */
  #renumbered({ workflow, input, checkpoints }: RecordedWorkflow): RecordedWorkflow {
    const number = ++this.#lastWorkflow;
    return {
      workflow: { ...workflow, workflow: number, workflow_id: crypto.randomUUID() },
      input: { ...input, workflow: number },
      checkpoints: checkpoints.map((row) => ({ ...row, workflow: number })),
    };
  }

  #start({ workflow, input }: RecordedWorkflow): Commit {
    const begun = {
      ...workflow,
      status: "running",
      executor: workflow.run!,
      completed_at: null,
      output_json: null,
      checksum: null,
    };
    return [this.#insert("workflows", begun), this.#insert("inputs", input)];
  }

  #end({ workflow }: RecordedWorkflow): Write {
    const { status, updated_at, completed_at, output_json, error_json, checksum, workflow: number } =
      workflow;
    const statement = this.#prepared(
      "UPDATE workflows SET status = ?, executor = NULL, updated_at = ?, completed_at = ?, output_json = ?, " +
        "error_json = ?, checksum = ? WHERE workflow = ?",
    );
    return [statement, [status!, updated_at!, completed_at!, output_json!, error_json!, checksum!, number!]];
  }

  #step(row: Row): Write {
    return this.#insert("checkpoints", withoutKey(row));
  }

  get #stepStatement(): StatementSync {
    return this.#step(this.rows.workflows[0]!.checkpoints[0]!)[0];
  }

  #insert(table: string, row: Row): Write {
    const names = Object.keys(row);
    const sql = `INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`;
    return [this.#prepared(sql), Object.values(row)];
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) this.#statements.set(sql, statement = this.#db.prepare(sql));
    return statement;
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }
}

/** A checkpoint without its key, so that SQLite gives it one of its own, as it does for the engine. */
function withoutKey({ checkpoint: _, ...row }: Row): Row {
  return row;
}
