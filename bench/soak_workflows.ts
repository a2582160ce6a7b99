import { type Context, type StepInfo, type Workflow, workflow } from "@stepwell/stepwell";

/** What a step has done: its key, and a name that no other call of a step's function has. */
export interface Effect {
  readonly key: string;
  readonly name: string;
}

/** Does what a step is for. */
export type DoEffect = (info: StepInfo) => Promise<Effect>;

/** A workflow that returns every effect it has seen, in its order. */
export type SoakWorkflow = Workflow<void, Effect[]>;

/** The workflows of the soak: in sequence, side by side, retried, racing, and what most are like. */
export function soakWorkflows(effect: DoEffect): SoakWorkflow[] {
  return [
    workflow("onboarding", async (ctx) => {
      const record = await ctx.step("create_record", effect);
      const both = await ctx.all([
        (ctx) => ctx.step("provision_laptop", effect),
        (ctx) => ctx.step("provision_access", effect),
      ]);
      return [record, ...both, await ctx.step("send_welcome_email", effect)];
    }),
    workflow("sequence", (ctx) => loop(ctx, 6, effect)),
    workflow("fan-out", async (ctx) => {
      const branches = Array.from({ length: 8 }, () => (ctx: Context) => loop(ctx, 2, effect));
      return (await ctx.all(branches, { concurrency: 3 })).flat();
    }),
    workflow("retries", (ctx) =>
      loop(ctx, 3, async (info) => {
        const done = await effect(info);
        if (info.attempt < 3) throw new Error(`attempt ${info.attempt} fails`);
        return done;
      })),
    workflow("race", async (ctx) => {
      const seen: Effect[] = [];
      for (let round = 0; round < 3; round++) {
        seen.push(...await Promise.race([loop(ctx, 2, effect), loop(ctx, 2, effect), loop(ctx, 3, effect)]));
      }
      return seen;
    }),
  ];
}

/** A step of the same id again and again. */
async function loop(ctx: Context, times: number, effect: DoEffect): Promise<Effect[]> {
  const seen: Effect[] = [];
  for (let time = 0; time < times; time++) {
    seen.push(await ctx.step("part", effect, { retry: { maxAttempts: 4, initialInterval: 4 } }));
  }
  return seen;
}
