/**
 * What is to go wrong in a test.
 *
 * @module
 */

import { checkOptions, optionNames } from "../engine/known_options.ts";
import { excerpt, found } from "../engine/quote.ts";
import type { Signal } from "../engine/signal.ts";
import { signalName } from "../engine/signal.ts";
import { isStep } from "./step_calls.ts";

/** One thing that is to go wrong. */
export type Fault = FailingStep | CrashAtCommit | CrashAtStep | RepeatedSignal;

/** A step's function is not called, and fails instead. */
export interface FailingStep {
  /** The step: its id, or its key, such as `"charge#000001"`. */
  readonly fail: string;
  /** How often, from 1. Once by default. A failure that is lost in a crash happens again, and counts once. */
  readonly times?: number;
  /** What is thrown. An `Error` that says so by default. */
  readonly error?: unknown;
}

/** The process is lost at a commit. */
export interface CrashAtCommit {
  /** `"before"`: nothing of it is stored. `"after"`: all of it is, and the engine does not hear of it. */
  readonly crash: "before" | "after";
  /** Which one, counted from 1 through all lives of the engine. */
  readonly commit: number;
}

/** The process is lost at a step. */
export interface CrashAtStep {
  /**
   * `"before"`: its function has not run. `"during"`: it has run, or failed, and nothing of that is stored. `"after"`: its
   * checkpoint is committed, and the workflow has not seen it.
   */
  readonly crash: "before" | "during" | "after";
  /** The step: its id, or its key, such as `"charge#000001"`. */
  readonly step: string;
  /** Of which workflow. Of whichever comes first by default. */
  readonly workflowId?: string;
  /** In which attempt, from 1. In whichever comes first by default. */
  readonly attempt?: number;
}

/** A signal arrives more than once, as with a sender that has had no answer. */
export interface RepeatedSignal {
  /** The signal: its name or its definition. All that are sent of it are delivered so. */
  // deno-lint-ignore no-explicit-any -- a plan holds signals whatever their payload
  readonly repeat: string | Signal<any>;
  /** How often in all, from 2. Twice by default. */
  readonly times?: number;
}

const FAILING_STEP = optionNames<FailingStep>({ fail: true, times: true, error: true });
const CRASH_AT_COMMIT = optionNames<CrashAtCommit>({ crash: true, commit: true });
const CRASH_AT_STEP = optionNames<CrashAtStep>({ crash: true, step: true, workflowId: true, attempt: true });
const REPEATED_SIGNAL = optionNames<RepeatedSignal>({ repeat: true, times: true });
const ACT = "plan a fault";

/** Where a step is. */
export interface StepMoment {
  readonly workflowId: string;
  readonly key: string;
  readonly attempt: number;
}

/** A fault, and how often it is still to happen. */
interface Planned {
  readonly fault: Fault;
  left: number;
}

/** Faults, each of which happens when its time comes, and no more often than it is to. */
export class FaultPlan {
  readonly #planned: readonly Planned[];
  /** The failures that may be lost yet, by the attempt that fails. */
  readonly #unstored = new Map<string, FailingStep>();

  /** @throws {TypeError | RangeError} if one of them is none */
  constructor(faults: readonly Fault[]) {
    if (!Array.isArray(faults)) throw new TypeError(`Cannot ${ACT}: wanted an array, found ${found(faults)}`);
    this.#planned = faults.map((fault) => ({ fault, left: check(fault) }));
  }

  /** Those that have not happened, or not as often as they were to. */
  get left(): readonly Fault[] {
    return this.#planned.filter(({ left }) => left > 0).map(({ fault }) => fault);
  }

  /** Nothing more goes wrong. */
  end(): void {
    for (const planned of this.#planned) planned.left = 0;
  }

  /** Whether the process is lost at this commit. */
  crashesAtCommit(when: "before" | "after", commit: number): boolean {
    return this.#take((fault) => "commit" in fault && fault.crash === when && fault.commit === commit) !==
      undefined;
  }

  /** Whether the process is lost here. */
  crashesAtStep(when: "before" | "during" | "after", { workflowId, key, attempt }: StepMoment): boolean {
    return this.#take((fault) =>
      "step" in fault && fault.crash === when && isStep(fault.step, key) &&
      (fault.workflowId ?? workflowId) === workflowId && (fault.attempt ?? attempt) === attempt
    ) !== undefined;
  }

  /** What an attempt of a step fails with, if it does. */
  failureOf(step: StepMoment): { readonly error: unknown } | undefined {
    const { key } = step;
    const name = nameOf(step);
    const fault = this.#unstored.get(name) ??
      this.#take((fault) => "fail" in fault && isStep(fault.fail, key)) as FailingStep | undefined;
    if (fault === undefined) return undefined;
    this.#unstored.set(name, fault);
    return { error: "error" in fault ? fault.error : new Error(`Step "${key}" fails: so it was planned`) };
  }

  /** The failure of an attempt is stored, and not lost any more. */
  failureStored(step: StepMoment): void {
    this.#unstored.delete(nameOf(step));
  }

  /** How often a signal is delivered. */
  deliveriesOf(signal: string): number {
    for (const planned of this.#planned) {
      const { fault } = planned;
      if (!("repeat" in fault) || signalName(fault.repeat) !== signal) continue;
      planned.left = 0;
      return fault.times ?? 2;
    }
    return 1;
  }

  #take(happens: (fault: Fault) => boolean): Fault | undefined {
    const planned = this.#planned.find(({ fault, left }) => left > 0 && happens(fault));
    if (planned !== undefined) planned.left--;
    return planned?.fault;
  }
}

function nameOf({ workflowId, key, attempt }: StepMoment): string {
  return JSON.stringify([workflowId, key, attempt]);
}

/** @returns how often it is to happen */
function check(fault: Fault): number {
  if (typeof fault !== "object" || fault === null) {
    throw new TypeError(`Cannot ${ACT}: wanted an object, found ${found(fault)}`);
  }
  if ("fail" in fault) {
    checkOptions(fault, FAILING_STEP, ACT);
    checkText("fail", fault.fail);
    return checkInteger("times", fault.times ?? 1, 1);
  }
  if ("repeat" in fault) {
    checkOptions(fault, REPEATED_SIGNAL, ACT);
    signalName(fault.repeat);
    checkInteger("times", fault.times ?? 2, 2);
    return 1;
  }
  const moments = "commit" in fault ? ["before", "after"] : ["before", "during", "after"];
  if (!("crash" in fault) || !moments.includes(fault.crash)) {
    throw new TypeError(
      `Cannot plan a fault: wanted "fail", "repeat" or a "crash" ${moments.join(" or ")} something, found ${
        excerpt(JSON.stringify(fault) ?? "undefined")
      }`,
    );
  }
  checkOptions(fault, "commit" in fault ? CRASH_AT_COMMIT : CRASH_AT_STEP, ACT);
  if ("commit" in fault) checkInteger("commit", fault.commit, 1);
  else {
    checkText("step", fault.step);
    checkInteger("attempt", fault.attempt ?? 1, 1);
  }
  return 1;
}

function checkText(what: string, value: unknown): void {
  if (typeof value === "string" && value !== "") return;
  throw new TypeError(
    `Cannot plan a fault: wanted a step's id or key as "${what}", found ${found(value)}`,
  );
}

function checkInteger(what: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new RangeError(
    `Cannot plan a fault: wanted an integer from ${min} as "${what}", found ${found(value)}`,
  );
}
