import {
  LimitExceededError,
  QueueFullError,
  QueueNotFoundError,
  ScheduleInputError,
  ScheduleNotFoundError,
  SerializationError,
  StepNotFoundError,
  ValidationError,
  WorkflowConflictError,
  WorkflowNotFoundError,
  WorkflowStateError,
} from "../mod.ts";
import { describeErrorInFull } from "./describe_error.ts";
import { UsageError } from "./usage_error.ts";

/**
 * Throws an error on, as one of the command line where it says that what was asked for cannot be: told from one of the
 * workflow or the store.
 */
export function refuse(error: unknown): never {
  const refusals = [
    LimitExceededError,
    QueueFullError,
    QueueNotFoundError,
    ScheduleInputError,
    ScheduleNotFoundError,
    SerializationError,
    StepNotFoundError,
    ValidationError,
    WorkflowConflictError,
    WorkflowNotFoundError,
    WorkflowStateError,
    TypeError,
    RangeError,
  ];
  if (!refusals.some((refusal) => error instanceof refusal)) throw error;
  throw new UsageError(describeErrorInFull(error), { cause: error });
}
