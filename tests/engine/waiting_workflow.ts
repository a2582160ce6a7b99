import { workflow } from "@stepwell/stepwell";

/**
 * A workflow of one step that waits to be let go.
 *
 * @returns besides it, for each process that runs it, in their order: the signal of the step that has begun, what lets
 *   it go, and why its function was aborted
 */
export function waiting() {
  const begun: AbortSignal[] = [];
  const go = [Promise.withResolvers<string>(), Promise.withResolvers<string>()];
  const errors: unknown[] = [];
  const definition = workflow("waiting", async (ctx) => {
    ctx.signal.addEventListener("abort", () => errors.push(ctx.signal.reason));
    return await ctx.step("wait", ({ signal }) => go[begun.push(signal) - 1]!.promise);
  });
  return { definition, begun, go, errors };
}
