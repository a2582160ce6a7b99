import { Engine, type StepDetail, workflow, type WorkflowDetail } from "@stepwell/stepwell";
import type { Effect } from "./soak_workflows.ts";

/** What an iteration of the soak has seen. */
export interface SoakResult {
  /** How many steps there were. */
  readonly steps: number;
  /** How many attempts were made again, because a process was killed before they were recorded. */
  readonly again: number;
}

/** A call of a step's function, as the ledger has it. */
interface LedgerEntry extends Effect {
  readonly attempt: number;
}

/** The most workflows that are looked at. */
const MAX_WORKFLOWS = 10_000;

/**
 * Looks at the store and the ledger of an iteration, while processes work on them, for what must not be:
 *
 * 1. A step that has an outcome is run again, or its outcome is another one later.
 * 2. An attempt is made again that was recorded as failed.
 * 3. A workflow was given what its step has not done, or not what is stored of it.
 * 4. A workflow is neither running nor completed, nor waits until a step is tried again; in the end, it is not completed, or
 *    something is left of a process.
 */
export class SoakWatch {
  readonly #file: string;
  readonly #ledger: string;
  readonly #entries: LedgerEntry[] = [];
  /** The outcomes that were in the store at the last look, by the idempotency key of their step. */
  #outcomes = new Map<string, string>();
  /** The attempts that steps were at by then. */
  #attempts = new Map<string, number>();

  constructor(file: string, ledger: string) {
    this.#file = file;
    this.#ledger = ledger;
  }

  /** Looks while processes work. @throws {Error} if there is something that must not be */
  async look(): Promise<WorkflowDetail[]> {
    const workflows = await readStore(this.#file);
    // What is new in the ledger was done after the last look; some of it before this one, some after.
    const entries = await readLedger(this.#ledger);
    for (const entry of entries.slice(this.#entries.length)) {
      this.#checkEntry(entry);
      this.#entries.push(entry);
    }
    const outcomes = new Map<string, string>();
    for (const { id, status, dueAt, steps } of workflows) {
      const isTriedAgain = status === "waiting" && dueAt !== undefined;
      must(status === "running" || status === "completed" || isTriedAgain, id, status);
      for (const step of steps) {
        const key = `${id}/${step.key}`;
        this.#attempts.set(key, step.attempt);
        if (step.status !== "running") outcomes.set(key, outcomeOf(step));
      }
    }
    for (const [key, outcome] of this.#outcomes) {
      must(outcomes.get(key) === outcome, key, `had the outcome ${outcome}, and has ${outcomes.get(key)}`);
    }
    this.#outcomes = outcomes;
    return workflows;
  }

  /**
   * Looks once all processes have ended.
   *
   * @param count how many workflows there are
   * @throws {Error} likewise
   */
  async lookAtEnd(count: number): Promise<SoakResult> {
    const workflows = await this.look();
    must(workflows.length === count, "the file", `has ${workflows.length} workflows`);
    const done = new Set(this.#entries.map(({ key, name }) => `${key} ${name}`));
    let steps = 0;
    for (const { id, status, output, steps: itsSteps } of workflows) {
      must(status === "completed", id, status);
      const stored = new Map(
        itsSteps.map(({ key, output }) => [`${id}/${key}`, output as Effect | undefined]),
      );
      for (const effect of stored.values()) {
        if (effect !== undefined) must(done.has(`${effect.key} ${effect.name}`), effect.key, "was not done");
      }
      for (const { key, name } of output as Effect[]) {
        must(stored.get(key)?.name === name, id, `was given "${name}" for "${key}"`);
      }
      steps += itsSteps.length;
    }
    await claimOnce(this.#file);
    const folder = this.#file.replace(/[^/\\]*$/, "");
    const left = await Array.fromAsync(Deno.readDir(folder), ({ name }) => name);
    must(
      left.every((name) => !name.includes("-executor-")),
      "the folder",
      `still has ${left.sort().join(", ")}`,
    );
    const attempts = new Set(this.#entries.map(({ key, attempt }) => `${key} ${attempt}`));
    return { steps, again: this.#entries.length - attempts.size };
  }

  #checkEntry({ key, attempt }: LedgerEntry): void {
    must(!this.#outcomes.has(key), key, "was run again, though its outcome was stored");
    const known = this.#attempts.get(key) ?? 1;
    must(attempt >= known, key, `was at attempt ${known}, and made attempt ${attempt} again`);
  }
}

function outcomeOf({ status, output, error, attempt, completion }: StepDetail): string {
  return JSON.stringify({ status, output, error: error?.message, attempt, completion });
}

async function readStore(file: string): Promise<WorkflowDetail[]> {
  await using engine = await Engine.open(file);
  const workflows = await engine.list({ limit: MAX_WORKFLOWS });
  return await Promise.all(workflows.map(async ({ id }) => (await engine.get(id))!));
}

/** Has a process that comes last run something: it clears away what those before it have left behind. */
async function claimOnce(file: string): Promise<void> {
  await using engine = await Engine.open(file);
  await engine.run(workflow("last", (ctx) => ctx.step("only", () => {})));
}

async function readLedger(ledger: string): Promise<LedgerEntry[]> {
  const lines = (await Deno.readTextFile(ledger)).split("\n");
  lines.pop(); // What follows the last newline has not been done, or not yet.
  return lines.map((line) => JSON.parse(line));
}

function must(holds: boolean, what: string, found: string): void {
  if (!holds) throw new Error(`"${what}" ${found}`);
}
