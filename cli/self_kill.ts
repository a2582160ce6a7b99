import { UsageError } from "./usage_error.ts";

/**
 * A function that ends this process by SIGKILL: no handler runs, nothing is flushed, the exit status is 137.
 *
 * Where Deno lets a process kill itself, no permission is needed. Older ones want `--allow-run` for that; there the
 * command `kill` does it, which wants only `--allow-run=kill`. Which it is gets tried out with a signal that does nothing.
 *
 * @throws {UsageError} if this process may do neither
 */
export function prepareSelfKill(): () => void {
  if (mayKillItself()) return () => Deno.kill(Deno.pid, "SIGKILL");
  if (hasKillCommand()) return () => void killCommand("-KILL");
  throw new UsageError(
    `--crash has to kill this process, which Deno ${Deno.version.deno} lets it do with --allow-run, ` +
      `or with --allow-run=kill where there is a command "kill"`,
  );
}

function mayKillItself(): boolean {
  if (Deno.build.os === "windows") return true; // it has no signal that does nothing
  try {
    Deno.kill(Deno.pid, "SIGCONT");
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return false;
    throw error;
  }
}

function hasKillCommand(): boolean {
  try {
    return killCommand("-0");
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable || error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

function killCommand(signal: string): boolean {
  return new Deno.Command("kill", { args: [signal, String(Deno.pid)], stdout: "null", stderr: "null" })
    .outputSync().success;
}
