/**
 * The place in the source from which the engine was called, such as `orders.ts:12:20`: the same for every run of the
 * same source, wherever it lies and however it is started.
 *
 * @param wrapper the URL of a file that calls the engine for the user, if one does: its folder is passed over as well
 * @returns undefined where the stack does not tell
 */
export function callSite(wrapper?: string): string | undefined {
  // What is called from the folder of this file is not what the user wrote.
  const passedOver = [import.meta.url, wrapper ?? import.meta.url]
    .map((url) => url.slice(0, url.lastIndexOf("/") + 1));
  for (const line of stackText().split("\n").slice(1)) {
    const [, url, place] = /([a-z]+:\/\/[^\s()]+?|\/[^\s()]+?):(\d+:\d+)\)?$/.exec(line) ?? [];
    if (url === undefined || passedOver.some((folder) => url.startsWith(folder))) continue;
    return `${url.slice(url.lastIndexOf("/") + 1)}:${place}`;
  }
  return undefined;
}

/** The stack, as V8 writes it: `Error.prepareStackTrace`, which is anybody's to set, may make anything of it. */
function stackText(): string {
  const changed = ["stackTraceLimit", "prepareStackTrace"] as const;
  const before = changed.map((name) => Object.getOwnPropertyDescriptor(Error, name));
  try {
    Error.stackTraceLimit = 10;
    (Error as { prepareStackTrace?: unknown }).prepareStackTrace = undefined;
    const { stack } = new Error();
    return typeof stack === "string" ? stack : "";
  } catch {
    return "";
  } finally {
    for (const [i, name] of changed.entries()) {
      if (before[i] === undefined) delete (Error as unknown as Record<string, unknown>)[name];
      else Object.defineProperty(Error, name, before[i]);
    }
  }
}
