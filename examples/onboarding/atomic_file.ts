/**
 * Writes a whole file or nothing: a process killed in the middle leaves the file as it was before, or as it is after.
 * The text goes to a file beside it, is synced to the disk, and takes the name in one step.
 *
 * @param path where to write; its folder is made if it is missing
 * @param text the file's new content
 */
export async function writeAtomically(path: string, text: string): Promise<void> {
  await Deno.mkdir(path.replace(/[^/\\]*$/, "") || ".", { recursive: true });
  const draft = `${path}.${crypto.randomUUID()}.draft`;
  {
    using file = await Deno.open(draft, { write: true, createNew: true });
    const bytes = new TextEncoder().encode(text);
    for (let written = 0; written < bytes.length;) written += await file.write(bytes.subarray(written));
    await file.sync();
  }
  await Deno.rename(draft, path);
}
