import { callSite } from "../engine/call_site.ts";
import type { SeededRandom } from "../engine/random.ts";
import type {
  Compensate,
  Context,
  StepFunction,
  StepInfo,
  StepOptions,
  Transaction,
  Workflow,
} from "../engine/workflow.ts";
import { isWorkflow } from "../engine/define_workflow.ts";
import type { StepMoment } from "./faults.ts";
import { never } from "./life_database.ts";

/** Who watches what a workflow does. */
export interface WorkflowWatcher {
  /** Whether the life is over in which the workflow runs. */
  readonly dead: boolean;
  /** A workflow is used that has not been used before in this life. */
  knows(workflow: Workflow): void;
  /** What a workflow of this id draws. */
  randomOf(workflowId: string): SeededRandom;
  /** A workflow has a transaction of this id: its attempts are to be told apart from those of steps. */
  expectsTransaction(workflowId: string, id: string): void;
  /** The attempt of such a transaction whose function is being called. */
  transactionBegun(workflowId: string, id: string): StepMoment;
  /** Calls the function of a step. */
  call(step: StepMoment, fn: () => unknown): unknown;
}

type Branch = (ctx: Context) => unknown;

/** The members of a context that take functions of the user's, by which a life that is over could go on. */
type WatchedMembers = Pick<Context, "step" | "transaction" | "all" | "cleanup" | "child" | "random" | "uuid">;

/**
 * Workflows, watched: while their life lasts they do what they would do anyway; once it is over, none of their code is
 * called any more, and what they wait for stays open.
 */
export class WatchedWorkflows {
  readonly #watched = new WeakMap<Workflow, Workflow>();

  constructor(private readonly watcher: WorkflowWatcher) {}

  /** The workflow, watched; what is none is given back as it is. */
  watch<I, O, P>(workflow: Workflow<I, O, P>): Workflow<I, O, P> {
    if (!isWorkflow(workflow)) return workflow;
    const known = this.#watched.get(workflow);
    if (known !== undefined) return known;
    this.watcher.knows(workflow);
    const run = (ctx: Context, input: P): Promise<O> | O => {
      if (this.watcher.dead) return never<O>();
      const random = this.watcher.randomOf(ctx.workflowId);
      return untilDeath(this.watcher, workflow.run(watchedContext(this, this.watcher, ctx, random), input));
    };
    const properties = {
      ...Object.getOwnPropertyDescriptors(workflow),
      run: { value: run, enumerable: true },
    };
    const watched = Object.freeze(Object.defineProperties({}, properties)) as Workflow<I, O, P>;
    this.#watched.set(workflow, watched).set(watched, watched);
    return watched;
  }
}

/**
 * A context that passes everything on, members that are not known here too. A member that takes another function of the
 * user's than these is to be added to `members`, if calls of that are to be counted.
 */
function watchedContext(
  workflows: WatchedWorkflows,
  watcher: WorkflowWatcher,
  context: Context,
  random: SeededRandom,
): Context {
  const members: WatchedMembers = {
    step: <T>(id: string, fn: StepFunction<T>, options?: StepOptions<NoInfer<T>>): Promise<T> => {
      // The place of the call is that in the user's source, not the one below.
      const name = id === "" ? callSite(import.meta.url) ?? "step" : id;
      const watched = typeof fn === "function"
        ? (info: StepInfo) => watcher.call(momentOf(info), () => fn(info))
        : fn;
      return context.step<T>(name, watched as StepFunction<T>, watchedOptions(watcher, options));
    },
    transaction: (id, fn, options) => {
      const name = id === "" ? callSite(import.meta.url) ?? "transaction" : id;
      if (typeof fn !== "function") return context.transaction(name, fn, options);
      const { workflowId } = context;
      watcher.expectsTransaction(workflowId, name);
      const watched: typeof fn = (tx) =>
        watcher.call(
          watcher.transactionBegun(workflowId, name),
          () => fn(watchedTransaction(workflows, tx)),
        ) as ReturnType<typeof fn>;
      return context.transaction(name, watched, options);
    },
    all: (branches, options) => {
      const watched = Array.isArray(branches)
        ? branches.map((branch: Branch) => watchedBranch(workflows, watcher, branch, random))
        : branches;
      return context.all(watched as typeof branches, options);
    },
    cleanup: (fn, options) =>
      context.cleanup(watchedBranch(workflows, watcher, fn, random) as typeof fn, options),
    child: (child, options) => context.child(workflows.watch(child), options as never),
    random: () => random.fraction(),
    uuid: () => random.uuid(),
  };
  return new Proxy(context, {
    get: (target, property) => {
      const member = Object.hasOwn(members, property)
        ? members[property as keyof WatchedMembers]
        : Reflect.get(target, property, target);
      if (typeof member !== "function") return member;
      return (...args: unknown[]) => untilDeath(watcher, Reflect.apply(member, target, args));
    },
  });
}

/** A transaction that has the workflows watched which it starts. */
export function watchedTransaction(workflows: WatchedWorkflows, transaction: Transaction): Transaction {
  return {
    ...transaction,
    start: (workflow, options) => transaction.start(workflows.watch(workflow), options as never),
  };
}

function watchedBranch(
  workflows: WatchedWorkflows,
  watcher: WorkflowWatcher,
  branch: Branch,
  random: SeededRandom,
): Branch {
  if (typeof branch !== "function") return branch;
  return (ctx) =>
    watcher.dead ? never() : untilDeath(watcher, branch(watchedContext(workflows, watcher, ctx, random)));
}

function watchedOptions<T>(
  watcher: WorkflowWatcher,
  options: StepOptions<T> | undefined,
): StepOptions<T> | undefined {
  const compensate = options?.compensate;
  if (!compensate) return options;
  const undo = typeof compensate === "function" ? compensate : compensate.undo;
  if (typeof undo !== "function") return options;
  const watched: Compensate<T> = (output, info) => watcher.call(momentOf(info), () => undo(output, info));
  return {
    ...options,
    compensate: typeof compensate === "function" ? watched : { ...compensate, undo: watched },
  };
}

/** Which attempt it is: the step's key is what follows the last slash of the idempotency key. */
function momentOf({ idempotencyKey, attempt }: StepInfo): StepMoment {
  const slash = idempotencyKey.lastIndexOf("/");
  const key = idempotencyKey.slice(slash + 1).replace(/%2F|%25/g, decodeURIComponent);
  return { workflowId: idempotencyKey.slice(0, slash), key, attempt };
}

/** The value itself, or a promise that does not settle once the life is over. */
function untilDeath<T>(watcher: WorkflowWatcher, value: T): T {
  if (typeof (value as PromiseLike<unknown> | undefined)?.then !== "function") return value;
  const settled = (value as PromiseLike<unknown>).then(
    (result) => watcher.dead ? never() : result,
    (error) => {
      if (watcher.dead) return never();
      throw error;
    },
  ) as Promise<unknown>;
  // As with the engine's own promises, nobody has to wait for it.
  settled.catch(() => {});
  return settled as T;
}
