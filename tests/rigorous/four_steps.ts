import { type Workflow, workflow } from "@stepwell/stepwell";

export const INPUT = { amount: 17 };
/** What the workflow returns that was started with {@linkcode INPUT}. */
export const OUTPUT = {
  first: { text: "Grüße 17", list: [1, 2] },
  second: "no",
  third: new Date(0),
  fourth: "done",
};

/** What has a workflow of {@linkcode fourSteps} done. */
export interface FourStepsOptions {
  /** Called with the id of the workflow and of the step whenever a step's function is called. */
  readonly called: (workflowId: string, step: string) => void;
  /** Whether the fourth step fails; it is tried again after an hour, twice. */
  readonly fails?: boolean;
}

/**
 * A workflow of a step with a plain result, one that fails, one with a rich result, and one that may be retried. With a
 * negative amount the workflow fails in the end.
 */
export function fourSteps(
  { called, fails = false }: FourStepsOptions,
): Workflow<{ amount: number }, unknown> {
  return workflow("four steps", async (ctx, { amount }: { amount: number }) => {
    const step = async <T>(id: string, fn: () => T, maxAttempts = 1): Promise<T> =>
      await ctx.step<unknown>(id, () => {
        called(ctx.workflowId, id);
        return fn();
      }, { retry: { maxAttempts, initialInterval: "1h", maxInterval: "1h" } }) as T;

    const first = await step("first", () => ({ text: `Grüße ${amount}`, list: [1, 2] }));
    const second = await step("second", fail).catch((error) => error.message);
    const third = await step("third", () => new Date(0));
    const fourth = await step("fourth", () => fails ? fail() : "done", 3);
    if (amount < 0) throw new RangeError("a negative amount");
    return { first, second, third, fourth };
  });
}

function fail(): never {
  throw new RangeError("no");
}
