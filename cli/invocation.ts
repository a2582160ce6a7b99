import { parseArgs } from "@std/cli/parse-args";
import { type Command, type CommandName, commandNamed, COMMANDS } from "./commands.ts";
import { type Flag, type FlagName, FLAGS } from "./flags.ts";
import { didYouMean } from "./nearest.ts";
import { printableCell } from "./printable.ts";
import { UsageError } from "./usage_error.ts";

/** What a command line asks for. */
export interface Invocation {
  readonly command: CommandName;
  /** The command's operands, such as an id: as many as it takes, or none where they may be left out. */
  readonly operands: readonly string[];
  /** The values of the flags that were given, in their order; a flag without a value has `""`. */
  readonly flags: ReadonlyMap<FlagName, readonly string[]>;
}

const flags: readonly Flag[] = FLAGS;
const valueFlags = flags.filter((flag) => flag.value !== undefined).map((flag) => flag.name);
const switches = flags.filter((flag) => flag.value === undefined).map((flag) => flag.name);

/**
 * Reads a command line. The first word that is no flag is the command; `run` where there is none. One dash before a
 * long flag counts as two.
 *
 * @param args the arguments, as in `Deno.args`
 * @throws {UsageError} if a command, flag or operand is unknown, missing, or one too many
 */
export function parseInvocation(args: readonly string[]): Invocation {
  refuseReplaced(args);
  const unknown: string[] = [];
  const parsed = parseArgs(spelledOut(args), {
    string: [...valueFlags, "_"],
    boolean: [...switches, "version"],
    collect: valueFlags,
    alias: { help: "h" },
    unknown: (arg: string, key?: string) => {
      if (key === undefined) return true;
      unknown.push(arg.replace(/^(--?[^=]*)=.*$/s, "$1"));
      return false;
    },
  }) as unknown as Record<string, unknown> & { _: string[] };

  if (unknown.length > 0) throw unknownFlag(unknown[0]!);
  const given = new Map<FlagName, readonly string[]>();
  for (const flag of flags) {
    const values = valuesOf(flag, parsed[flag.name]);
    if (values.length > 0) given.set(flag.name as FlagName, values);
  }

  const [word, ...operands] = parsed._.map(String);
  if (parsed.version === true) return { command: "version", operands: [], flags: new Map() };
  if (word === undefined) return checked(given.has("help") ? "help" : "run", [], given);
  const command = commandNamed(word);
  if (command === undefined) throw unknownCommand(word);
  if (given.has("help")) return { command: "help", operands: [command.name], flags: given };
  return checked(command.name, operands, given);
}

/** @throws {UsageError} if an argument was not UTF-8: Deno has put another character into its place, and it is another word now */
function refuseReplaced(args: readonly string[]): void {
  const replaced = args.find((arg) => arg.includes("\ufffd"));
  if (replaced === undefined) return;
  throw new UsageError(
    `Cannot read ${
      quoted([replaced])
    }: wanted UTF-8, found something else (or U+FFFD, the character that stands for that)`,
  );
}

/**
 * The arguments with every flag in one word, up to a `--`, and with two dashes before its name: `-db` as `--db`, `--json` as
 * `--json=true`, so that no word after it is its value, and `--priority -5` as `--priority=-5`.
 *
 * @throws {UsageError} if a flag that has no value is given one
 */
function spelledOut(args: readonly string[]): string[] {
  const end = args.includes("--") ? args.indexOf("--") : args.length;
  const spelled: string[] = [];
  for (let i = 0; i < end; i++) {
    const arg = /^-[a-z][a-z-]+(=|$)/.test(args[i]!) ? `-${args[i]}` : args[i]!;
    const [, name = "", value] = /^--([^=]+)(=.*)?$/s.exec(arg) ?? [];
    if (switches.includes(name) || name === "version") {
      if (value !== undefined) {
        throw new UsageError(`--${name} takes no value, found ${quoted([value.slice(1)])}`);
      }
      spelled.push(`--${name}=true`);
    } else if (valueFlags.includes(name) && value === undefined && /^-\d/.test(args[i + 1] ?? "")) {
      spelled.push(`--${name}=${args[++i]}`);
    } else if (name.startsWith("no-")) {
      throw unknownFlag(`--${name}`);
    } else {
      spelled.push(arg);
    }
  }
  return [...spelled, ...args.slice(end)];
}

/** @throws {UsageError} if a value is missing, given twice, or none of the flag's choices */
function valuesOf(flag: Flag, found: unknown): string[] {
  if (flag.value === undefined) return found === true ? [""] : [];
  const values = (found ?? []) as string[];
  if (values.includes("")) throw new UsageError(`--${flag.name} wants a value: ${flag.value}`);
  if (values.length > 1 && !flag.repeatable) {
    throw new UsageError(`--${flag.name} wants one ${flag.value}, found ${values.length}: ${quoted(values)}`);
  }
  const wrong = flag.choices && values.find((value) => !flag.choices!.includes(value));
  if (wrong !== undefined) {
    const hint = didYouMean(wrong, flag.choices!);
    throw new UsageError(
      `--${flag.name} wants ${flag.choices!.join(", ").replace(/, (\w+)$/, " or $1")}, found ${
        quoted([wrong])
      }${hint}`,
    );
  }
  return values;
}

/** @throws {UsageError} if an operand is missing or one too many, or a flag is not the command's */
function checked(name: CommandName, operands: readonly string[], given: Invocation["flags"]): Invocation {
  const command: Command = commandNamed(name)!;
  for (const flag of given.keys()) {
    if (command.flags.includes(flag)) continue;
    const others = COMMANDS.filter((other: Command) => other.flags.includes(flag)).map((other) => other.name);
    throw new UsageError(`${name} takes no --${flag}; it belongs to ${others.join(", ")}`);
  }
  const { operands: wanted = [], optional = false } = command;
  if (operands.length > wanted.length) {
    const [what] = wanted;
    const most = wanted.length > 1 ? wanted.join(" and ") : what === undefined ? "nothing" : `one ${what}`;
    throw new UsageError(`${name} takes ${most} besides flags, found ${quoted(operands)}`);
  }
  const missing = wanted.find((_, i) => !operands[i]);
  if (missing !== undefined && !optional) {
    throw new UsageError(`${name} wants ${article(missing)} ${missing}: ${name} ${wanted.join(" ")}`);
  }
  return { command: name, operands, flags: given };
}

function unknownFlag(arg: string): UsageError {
  const name = arg.replace(/^-+/, "");
  return new UsageError(
    `Unknown flag ${quoted([arg])}${didYouMean(name, flags.map((flag) => flag.name), "--")}`,
  );
}

function unknownCommand(word: string): UsageError {
  const hint = didYouMean(word, COMMANDS.map((command) => command.name)) ||
    `; a workflow is run with: run WORKFLOW`;
  return new UsageError(`Unknown command ${quoted([word])}${hint}`);
}

function quoted(words: readonly string[]): string {
  return words.map((word) => `"${printableCell(word)}"`).join(", ");
}

function article(noun: string): string {
  return /^[AEIO]/.test(noun) ? "an" : "a";
}
