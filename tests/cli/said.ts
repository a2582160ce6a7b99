import { main } from "../../cli/main.ts";

/**
 * Carries out a command line in this process, where there are too many for processes of their own. One at a time.
 *
 * @returns its exit status, and what it wrote to the standard output and error
 */
export async function said(args: readonly string[]): Promise<{ code: number; text: string }> {
  let text = "";
  const decoder = new TextDecoder();
  const collect = (bytes: Uint8Array) => {
    text += decoder.decode(bytes);
    return bytes.length;
  };
  const [toStdout, toStderr] = [Deno.stdout.writeSync, Deno.stderr.writeSync];
  Deno.stdout.writeSync = Deno.stderr.writeSync = collect;
  try {
    return { code: await main(args), text };
  } finally {
    Deno.stdout.writeSync = toStdout;
    Deno.stderr.writeSync = toStderr;
  }
}
