import { deadline } from "@std/async";
import { RIGOROUS } from "./effort.ts";

/** How long a test waits, at most, for a line that has to come or a process that has to end. */
const DEADLINE_MS = RIGOROUS ? 300_000 : 30_000;

/** How a process ended, and all that it wrote. */
export interface Ended {
  readonly code: number;
  readonly signal: Deno.Signal | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

/**
 * Starts a module as a process of its own, with all permissions.
 *
 * @param module its URL, as of `import.meta.resolve()`
 */
export function startChild(module: string, ...args: string[]): ChildProcess {
  return start([], module, args);
}

/** The same, with so many megabytes for what it has in memory: it ends when it needs more. */
export function startSmallChild(megabytes: number, module: string, ...args: string[]): ChildProcess {
  return start([`--v8-flags=--max-old-space-size=${megabytes}`], module, args);
}

function start(flags: readonly string[], module: string, args: readonly string[]): ChildProcess {
  return new ChildProcess(
    new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--no-check", "--allow-all", ...flags, module, ...args],
      env: { NO_COLOR: "1" },
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn(),
  );
}

/** A process that is running, and the lines it writes. It is killed at the end of the block: `await using`. */
export class ChildProcess implements AsyncDisposable {
  readonly #child: Deno.ChildProcess;
  readonly #stdin: ReturnType<Deno.ChildProcess["stdin"]["getWriter"]>;
  readonly #lines: string[] = [];
  readonly #stdout: Promise<void>;
  readonly #stderr: Promise<string>;
  #wake = Promise.withResolvers<void>();
  #over = false;

  constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#stdin = child.stdin.getWriter();
    this.#stdout = this.#readLines();
    this.#stderr = new Response(child.stderr).text();
  }

  /** The lines it has written so far. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Waits for a line that begins like this, if it is not there yet. @returns the rest of the first such line */
  line(beginning: string): Promise<string> {
    return deadline(this.#line(beginning), DEADLINE_MS);
  }

  async #line(beginning: string): Promise<string> {
    for (let next = 0;;) {
      for (; next < this.#lines.length; next++) {
        if (this.#lines[next]!.startsWith(beginning)) return this.#lines[next]!.slice(beginning.length);
      }
      if (this.#over) {
        const { stderr } = await this.ended();
        throw new Error(`Wanted a line "${beginning}…", found ${JSON.stringify(this.#lines)}\n${stderr}`);
      }
      await this.#wake.promise;
    }
  }

  /** Writes a line for it to read. */
  async say(line: string): Promise<void> {
    await this.#stdin.write(new TextEncoder().encode(`${line}\n`));
  }

  /** Sends it a signal, if it has not ended yet. */
  kill(signal: Deno.Signal): void {
    try {
      this.#child.kill(signal);
    } catch (error) {
      const hasEnded = error instanceof TypeError || error instanceof Deno.errors.NotFound;
      if (!hasEnded) throw error;
    }
  }

  /** Waits for its end. @param deadlineMs how long, at most */
  async ended(deadlineMs = DEADLINE_MS): Promise<Ended> {
    const [{ code, signal }, stderr] = await deadline(
      Promise.all([this.#child.status, this.#stderr, this.#stdout]),
      deadlineMs,
    );
    await this.#stdin.close().catch(() => {}); // There is nobody left to read it.
    return { code, signal, stderr, lines: this.#lines };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill("SIGKILL");
    await this.ended();
  }

  async #readLines(): Promise<void> {
    let rest = "";
    for await (const text of this.#child.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      this.#lines.push(...lines);
      this.#wakeUp();
    }
    this.#over = true;
    this.#wakeUp();
  }

  #wakeUp(): void {
    const { resolve } = this.#wake;
    this.#wake = Promise.withResolvers();
    resolve();
  }
}
