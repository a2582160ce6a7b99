import type { Invocation } from "./invocation.ts";
import { stdout } from "./output.ts";
import { toJson } from "./plain_json.ts";

/** What a command has found, in both forms. */
export interface Report {
  /** For programs. */
  readonly json: unknown;
  /** For people, a line each. */
  lines(): readonly string[];
}

/** Prints what a command has found: as one line of JSON with `--json`, and otherwise for people. */
export function printReport(flags: Invocation["flags"], { json, lines }: Report): void {
  if (flags.has("json")) stdout.write(toJson(json) + "\n");
  else for (const line of lines()) stdout.write(line + "\n");
}
