/**
 * Durable execution: an ordinary async function whose steps are checkpointed in one SQLite file, and which goes on where
 * it stopped when its process has been lost.
 *
 * @example
 * ```ts
 * import { Engine, workflow } from "@stepwell/stepwell";
 * import { assertEquals } from "@std/assert";
 *
 * const order = workflow("order", async (ctx, input: { sku: string }) => {
 *   const receipt = await ctx.step("charge", ({ idempotencyKey }) => `paid ${idempotencyKey}`);
 *   const [label, invoice] = await ctx.all([
 *     (ctx) => ctx.step("label", () => `label for ${input.sku}`),
 *     (ctx) => ctx.step("invoice", () => `invoice for ${receipt}`),
 *   ]);
 *   return { label, invoice };
 * });
 *
 * await using engine = await Engine.open(":memory:", { workflows: [order] });
 * const result = await engine.run(order, { id: "order-17", input: { sku: "A1" } });
 * assertEquals(result, { label: "label for A1", invoice: "invoice for paid order-17/charge#000001" });
 * ```
 *
 * @module
 */

export * from "./engine/errors.ts";
export type { Duration } from "./engine/duration.ts";
export { type Clock, systemClock } from "./engine/clock.ts";
export { type RandomSource, systemRandom } from "./engine/random.ts";
export type { StoredError } from "./engine/stored_error.ts";
export { type Signal, signal } from "./engine/signal.ts";
export type {
  SchemaInput,
  SchemaOutput,
  StandardSchema,
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaTypes,
} from "./engine/standard_schema.ts";
export type { RetryOptions } from "./engine/retry.ts";
export type {
  EngineEvent,
  EventBase,
  EventDetail,
  LogLevel,
  StoreEvent,
  WorkflowEvent,
} from "./engine/events.ts";
export {
  isWorkflow,
  type ValidatedWorkflowOptions,
  workflow,
  type WorkflowOptions,
} from "./engine/define_workflow.ts";
export type { CannotBeStored, Unstorable, UnstorableResult } from "./engine/storable.ts";
export {
  type AllOptions,
  type ChildOptions,
  type CleanupOptions,
  type Compensate,
  type CompensateOptions,
  type Context,
  type Logger,
  type StartArguments,
  step,
  type StepFunction,
  type StepInfo,
  type StepOptions,
  type Transaction,
  type TransactionFunction,
  type TransactionOptions,
  type TransactionStartOptions,
  type WaitOptions,
  type Workflow,
} from "./engine/workflow.ts";
export type { SqlParameter } from "./engine/store/database.ts";
export type { CheckpointKind, WorkflowStatus } from "./engine/store/rows.ts";
export type { ListFilter, WorkflowDetail, WorkflowSummary } from "./engine/inspect.ts";
export type { StepDetail, StepsFound, StepsPage } from "./engine/step_pages.ts";
export type { ReadOptions } from "./engine/read_published.ts";
export type { StreamEntry, StreamOptions } from "./engine/stream_reader.ts";
export { Handle, type HandleSource, type SignalOptions } from "./engine/handle.ts";
export type { EngineOptions } from "./engine/options.ts";
export {
  type CheckOptions,
  checkReplay,
  type ReplayCheck,
  type ReplayVerdict,
} from "./engine/check_replay.ts";
export { isQueue, type Queue, queue, type QueueDefinition } from "./engine/queue.ts";
export type { Explanation, Wait } from "./engine/why.ts";
export type { ExecutorSummary } from "./engine/executors.ts";
export { isSchedule, type Schedule } from "./engine/schedule.ts";
export type { EnqueueOptions } from "./engine/enqueue.ts";
export type { ScheduleSummary } from "./engine/scheduling.ts";
export type { QueueSummary } from "./engine/queueing.ts";
export type { ForkOptions } from "./engine/fork.ts";
export type { StartOptions } from "./engine/start_request.ts";
export { Engine, type WorkOptions } from "./engine/engine.ts";
