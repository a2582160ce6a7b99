/**
 * A place of a child process's own where anything may be mounted, and where that ends with the process (namespaces of
 * Linux). There, not even an administrator can write to what is bound read-only.
 *
 * @module
 */

/**
 * Runs a line of shell that may mount.
 *
 * @param args its `$0`, `$1` and so on
 * @returns the lines it prints
 * @throws what it says where it fails
 */
export async function inMountNamespace(shell: string, args: readonly string[]): Promise<string[]> {
  const { success, stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--user", "--map-root-user", "--mount", "sh", "-c", shell, ...args],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

/** Why a line of shell that mounts does not work here; undefined if it does. The result is said aloud. */
export async function whyNoMounts(shell: string, args: readonly string[]): Promise<string | undefined> {
  try {
    await inMountNamespace(shell, args);
    return undefined;
  } catch (error) {
    const reason = (error as Error).message;
    console.log(`Tests that mount are skipped: ${reason}`);
    return reason;
  }
}
