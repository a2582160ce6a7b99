import { workflow } from "@stepwell/stepwell";

/** A workflow in TypeScript: an executable cannot load it. */
export const typed = workflow("typed", (ctx): Promise<number> => ctx.step("count", () => 1 as number));
