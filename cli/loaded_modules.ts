/** The names of the workflows that each loaded module exports, by its URL. */
const namesByModule = new Map<string, readonly string[]>();

/** Notes what a module exports. */
export function noteModule(url: string, names: readonly string[]): void {
  namesByModule.set(url, names);
}

/** The names of the workflows of the modules that stand in the stack of an error. */
export function workflowNamesIn(stack: string): Set<string> {
  const names = new Set<string>();
  for (const [url, ofModule] of namesByModule) {
    if (stack.includes(`${url}:`)) { for (const name of ofModule) names.add(name); }
  }
  return names;
}
