import { type Workflow, workflow } from "@stepwell/stepwell";

/** What {@linkcode heldWorkflow} needs from outside. */
export interface Holder {
  /** Called by the second step; the step ends with it. */
  hold(signal: AbortSignal): Promise<string>;
  /** Called with what the workflow was told in place of the result of the second step. */
  refused?(error: unknown): void;
}

/** A workflow of three steps: the second takes as long as its holder wants. */
export function heldWorkflow(holder: Holder): Workflow<void, string[]> {
  return workflow("held", async (ctx) => {
    const first = await ctx.step("first", () => "first");
    try {
      const second = await ctx.step("second", ({ signal }) => holder.hold(signal));
      const third = await ctx.step("third", () => "third");
      return [first, second, third];
    } catch (error) {
      holder.refused?.(error);
      throw error;
    }
  });
}
