/**
 * What may be run in a transaction: SQL of users, looked at before the database gets it. It is cut into tokens, not
 * parsed: the database itself says what is wrong with the rest.
 *
 * @module
 */

import { quote } from "../quote.ts";
import { OWN_NAMES } from "./schema.ts";

/** What is known of a statement. */
export interface UserSql {
  /** Whether it is one that changes rows. */
  readonly changesRows: boolean;
  /** Whether it changes what statements mean: those that are prepared are not to be used again. */
  readonly changesSchema: boolean;
  /** How many parameters it takes. */
  readonly parameters: number;
}

interface Token {
  /** A bare word in capitals, the name in quotes, or a sign. */
  readonly text: string;
  readonly kind: "word" | "name" | "sign";
}

const READING = ["SELECT", "VALUES", "EXPLAIN"];
const CHANGING_ROWS = ["INSERT", "REPLACE", "UPDATE", "DELETE"];
const CHANGING_SCHEMA = ["CREATE", "ALTER", "DROP"];
const ALLOWED = [...READING, "WITH", ...CHANGING_ROWS, ...CHANGING_SCHEMA];

const OWN = new Set(OWN_NAMES.map((name) => name.toUpperCase()));

/**
 * Looks at one statement.
 *
 * @throws {TypeError} if it is not exactly one, would end or nest the transaction or set up the connection, has parameters
 *   with names, or names one of the store's own tables as what it changes. What a trigger does with them is not found.
 */
export function checkUserSql(sql: string): UserSql {
  if (typeof sql !== "string") throw new TypeError(`Cannot run a statement: wanted SQL, found ${typeof sql}`);
  const { tokens, parameters } = tokenize(sql);
  const verb = tokens[0]?.kind === "word" ? tokens[0].text : undefined;
  if (verb === undefined || !ALLOWED.includes(verb)) {
    throw new TypeError(
      `Cannot run ${shown(sql)} in a transaction: wanted a statement that begins with one of ${
        ALLOWED.join(", ")
      }, found ${verb === undefined ? "none" : quote(verb)}`,
    );
  }
  // The body of a trigger has several statements in one.
  const isTrigger = verb === "CREATE" && tokens.slice(1, 4).some(({ text }) => text === "TRIGGER");
  const end = tokens.findIndex(({ text, kind }) => kind === "sign" && text === ";");
  if (!isTrigger && end !== -1 && tokens.slice(end).some(({ text }) => text !== ";")) {
    throw new TypeError(`Cannot run ${shown(sql)} in a transaction: wanted one statement, found more`);
  }
  if (!READING.includes(verb)) refuseOwnTables(sql, tokens);
  const changesRows = CHANGING_ROWS.includes(verb) ||
    verb === "WITH" && tokens.some(({ text, kind }) => kind === "word" && CHANGING_ROWS.includes(text));
  return { changesRows, changesSchema: CHANGING_SCHEMA.includes(verb), parameters };
}

function refuseOwnTables(sql: string, tokens: readonly Token[]): void {
  const own = tokens.findIndex((_, i) => isTargetBefore(tokens, i) && OWN.has(nameAt(tokens, i)));
  if (own === -1) return;
  throw new TypeError(
    `Cannot run ${shown(sql)} in a transaction: "${
      nameAt(tokens, own).toLowerCase()
    }" is one of Stepwell's own, ` +
      `and can only be read`,
  );
}

/** The name at a place, without that of the schema before it. */
function nameAt(tokens: readonly Token[], i: number): string {
  const { text } = (tokens[i + 1]?.text === "." ? tokens[i + 2] : tokens[i]) ?? tokens[i]!;
  return text.toUpperCase();
}

/** Whether what stands before a place says that what stands there is changed. */
function isTargetBefore(tokens: readonly Token[], i: number): boolean {
  const word = (back: number) => tokens[i - back]?.kind === "word" ? tokens[i - back]!.text : "";
  switch (word(1)) {
    case "INTO":
    case "UPDATE":
    case "TABLE":
    case "VIEW":
    case "INDEX":
    case "TRIGGER":
    case "EXISTS": // DROP TABLE IF EXISTS
      return true;
    case "FROM":
      return word(2) === "DELETE";
    case "TO":
      return word(2) === "RENAME";
    case "ON": // CREATE INDEX … ON, CREATE TRIGGER … ON
      return tokens[0]!.text === "CREATE" &&
        !tokens.slice(0, 4).some(({ text }) => text === "TABLE" || text === "VIEW");
    default:
      return word(2) === "OR" && word(3) === "UPDATE";
  }
}

const TOKEN =
  /\s+|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\?\d*|[:@$#][\w$]+|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|[\s\S]/g;

function tokenize(sql: string): { tokens: Token[]; parameters: number } {
  const tokens: Token[] = [];
  let parameters = 0;
  for (const [text] of sql.matchAll(TOKEN)) {
    if (/^(\s|--|\/\*)/.test(text)) continue;
    if (text[0] === "?") {
      parameters = text === "?" ? parameters + 1 : Math.max(parameters, Number(text.slice(1)));
    }
    if (/^[:@$#][\w$]/.test(text)) {
      throw new TypeError(
        `Cannot run ${shown(sql)} in a transaction: wanted parameters that are given as "?", found ${
          quote(text)
        }`,
      );
    }
    if (/^['"`[]./.test(text)) tokens.push({ text: text.slice(1, -1), kind: "name" });
    else if (/^[A-Za-z_\u0080-\uffff]/.test(text)) tokens.push({ text: text.toUpperCase(), kind: "word" });
    else tokens.push({ text, kind: "sign" });
  }
  return { tokens, parameters };
}

/** The longest excerpt of a statement in a message. */
const SHOWN_LENGTH = 100;

function shown(sql: string): string {
  return JSON.stringify(sql.length <= SHOWN_LENGTH ? sql : `${sql.slice(0, SHOWN_LENGTH)}…`);
}

/** Checks what is to be bound. @throws {TypeError} if it is not as many as wanted, or not what a database can take */
export function checkParameters(sql: string, wanted: number, params: readonly unknown[]): void {
  if (params.length !== wanted) {
    throw new TypeError(
      `Cannot run ${shown(sql)}: wanted ${wanted} parameter${
        wanted === 1 ? "" : "s"
      }, found ${params.length}`,
    );
  }
  for (const [i, value] of params.entries()) {
    if (value === null || typeof value === "string" || typeof value === "bigint") continue;
    if (typeof value === "number" && !Number.isNaN(value) || value instanceof Uint8Array) continue;
    throw new TypeError(
      `Cannot run ${shown(sql)}: wanted a string, number, bigint, null or Uint8Array as parameter ${
        i + 1
      }, ` +
        `found ${typeof value === "number" ? "NaN" : typeof value}`,
    );
  }
}
