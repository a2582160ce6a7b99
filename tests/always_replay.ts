/**
 * Has every engine of a test run replay always: `deno test --preload tests/always_replay.ts`. What holds of workflows holds
 * as well where they are dropped from memory at every await. The processes that a test starts have engines of their own:
 * where Deno runs a source in them, however deep, they are given this preload too. An executable is not.
 *
 * @module
 */
// Not by the package's name: a program in a temporary folder has no configuration that says what that is.
import { Engine } from "../mod.ts";

const { open, openOn } = Engine;
Engine.open = (location, options) => open.call(Engine, location, { alwaysReplay: true, ...options });
Engine.openOn = (database, options) => openOn.call(Engine, database, { alwaysReplay: true, ...options });

// In place of a helper that starts processes: examples start some as well, and know nothing of tests.
Deno.Command = class extends Deno.Command {
  constructor(command: string | URL, options: Deno.CommandOptions = {}) {
    super(command, { ...options, args: withPreload(String(command), options.args ?? []) });
  }
};

/** The arguments of a command; `deno run`, wherever it is among them or in a line of shell, also loads this module. */
function withPreload(command: string, args: readonly string[]): string[] {
  const preload = import.meta.url;
  return args.flatMap((arg, place) => {
    if (!/\brun\b/.test(arg)) return [arg];
    const deno = Deno.execPath();
    if (arg === "run" && (args[place - 1] ?? command) === deno) return [arg, "--preload", preload];
    return [arg.replaceAll(`"${deno}" run `, `"${deno}" run --preload "${preload}" `)];
  });
}
