import { ExitStatus } from "./exit_status.ts";

/** The signals by which people and supervisors stop a process. Windows has only the first. */
const SIGNALS: readonly Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];

/**
 * Lets a process end in its own time when it is asked to stop. A second signal ends it at once.
 *
 * @param stop is called on the first signal
 * @returns a disposable that leaves signals to their default again
 */
export function onInterrupt(stop: () => void): Disposable {
  let asked = false;
  const listener = () => {
    if (asked) Deno.exit(ExitStatus.interrupted);
    asked = true;
    stop();
  };
  for (const signal of SIGNALS) Deno.addSignalListener(signal, listener);
  return {
    [Symbol.dispose]() {
      for (const signal of SIGNALS) Deno.removeSignalListener(signal, listener);
    },
  };
}
