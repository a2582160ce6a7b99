/**
 * A folder for the files of a benchmark. `Deno.bench` has no hook for what comes after, so it is removed when the module is
 * unloaded.
 */
export function benchFolder(): string {
  const path = Deno.makeTempDirSync({ prefix: "stepwell-bench-" });
  globalThis.addEventListener("unload", () => Deno.removeSync(path, { recursive: true }));
  return path;
}
