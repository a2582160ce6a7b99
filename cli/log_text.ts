import { BUDGETS, toJson } from "./plain_json.ts";
import { leavingOut } from "./printable.ts";

/** What a workflow has logged: whatever that was given as a message and as fields. */
export function logText({ message, fields }: { message: unknown; fields: unknown }): string {
  const text = typeof message === "string"
    ? leavingOut(message, BUDGETS.line.characters)
    : toJson(message, BUDGETS.line);
  return fields === undefined ? text : `${text} ${toJson(fields, BUDGETS.line)}`;
}
