import type { FlagName } from "./flags.ts";

/** A subcommand, as the command line is read and as `help` shows it. */
export interface Command {
  readonly name: string;
  /** What its operands are called, in their order; none where it takes none. */
  readonly operands?: readonly string[];
  /** Whether the operands may be left out. */
  readonly optional?: boolean;
  /** What it does, in a sentence. */
  readonly summary: string;
  readonly flags: readonly FlagName[];
}

const STORE = ["db", "sqlite"] as const;
const EXECUTION = ["module", "crash", "durability", "zombie-timeout", ...STORE, "json", "help"] as const;

/** Every subcommand, in the order in which `help` shows them. */
export const COMMANDS = [
  {
    name: "run",
    operands: ["WORKFLOW"],
    optional: true,
    summary: 'Starts a workflow ("onboarding" by default), or resumes it where its id is there already',
    flags: ["workflow-id", "input", ...EXECUTION],
  },
  {
    name: "resume",
    operands: ["ID"],
    summary: "Goes on with a workflow from its last checkpoint; a blocked one is unblocked",
    flags: EXECUTION,
  },
  {
    name: "retry",
    operands: ["ID"],
    summary: "Runs a failed workflow again, from the step that failed",
    flags: EXECUTION,
  },
  {
    name: "fork",
    operands: ["ID"],
    summary:
      "Runs a new workflow that begins with the checkpoints of another, up to a step; in the queue of that, it waits for its turn",
    flags: ["from", "id", "queue", "unqueued", "partition", "priority", "delay", ...EXECUTION],
  },
  {
    name: "enqueue",
    operands: ["WORKFLOW"],
    summary: "Puts a workflow into a queue, for whoever works on that",
    flags: [
      "id",
      "input",
      "queue",
      "delay",
      "priority",
      "partition",
      "deduplication-key",
      "workflow-version",
      ...STORE,
      "json",
      "help",
    ],
  },
  {
    name: "work",
    summary: "Runs the workflows that nobody runs, until it is asked to stop by SIGINT or SIGTERM",
    flags: [
      "module",
      "queue",
      "concurrency",
      "give-up-after",
      "grace",
      "durability",
      "zombie-timeout",
      ...STORE,
      "json",
      "help",
    ],
  },
  {
    name: "signal",
    operands: ["ID", "NAME"],
    summary: "Sends a signal to a workflow, which is kept until that waits for it",
    flags: ["payload", "idempotency-key", ...STORE, "json", "help"],
  },
  {
    name: "cancel",
    operands: ["ID"],
    summary: "Has a workflow cancelled: its steps are undone",
    flags: [...STORE, "json", "help"],
  },
  {
    name: "pause",
    operands: ["ID"],
    summary: "Stops a workflow at its next checkpoint, until it is resumed",
    flags: [...STORE, "json", "help"],
  },
  {
    name: "list",
    summary: "Lists workflows, the newest first",
    flags: ["status", "limit", ...STORE, "json", "help"],
  },
  {
    name: "show",
    operands: ["ID"],
    summary: "Shows a workflow with its steps, and what can be done with it",
    flags: ["limit", "after", ...STORE, "json", "help"],
  },
  {
    name: "why",
    operands: ["ID"],
    summary: "Says what a workflow waits for, who holds it, and what would move it on",
    flags: [...STORE, "json", "help"],
  },
  {
    name: "queues",
    summary: "Shows the queues with their limits, and pauses or resumes some",
    flags: ["pause", "resume", ...STORE, "json", "help"],
  },
  {
    name: "schedules",
    summary: "Shows the schedules with their next ticks, and pauses, resumes or starts some",
    flags: ["pause", "resume", "trigger", ...STORE, "json", "help"],
  },
  {
    name: "executors",
    summary: "Shows the processes that run workflows, or are ready to",
    flags: [...STORE, "json", "help"],
  },
  {
    name: "check",
    summary:
      "Replays unfinished workflows against the code of modules, and lists those that would be blocked: status 1 if any",
    flags: ["module", ...STORE, "json", "help"],
  },
  {
    name: "help",
    operands: ["COMMAND"],
    optional: true,
    summary: "Shows this help, or that of a command",
    flags: ["help"],
  },
  { name: "version", summary: "Shows the version", flags: ["help"] },
] as const satisfies readonly Command[];

/** The name of one of the {@linkcode COMMANDS}. */
export type CommandName = typeof COMMANDS[number]["name"];

/** The command of a name, if there is one. */
export function commandNamed(name: string): (Command & { name: CommandName }) | undefined {
  return COMMANDS.find((command) => command.name === name);
}

/** Whether a command takes a flag. */
export function takesFlag(name: CommandName, flag: FlagName): boolean {
  const { flags }: Command = commandNamed(name)!;
  return flags.includes(flag);
}
