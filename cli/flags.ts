/** A flag of the command line, as it is parsed and as `help` shows it. */
export interface Flag {
  /** Its long name, without dashes. */
  readonly name: string;
  /** What its value is called in `help`; a flag without one is on or off. */
  readonly value?: string;
  /** The only values it takes. */
  readonly choices?: readonly string[];
  /** Whether it may be given more than once. */
  readonly repeatable?: boolean;
  /** What it does, in a sentence. */
  readonly help: string;
}

/** Every flag there is, in the order in which `help` shows them. */
export const FLAGS = [
  {
    name: "workflow-id",
    value: "ID",
    help: "The workflow's id; one that is there already is resumed. Made up by default",
  },
  { name: "from", value: "STEP", help: 'The first step that runs again, such as "pay" or "pay#000002"' },
  { name: "id", value: "NEWID", help: "The id of the new workflow. Made up by default" },
  { name: "db", value: "FILE", help: "The database. Default: stepwell.db in the current folder" },
  { name: "input", value: "JSON|@FILE", help: "The workflow's input, as JSON or from a file with JSON" },
  {
    name: "payload",
    value: "JSON|@FILE",
    help: "What a signal brings along, as JSON or from a file with JSON",
  },
  {
    name: "idempotency-key",
    value: "KEY",
    help: "Another signal of this name with this key is the same one",
  },
  {
    name: "module",
    value: "FILE",
    repeatable: true,
    help: "Adds the workflows that a module exports. Repeatable",
  },
  {
    name: "crash",
    value: "STEP:WHEN[#N]",
    help: "Kills this process at a step: before, during or after it (at its N-th call)",
  },
  {
    name: "durability",
    value: "full|normal",
    choices: ["full", "normal"],
    help: "Survive the loss of power (full, the default), or of the process",
  },
  {
    name: "sqlite",
    value: "builtin|ffi",
    choices: ["builtin", "ffi"],
    help: "The driver of the database. Default: builtin",
  },
  {
    name: "zombie-timeout",
    value: "DURATION",
    help: 'How long a run that is out of reach keeps its workflow, such as "30s"',
  },
  {
    name: "queue",
    value: "NAME",
    repeatable: true,
    help:
      'enqueue: the queue, "default" by default. fork: that of the other by default. work: only workflows of this queue. Repeatable',
  },
  { name: "unqueued", help: "fork: runs it at once, beside the limits of any queue" },
  { name: "delay", value: "DURATION", help: 'How long it waits before it is its turn, such as "10m"' },
  { name: "priority", value: "N", help: "The higher begins first: from -1000 to 1000. Default: 0" },
  { name: "partition", value: "NAME", help: "The part of the queue that it belongs to, such as a customer" },
  {
    name: "deduplication-key",
    value: "KEY",
    help: "While a workflow with this key has not ended, that one is named, and none is made",
  },
  {
    name: "workflow-version",
    value: "VERSION",
    help: "The version of the workflow's code, if it has one",
  },
  {
    name: "pause",
    value: "NAME",
    repeatable: true,
    help: "Has none of the workflows of this queue or schedule begin. Repeatable",
  },
  { name: "resume", value: "NAME", repeatable: true, help: "Has them begin again. Repeatable" },
  {
    name: "trigger",
    value: "NAME",
    repeatable: true,
    help: "Starts a workflow of this schedule now. Repeatable",
  },
  { name: "concurrency", value: "N", help: "How many workflows run at a time. Default: 100" },
  {
    name: "give-up-after",
    value: "DURATION",
    help: "Ends when the database could not be read or written for so long. By default it is tried for ever",
  },
  {
    name: "grace",
    value: "DURATION",
    help: 'How long steps that run are waited for when it is asked to stop. Default: "10s"',
  },
  {
    name: "status",
    value: "STATUS",
    choices: ["pending", "running", "waiting", "completed", "failed", "cancelled", "blocked"],
    repeatable: true,
    help: "Only workflows of this status. Repeatable",
  },
  {
    name: "limit",
    value: "N",
    help: "At most so many: of workflows the newest, 50 by default; of steps the next",
  },
  { name: "after", value: "PLACE", help: "The steps after those that were shown: as they say" },
  { name: "json", help: "Prints the result as one JSON object, on the last line of the standard output" },
  { name: "help", help: "Shows the help of a command" },
] as const satisfies readonly Flag[];

/** The name of one of the {@linkcode FLAGS}. */
export type FlagName = typeof FLAGS[number]["name"];
