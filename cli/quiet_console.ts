let isQuiet = false;

/**
 * Keeps `console` from throwing where nothing can be written, on a full disk or to a pipe that nobody reads: a step of a workflow
 * would fail by that. What it throws otherwise, it still does.
 */
export function quietConsole(): void {
  if (isQuiet) return;
  isQuiet = true;
  const methods = console as unknown as Record<string, unknown>;
  for (const [name, method] of Object.entries(methods)) {
    if (typeof method !== "function") continue;
    methods[name] = (...args: unknown[]) => {
      try {
        return method.apply(console, args);
      } catch (error) {
        if (!isOfWriting(error)) throw error;
      }
    };
  }
}

/** Whether an error is of the operating system, as which Deno's own come that write text. */
function isOfWriting(error: unknown): boolean {
  return error instanceof Deno.errors.BrokenPipe || error instanceof Deno.errors.WouldBlock ||
    error instanceof Error && /\(os error \d+\)/.test(error.message);
}
