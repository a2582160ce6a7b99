import type { Workflow } from "../mod.ts";
import { officeIn } from "../examples/onboarding/office.ts";
import { onboardingAt } from "../examples/onboarding/workflow.ts";
import { isFile } from "./database.ts";

/**
 * The workflows that are there without a `--module`: the onboarding example, whose services keep their files in a folder
 * beside the database, `stepwell.db.onboarding` say, so that each database has its own.
 */
export function builtinWorkflows(location: string): Workflow[] {
  return [onboardingAt(officeIn(`${isFile(location) ? location : "stepwell.db"}.onboarding`))];
}
