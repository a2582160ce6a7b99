/**
 * What may be run in a transaction: SQL of users, looked at before the database gets it. It is cut into tokens where SQLite
 * cuts it, not parsed: the database itself says what is wrong with the rest, and what a statement writes to (own_objects.ts).
 *
 * @module
 */

import { quote } from "../quote.ts";

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

const READING = ["SELECT", "VALUES"];
const CHANGING_ROWS = ["INSERT", "REPLACE", "UPDATE", "DELETE"];
const CHANGING_SCHEMA = ["CREATE", "ALTER", "DROP"];
const ALLOWED = [...READING, "WITH", ...CHANGING_ROWS, ...CHANGING_SCHEMA];

/**
 * Looks at one statement.
 *
 * @throws {TypeError} if it is not exactly one, would end or nest the transaction or set up the connection, has parameters
 *   with names, or characters that SQLite reads as others
 */
export function checkUserSql(sql: string): UserSql {
  if (typeof sql !== "string") throw new TypeError(`Cannot run a statement: wanted SQL, found ${typeof sql}`);
  // SQLite ends a text at a NUL, and would run what is before it.
  if (sql.includes("\0")) throw refusal(sql, "SQL without the character NUL, found one");
  if (!sql.isWellFormed()) throw refusal(sql, "SQL of whole characters, found half of one");
  const { tokens, parameters } = tokenize(sql);
  const explains = isWord(tokens[0], "EXPLAIN");
  const statement = explains ? tokens.slice(isWord(tokens[1], "QUERY") ? 3 : 1) : tokens;
  const verb = statement[0]?.kind === "word" ? statement[0].text : undefined;
  if (verb === undefined || !ALLOWED.includes(verb)) {
    throw refusal(
      sql,
      `a statement that begins with one of EXPLAIN, ${ALLOWED.join(", ")}, found ${
        verb === undefined ? "none" : quote(verb)
      }`,
    );
  }
  const end = endOf(statement);
  if (statement.slice(end).some((token) => !isSign(token, ";"))) {
    throw refusal(sql, "one statement, found more");
  }
  if (tokens.some(({ text, kind }) => kind !== "sign" && text.toUpperCase() === "PRAGMA_OPTIMIZE")) {
    throw refusal(sql, "a statement without pragma_optimize, which analyzes all tables");
  }
  const changesRows = CHANGING_ROWS.includes(verb) ||
    verb === "WITH" && CHANGING_ROWS.some((each) => statement.some((token) => isWord(token, each)));
  return {
    changesRows: changesRows && !explains,
    changesSchema: CHANGING_SCHEMA.includes(verb) && !explains,
    parameters,
  };
}

/** Where a statement ends: at its first semicolon, but for the statements in the body of a trigger, at the END after one. */
function endOf(tokens: readonly Token[]): number {
  const isTemporary = isWord(tokens[1], "TEMP") || isWord(tokens[1], "TEMPORARY");
  const isTrigger = isWord(tokens[0], "CREATE") && isWord(tokens[isTemporary ? 2 : 1], "TRIGGER");
  const end = tokens.findIndex((token, i) =>
    isTrigger ? isWord(token, "END") && isSign(tokens[i - 1], ";") : isSign(token, ";")
  );
  return end === -1 ? tokens.length : end + 1;
}

function isWord(token: Token | undefined, text: string): boolean {
  return token?.kind === "word" && token.text === text;
}

function isSign(token: Token | undefined, text: string): boolean {
  return token?.kind === "sign" && token.text === text;
}

/**
 * As SQLite's own: its white space is not that of JavaScript, and all beyond ASCII is a letter. What it does not know, such as
 * a quote that is not closed, is a sign here.
 */
const TOKEN =
  /[ \t\n\f\r\ufeff]+|--[^\n]*|\/\*(?:[\s\S]*?\*\/|[\s\S]+$)|'(?:[^']|'')*'|"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\]|\?\d*|[:@$#](?:[\w$\u0080-\uffff]|::)*|[A-Za-z_\u0080-\uffff][\w$\u0080-\uffff]*|\d[\w.]*|[\s\S]/g;

function tokenize(sql: string): { tokens: Token[]; parameters: number } {
  const tokens: Token[] = [];
  let parameters = 0;
  for (const [text] of sql.matchAll(TOKEN)) {
    if (/^([ \t\n\f\r\ufeff]|--|\/\*)/.test(text)) continue;
    if (text[0] === "?") {
      parameters = text === "?" ? parameters + 1 : Math.max(parameters, Number(text.slice(1)));
    }
    if (/^[:@$#]/.test(text)) throw refusal(sql, `parameters that are given as "?", found ${quote(text)}`);
    if (/^['"`[]./s.test(text)) tokens.push({ text: text.slice(1, -1), kind: "name" });
    else if (/^[A-Za-z_\u0080-\uffff]/.test(text)) tokens.push({ text: text.toUpperCase(), kind: "word" });
    else tokens.push({ text, kind: "sign" });
  }
  return { tokens, parameters };
}

/** The error of a statement that is none for a transaction. @param wanted what it must be, and what it is */
function refusal(sql: string, wanted: string): TypeError {
  return new TypeError(`Cannot run ${shown(sql)} in a transaction: wanted ${wanted}`);
}

/** The longest excerpt of a statement in a message. */
const SHOWN_LENGTH = 100;

/** A statement as messages quote it. */
export function shown(sql: string): string {
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
