import config from "../deno.json" with { type: "json" };
import { ExitStatus } from "./exit_status.ts";
import { stdout } from "./output.ts";

/** `version`: Stepwell's, and that of the Deno it runs on. */
export function version(): ExitStatus {
  stdout.write(`stepwell ${config.version} (Deno ${Deno.version.deno}, ${Deno.build.target})\n`);
  return ExitStatus.completed;
}
