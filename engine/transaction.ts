import { LeaseLostError, StoreError } from "./errors.ts";
import { runName } from "./ids.ts";
import type { RetryPolicy } from "./retry.ts";
import type { Scope } from "./scope.ts";
import { Encoded } from "./serialize.ts";
import { outputOf, performStep, type StepHost, type StepOutcome, type StepTask } from "./step.ts";
import type { Checkpoint } from "./store/rows.ts";
import type { Ownership } from "./store/ownership.ts";
import type { Store } from "./store/store.ts";
import { errorText } from "./stored_error.ts";
import type { StartedTransaction, Transactions } from "./transactions.ts";
import type { TransactionFunction } from "./workflow.ts";

/** A transaction of a workflow that is to be run. */
export interface TransactionTask {
  readonly key: string;
  readonly fn: TransactionFunction<unknown>;
  readonly policy: RetryPolicy;
  /** How long it may be open; undefined for as long as the engine says. */
  readonly timeoutMs: number | undefined;
  /** The part of the workflow that it belongs to. */
  readonly scope: Scope;
}

/** What a transaction needs of the run that it is part of. */
export interface TransactionHost extends StepHost {
  readonly owner: Ownership;
  readonly store: Store;
  readonly over: boolean;
  /** The transactions of the engine. */
  transactions(): Promise<Transactions>;
  loseLease(doing: string): void;
  stopFor(error: unknown): Promise<void>;
}

/**
 * Runs a transaction until it has succeeded, or failed for good: a step, each of whose attempts is a transaction.
 *
 * 1. An attempt begins only if the run owns the workflow, as the transaction itself sees it, and from then on nobody can
 *    take that away until the transaction has ended; the checkpoint's own fence asks again at the commit.
 * 2. An attempt that fails is rolled back before anything is written about it.
 *
 * @param interrupted its row, where a run before this one had begun it
 * @returns the outcome; where it is a success, with the transaction, which is still open
 */
export async function performTransaction(
  host: TransactionHost,
  task: TransactionTask,
  interrupted: Checkpoint | undefined,
): Promise<StepOutcome> {
  let started: StartedTransaction | undefined;
  const attempt = async () => {
    try {
      started = await begin(host, task);
    } catch (error) {
      if (error instanceof StoreError) return await leave(host.stopFor(error));
      throw error;
    }
    try {
      return await started.perform((tx) => {
        const returned = host.call(task.key, () => task.fn(tx), undefined as never);
        // Much may happen until it is committed.
        return Encoded.of(returned, outputOf(task), host.maxValueBytes);
      });
    } catch (error) {
      // Its function may throw a StoreError of another store: that is an error as any other.
      if (started.failure !== undefined && error === started.failure) return await leave(host.stopFor(error));
      throw error;
    }
  };
  const { key, policy, scope } = task;
  const step: StepTask = {
    kind: "transaction",
    key,
    policy,
    scope,
    fn: attempt,
    timeoutMs: undefined,
    atMostOnce: false,
  };
  try {
    const outcome = await performStep(host, step, interrupted);
    if (outcome.errorJson !== null) started?.rollback();
    return outcome.errorJson === null ? { ...outcome, transaction: ending(host, key, started!) } : outcome;
  } catch (error) {
    started?.rollback();
    throw error;
  }
}

async function begin(
  host: TransactionHost,
  { key, timeoutMs }: TransactionTask,
): Promise<StartedTransaction> {
  const transactions = await host.transactions();
  const started = await transactions.begin({
    run: host.run,
    key,
    ...timeoutMs !== undefined && { timeoutMs },
  });
  let owned: boolean;
  try {
    owned = await host.store.owns(host.owner);
  } catch (error) {
    started.rollback();
    throw error;
  }
  if (owned && !host.over) return started;
  started.rollback();
  if (!owned) host.loseLease(`begin transaction "${key}"`);
  return await leave();
}

/** The run is over: what it does is not gone on with. */
async function leave(over?: Promise<void>): Promise<never> {
  await over;
  return await new Promise<never>(() => {});
}

function ending(
  host: TransactionHost,
  key: string,
  started: StartedTransaction,
): NonNullable<StepOutcome["transaction"]> {
  return {
    commit(checkpoint, { committed, failed }) {
      let isLost = false;
      started.commit({
        batch: [checkpoint],
        check([written]) {
          isLost = written !== 1;
          if (isLost) {
            throw new LeaseLostError(host.workflowId, runName(host.run), `record transaction "${key}"`);
          }
        },
        committed,
        failed(error) {
          if (isLost) host.loseLease(`record transaction "${key}"`);
          else if (error instanceof StoreError) void host.stopFor(error);
          else failed(errorText(error));
        },
      });
    },
    rollback: () => started.rollback(),
  };
}
