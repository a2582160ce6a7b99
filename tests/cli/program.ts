/**
 * Runs Stepwell's command line as a real process: from its source, or as an executable.
 *
 * @module
 */

/** The words that start the command line, before its own arguments. */
export type Program = readonly [command: string, ...args: string[]];

/** The command line from its source, with no more permissions than it needs. */
export const fromSource: Program = [
  Deno.execPath(),
  "run",
  "--quiet",
  "--no-prompt",
  "--allow-read",
  "--allow-write",
  "--allow-run=kill",
  import.meta.resolve("../../main.ts"),
];

/** How a process is started. */
export interface RunOptions {
  /** The folder it runs in. */
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
  /** {@linkcode fromSource} by default. */
  readonly program?: Program;
}

/** How a process ended. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command to its end. */
export async function run(args: readonly string[], options: RunOptions): Promise<Ended> {
  return await start(args, options).ended();
}

/** What `--json` prints: of an execution, of `show` or of `list`, by which of its parts are there. */
export interface Report {
  // deno-lint-ignore no-explicit-any -- each test knows what it looks at
  [part: string]: any;
  readonly steps: {
    readonly key: string;
    readonly status: string;
    readonly attempt: number;
    readonly replayed: boolean;
    readonly durationMs: number | null;
  }[];
  readonly workflows: { readonly workflowId: string }[];
}

/** Runs a command to its end, and reads the object on the last line of its standard output. */
export async function runJson(
  args: readonly string[],
  options: RunOptions,
): Promise<Ended & { json: Report }> {
  const ended = await run([...args, "--json"], options);
  const last = ended.stdout.trimEnd().split("\n").at(-1)!;
  try {
    return { ...ended, json: JSON.parse(last) };
  } catch (cause) {
    throw new Error(`Wanted JSON on the last line, found "${last}"\n${ended.stderr}`, { cause });
  }
}

/** Starts a command. */
export function start(args: readonly string[], { cwd, env = {}, program = fromSource }: RunOptions): Running {
  const [command, ...before] = program;
  const child = new Deno.Command(command, {
    args: [...before, ...args],
    cwd,
    env: { NO_COLOR: "", ...env },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  return new Running(child);
}

/** A process that is running. Owns its streams, and must be awaited to its end. */
export class Running {
  readonly #child: Deno.ChildProcess;
  readonly #stdout: Collected;
  readonly #stderr: Collected;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#stdout = new Collected(child.stdout);
    this.#stderr = new Collected(child.stderr);
  }

  /** Waits until its standard output or error has this text. */
  async says(text: string): Promise<void> {
    const found = await Promise.race([this.#stdout.has(text), this.#stderr.has(text)]) ||
      await Promise.all([this.#stdout.has(text), this.#stderr.has(text)]).then((both) => both.includes(true));
    if (found) return;
    throw new Error(`Wanted the process to say "${text}", found:\n${this.#stdout.text}${this.#stderr.text}`);
  }

  kill(signal: Deno.Signal): void {
    this.#child.kill(signal);
  }

  async ended(): Promise<Ended> {
    const { code, signal } = await this.#child.status;
    await Promise.all([this.#stdout.closed, this.#stderr.closed]);
    return { code, signal, stdout: this.#stdout.text, stderr: this.#stderr.text };
  }
}

/** The text of a stream so far. */
class Collected {
  text = "";
  readonly closed: Promise<void>;
  #waiting = new Set<() => void>();
  #isClosed = false;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.closed = this.#collect(stream);
  }

  /** Whether the text comes before the stream ends. */
  async has(text: string): Promise<boolean> {
    while (!this.text.includes(text)) {
      if (this.#isClosed) return false;
      await new Promise<void>((resolve) => this.#waiting.add(resolve));
    }
    return true;
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<void> {
    const decoder = new TextDecoder();
    for await (const chunk of stream) {
      this.text += decoder.decode(chunk, { stream: true });
      this.#wake();
    }
    this.#isClosed = true;
    this.#wake();
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
    this.#waiting.clear();
  }
}

/** Runs a test in a folder of its own, which is removed. */
export async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "stepwell-test-" });
  try {
    await test(await Deno.realPath(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
