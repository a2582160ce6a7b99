/** Opens a file with the SQLite that Deno has built in, runs one statement, and says so: `raw_statement.ts FILE SQL`. */
import { DatabaseSync } from "node:sqlite";
import { tell } from "./tell.ts";

const [file, sql] = Deno.args as [string, string];
new DatabaseSync(file).prepare(sql).all();
tell();
