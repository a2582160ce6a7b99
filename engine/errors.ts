/**
 * The errors a caller may want to catch. Each is thrown for one reason, says in its message what could not be
 * done, what was wanted and what was found, and carries the same facts as fields.
 *
 * @module
 */

import { describeThrown, encodeError, OWN_ERROR, type StoredError } from "./encode_error.ts";
import { excerpt, quote, quoteSome } from "./quote.ts";
import { timeText } from "./time_text.ts";

/** The base class of all errors of Stepwell's own. What is called with something wrong throws a TypeError or RangeError. */
export class StepwellError extends Error {
  /** An error with the name of its class. */
  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }

  /** The error as plain data, so that `JSON.stringify()` says what has happened: name, message, stack, cause, fields. */
  toJSON(): StoredError {
    return encodeError(this);
  }
}
Object.defineProperty(StepwellError.prototype, OWN_ERROR, { value: true });

/**
 * An id is started again with another workflow's name or another input than it was first started with; or a fork is to
 * get an id that is taken.
 */
export class WorkflowConflictError extends StepwellError {
  /** Thrown by the engine. */
  constructor(
    readonly workflowId: string,
    readonly what: "workflow" | "input" | "parent" | "origin",
    /** What is stored. Of an input only how long it is: it may be personal, and is not for logs. */
    readonly stored: string,
    /** What it is asked for with, likewise. */
    readonly asked: string,
  ) {
    super(
      what === "input"
        ? `Cannot start "${workflowId}": its stored input (${stored}) is not the one that was given (${asked}); ` +
          `engine.get() shows the stored one`
        : `Cannot start "${workflowId}": it was started with the ${what} ${excerpt(stored)}, ` +
          `and is asked for with the ${what} ${excerpt(asked)}`,
    );
  }
}

/** Something that is wrong with an input. */
export interface ValidationIssue {
  /** What is wrong, in the words of the schema. */
  readonly message: string;
  /** Where in the input: the keys that lead there; none for the input itself. */
  readonly path: readonly (string | number)[];
}

/** A workflow is started with an input that the schema of its definition refuses. */
export class ValidationError extends StepwellError {
  /** Thrown by the engine. */
  constructor(
    starting: string,
    readonly workflow: string,
    /** What is wrong with it: the first 100. */
    readonly issues: readonly ValidationIssue[],
  ) {
    super(
      `Cannot start ${starting}: its input is not what workflow "${workflow}" takes${issueLines(issues)}`,
    );
  }
}

/** Another run owns the workflow, its process is alive, and its lease has not ended. */
export class WorkflowBusyError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, readonly runId: string, readonly until: Date) {
    super(`Cannot run "${workflowId}": run "${runId}" owns it until ${timeText(until)}`);
  }
}

/** No workflow has this id. */
export class WorkflowNotFoundError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, file: string) {
    super(`Cannot find workflow "${workflowId}" in "${file}"`);
  }
}

/** A workflow has no such step. */
export class StepNotFoundError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, readonly step: string) {
    super(`Cannot fork workflow "${workflowId}": it has no step ${quote(step)}`);
  }
}

/** What was asked for does not fit the state the workflow is in, such as a retry of one that has not failed. */
export class WorkflowStateError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, action: string, readonly wanted: string, readonly found: string) {
    super(`Cannot ${action} workflow "${workflowId}": it must be ${wanted}, and is ${found}`);
  }
}

/**
 * The engine will not go on with a workflow without a person. Its subclasses say why; the workflow's status is
 * `blocked` until the cause is mended and `engine.resume(id)` lifts the block.
 */
export class WorkflowBlockedError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, message: string, options?: ErrorOptions) {
    super(message, options);
  }
}

/** A checkpoint cannot be read back as it was written: truncated, altered, or not JSON. */
export class CorruptCheckpointError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(
    readonly file: string,
    workflowId: string,
    readonly key: string,
    readonly found: string,
    options?: ErrorOptions,
  ) {
    super(
      workflowId,
      `Cannot read checkpoint ${quote(key)} of workflow ${quote(workflowId)} in "${file}": ` +
        `wanted the row as it was written, found ${excerpt(found, MAX_FOUND)}`,
      options,
    );
  }
}

/** The workflow's code asks for another history than the one that is stored. */
export class NonDeterminismError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(
    workflowId: string,
    reason: string,
    /** The stored completions around the place where the two part, in their order. */
    readonly stored: readonly string[],
    /** What the code asked for around that place, in its order. */
    readonly asked: readonly string[],
  ) {
    super(workflowId, `Cannot replay workflow "${workflowId}": ${reason}\n${sideBySide(stored, asked)}`);
  }
}

/** The workflow's process was lost too many times in a row without a new checkpoint. */
export class TooManyRecoveriesError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(workflowId: string, readonly recoveries: number, readonly limit: number) {
    super(
      workflowId,
      `Cannot recover workflow "${workflowId}" again: its process was lost ${recoveries} times in a row ` +
        `without a new checkpoint, and maxRecoveries is ${limit}`,
    );
  }
}

/** The workflow's name is not among the workflows that this engine was given. */
export class UnknownWorkflowError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(workflowId: string, readonly workflow: string, readonly known: readonly string[]) {
    super(
      workflowId,
      `Cannot run workflow "${workflowId}": this engine has no workflow named ${quote(workflow)}, only ` +
        (known.length === 0 ? "none at all" : quoteSome(known)),
    );
  }
}

/**
 * The workflow was started with a version of its code that this engine does not have. The block lifts itself when an
 * engine that has it is asked to run, start or resume the workflow.
 */
export class UnknownVersionError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(
    workflowId: string,
    readonly workflow: string,
    /** The version it was started with; undefined where it was started with code that had none. */
    readonly version: string | undefined,
    /** The versions that the engine has; null for code without one. */
    readonly known: readonly (string | null)[],
  ) {
    super(
      workflowId,
      `Cannot run workflow "${workflowId}": it was started with ${
        versionName(version)
      } of "${workflow}", and ` +
        `this engine has only ${versionNames(known)}. Add the code of ${versionName(version)} to ` +
        `the engine's workflows, beside the newer; or cancel it, and start it again under another id`,
    );
  }
}

/** The workflow was paused on request; `engine.resume(id)` goes on with it. */
export class WorkflowPausedError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(workflowId: string) {
    super(
      workflowId,
      `Cannot go on with workflow "${workflowId}": it was paused, and goes on when it is resumed`,
    );
  }
}

/**
 * A step of a workflow that has failed or was cancelled could not be undone: its compensation failed for good. The cause
 * is an `AggregateError` of that error and the one that had ended the workflow. Once the cause is mended,
 * `engine.resume(id)` tries the compensation again, and goes on with those that are left.
 */
export class CompensationError extends WorkflowBlockedError {
  /** Thrown by the engine. */
  constructor(workflowId: string, readonly key: string, thrown: unknown, failure: unknown) {
    const message = `Cannot compensate step "${key}" of workflow "${workflowId}", which had ended with ` +
      `"${describeThrown(failure)}": the compensation failed with "${describeThrown(thrown)}"`;
    super(workflowId, message, { cause: new AggregateError([thrown, failure], message) });
  }
}

/** The workflow was cancelled: thrown inside it at what it waits for, and to those who wait for its result. */
export class CancelledError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, isRefusal = false) {
    super(`Workflow "${workflowId}" was cancelled${isRefusal ? BEGINS_NOTHING : ""}`);
  }
}

/** The workflow did not end within its `timeout`: thrown inside it at what it waits for, and what it fails with. */
export class WorkflowTimeoutError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, readonly deadline: Date, isRefusal = false) {
    super(
      `Workflow "${workflowId}" did not end before its deadline, ${timeText(deadline)}` +
        (isRefusal ? BEGINS_NOTHING : ""),
    );
  }
}

/** What is added for what such a workflow asks for afterwards, in a `finally` say. */
const BEGINS_NOTHING = ": it begins nothing more, except in ctx.cleanup()";

/** A cleanup took longer than its `timeout`: thrown inside it at what it waits for and asks for. */
export class CleanupTimeoutError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly key: string, readonly timeoutMs: number) {
    super(`Cleanup "${key}" did not end within its timeout of ${timeoutMs} ms`);
  }
}

/** An attempt of a step took longer than its `timeout`. It counts as a failed attempt. */
export class StepTimeoutError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly key: string, readonly timeoutMs: number) {
    super(`Step "${key}" did not end within its timeout of ${timeoutMs} ms`);
  }
}

/** A transaction was open for longer than its time, and was rolled back. In a workflow it counts as a failed attempt. */
export class TransactionTimeoutError extends StepwellError {
  /** Thrown by the engine. */
  constructor(
    /** The key of the transaction of a workflow; undefined for one of `engine.transaction()`. */
    readonly key: string | undefined,
    readonly timeoutMs: number,
  ) {
    super(
      `Transaction${
        key === undefined ? "" : ` "${key}"`
      } did not end within its timeout of ${timeoutMs} ms, ` +
        `and was rolled back: its function must await nothing but the transaction`,
    );
  }
}

/** The database has refused a statement of a transaction: a constraint, no such table, a mistake in the SQL. */
export class StatementError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly statement: string, readonly reason: string, options?: ErrorOptions) {
    super(`Cannot run ${excerpt(statement)}: ${excerpt(reason, MAX_FOUND)}`, options);
  }
}

/** A step with `semantics: "at-most-once"` had been started by a run that is gone; whether it took effect is unknown. */
export class StepInterruptedError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly key: string) {
    super(`Step "${key}" was interrupted: it had been started, and its semantics is at-most-once`);
  }
}

/** A step was still running when its workflow ended, so nobody was there to take its result. */
export class StepAbandonedError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly key?: string) {
    super(
      `${key === undefined ? "A step" : `Step "${key}"`} was abandoned: its workflow ended before it did`,
    );
  }
}

/** Thrown by a step's function to fail the step for good, whatever its retry options say. */
export class NonRetryableError extends StepwellError {}

/** A value cannot be stored, or a stored text is not a value. */
export class SerializationError extends StepwellError {
  /** Thrown by the engine. */
  constructor(
    message: string,
    /** Where inside the value, such as `.items[2].price`; empty for the value itself. */
    readonly path: string,
    options?: ErrorOptions,
  ) {
    super(excerpt(message, MAX_SERIALIZATION), options);
  }
}

/** The run's lease has passed to another run; nothing this one does is stored any more. */
export class LeaseLostError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly workflowId: string, readonly runId: string, doing: string) {
    super(
      `Cannot ${doing} of workflow "${workflowId}": the lease of run "${runId}" has passed to another run`,
    );
  }
}

/** The engine is closed, or was while a workflow ran: that one can be resumed from its last checkpoint. */
export class EngineClosedError extends StepwellError {}

/** One of the engine's limits is reached; the message names it and its value. */
export class LimitExceededError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly limit: string, readonly max: number, what: string) {
    super(`Cannot ${excerpt(what, MAX_FOUND)}: the limit ${limit} is ${max}`);
  }
}

/** A queue has as many workflows that wait to begin as it may. */
export class QueueFullError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly queue: string, readonly depth: number, readonly maxDepth: number) {
    super(
      `Cannot put a workflow into queue "${queue}": ${depth} wait in it to begin, and its maxDepth is ${maxDepth}`,
    );
  }
}

/** No queue has this name. */
export class QueueNotFoundError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly queue: string, file: string) {
    super(`Cannot find queue "${queue}" in "${file}"`);
  }
}

/** No schedule has this name. */
export class ScheduleNotFoundError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly schedule: string, file: string) {
    super(`Cannot find schedule "${schedule}" in "${file}"`);
  }
}

/** A schedule is to run now whose input is made by code that this engine does not have. */
export class ScheduleInputError extends StepwellError {
  /** Thrown by the engine. */
  constructor(readonly schedule: string) {
    super(
      `Cannot run schedule "${schedule}" now: wanted an input that is stored, or the schedule's definition, ` +
        `found that its code makes one of each tick`,
    );
  }
}

/** The store failed: the file is gone, full, read-only, locked for too long, and so on. Never a workflow's outcome. */
export class StoreError extends StepwellError {}

/** The file was locked by other processes for longer than `busyTimeout`. */
export class StoreBusyError extends StoreError {}

/** The file cannot be opened as a store: a folder, another kind of file, a newer schema, no right to write. */
export class StoreOpenError extends StoreError {}

/** The longest excerpt of what was found in a row, in characters. */
const MAX_FOUND = 500;
/** The longest message about a value that cannot be stored: the path to a part may go through any names. */
const MAX_SERIALIZATION = 900;

/** How many issues of an input go into a message. */
const SHOWN_ISSUES = 20;

function issueLines(issues: readonly ValidationIssue[]): string {
  const lines = issues.slice(0, SHOWN_ISSUES).map(({ path, message }) => {
    const where = path.map((key) => {
      if (typeof key === "number") return `[${key}]`;
      return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`;
    });
    return excerpt(`${where.join("")}${path.length > 0 ? ": " : ""}${message}`);
  });
  if (issues.length > SHOWN_ISSUES) lines.push(`and ${issues.length - SHOWN_ISSUES} more`);
  return lines.length === 1 ? `: ${lines[0]}` : `:\n  ${lines.join("\n  ")}`;
}

function versionName(version: string | null | undefined): string {
  return version === null || version === undefined
    ? "the code without a version"
    : `version ${quote(version)}`;
}

function versionNames(versions: readonly (string | null)[]): string {
  const shown = versions.slice(0, SHOWN_ISSUES).map(versionName).join(", ");
  return versions.length <= SHOWN_ISSUES ? shown : `${shown} and ${versions.length - SHOWN_ISSUES} more`;
}

function sideBySide(stored: readonly string[], asked: readonly string[]): string {
  const line = (text: string | undefined) => text === undefined ? "-" : excerpt(text, MAX_FOUND);
  const width = Math.max("stored".length, ...stored.map((text) => line(text).length));
  const rows = ["  " + "stored".padEnd(width) + "  asked for"];
  for (let i = 0; i < Math.max(stored.length, asked.length); i++) {
    rows.push("  " + line(stored[i]).padEnd(width) + "  " + line(asked[i]));
  }
  return rows.join("\n");
}
