/**
 * For tests of workflows: an engine in memory whose clock jumps over all waiting, with chance that can be repeated and
 * faults that are planned; and a check that a workflow comes to the same end wherever its process is lost.
 *
 * @module
 */

export { JumpingClock, type JumpingClockOptions } from "./jumping_clock.ts";
export type { CrashAtCommit, CrashAtStep, FailingStep, Fault, RepeatedSignal } from "./faults.ts";
export type { StepCall } from "./step_calls.ts";
export type { WorldOptions } from "./world.ts";
export { TestEngine, type TestEngineOptions } from "./test_engine.ts";
export type {
  CrashDifference,
  CrashPoint,
  CrashReport,
  RepeatedStep,
  WorkflowEnding,
} from "./crash_report.ts";
export { crashEverywhere, type CrashEverywhereOptions } from "./crash_everywhere.ts";
export { assertSurvivesCrashes, CrashDifferenceError } from "./assert_survives_crashes.ts";
