import { type Command, commandNamed, COMMANDS } from "./commands.ts";
import { ExitStatus } from "./exit_status.ts";
import { type Flag, FLAGS } from "./flags.ts";
import type { Invocation } from "./invocation.ts";
import { didYouMean } from "./nearest.ts";
import { stdout } from "./output.ts";
import { palette } from "./paint.ts";
import { printableCell } from "./printable.ts";
import { table } from "./table.ts";
import { UsageError } from "./usage_error.ts";

/** `help [COMMAND]`: what there is, or what a command takes. */
export function help({ operands: [name] }: Invocation): ExitStatus {
  const lines = name === undefined ? overview() : commandHelp(name);
  stdout.write(lines.join("\n") + "\n");
  return ExitStatus.completed;
}

function overview(): string[] {
  const { strong } = palette(stdout.colour);
  return [
    "Workflows that survive crashes: each step's result is kept in one SQLite file, and a workflow goes on where it stopped",
    "",
    `${strong("Usage")}  stepwell [COMMAND] [FLAGS]`,
    "",
    strong("Commands"),
    ...indented(COMMANDS.map((command: Command) => [usage(command), command.summary])),
    "",
    strong("Flags"),
    ...indented(FLAGS.map(flagRow)),
    "",
    strong("Exit status"),
    ...indented(EXIT_STATUSES),
    "",
    "Of values with very many parts --json leaves some out, and says so in their place: [Left out: 12 more].",
    "One dash before a long flag will do. help COMMAND shows what a command takes.",
  ];
}

/** @throws {UsageError} if there is no such command */
function commandHelp(name: string): string[] {
  const command: Command | undefined = commandNamed(name);
  if (command === undefined) {
    const hint = didYouMean(name, COMMANDS.map((each) => each.name));
    throw new UsageError(`There is no help on "${printableCell(name)}": it is no command${hint}`);
  }
  const { strong } = palette(stdout.colour);
  return [
    `${strong("Usage")}  stepwell ${usage(command)} [FLAGS]`,
    "",
    command.summary,
    "",
    strong("Flags"),
    ...indented(FLAGS.filter((flag) => command.flags.includes(flag.name)).map(flagRow)),
  ];
}

const EXIT_STATUSES = [
  ["0", "The workflow completed"],
  ["1", "It failed or is blocked, or something else went wrong, such as that a result cannot be printed"],
  ["2", "The command line is wrong"],
  ["3", "Another process runs the workflow"],
  ["130", "Interrupted; the workflow can be resumed"],
];

function usage({ name, operands = [], optional }: Command): string {
  return [name, ...operands.map((operand) => optional ? `[${operand}]` : operand)].join(" ");
}

function flagRow(flag: Flag): string[] {
  return [flag.value === undefined ? `--${flag.name}` : `--${flag.name} ${flag.value}`, flag.help];
}

function indented(rows: readonly (readonly string[])[]): string[] {
  return table(rows).map((line) => `  ${line}`);
}
