import { StepwellError } from "../engine/errors.ts";
import type { Workflow } from "../engine/workflow.ts";
import { crashEverywhere, type CrashEverywhereOptions } from "./crash_everywhere.ts";
import type { CrashReport } from "./crash_report.ts";

/** Thrown by {@linkcode assertSurvivesCrashes}: a crash makes a difference to what a workflow comes to. */
export class CrashDifferenceError extends StepwellError {
  /**
   * An error whose message is the text of the report.
   *
   * @param report what was found
   */
  constructor(readonly report: CrashReport) {
    super(report.text);
  }
}

/**
 * {@linkcode crashEverywhere}, for a test: a difference fails it. Steps that ran more than once do not.
 *
 * @returns the report, which names those steps
 * @throws {CrashDifferenceError} if anything came out otherwise than without a crash
 * @throws as {@linkcode crashEverywhere}
 *
 * @example
 * ```ts
 * import { workflow } from "@stepwell/stepwell";
 * import { assertSurvivesCrashes } from "@stepwell/stepwell/testing";
 *
 * const mails = new Set<string>();
 * const welcome = workflow("welcome", async (ctx, name: string) => {
 *   await ctx.step("mail", ({ idempotencyKey }) => void mails.add(idempotencyKey));
 *   const answer = await ctx.waitForSignal<string>("answered", { timeout: "7d" });
 *   return `${name}: ${answer}`;
 * });
 *
 * await assertSurvivesCrashes(welcome, {
 *   input: "Ada",
 *   prepare: () => mails.clear(),
 *   drive: (engine, id) => engine.signal(id, "answered", "thanks", { idempotencyKey: "answer-1" }),
 *   observe: () => [...mails],
 * });
 * ```
 */
export async function assertSurvivesCrashes<I, O>(
  // deno-lint-ignore no-explicit-any -- what its function is given does not matter here
  workflow: Workflow<I, O, any>,
  options: CrashEverywhereOptions<I> = {},
): Promise<CrashReport> {
  const report = await crashEverywhere(workflow, options);
  if (report.differences.length > 0) throw new CrashDifferenceError(report);
  return report;
}
