/** A program of `bench/child/`, or another file of this project, that runs in a process of its own. */
export class BenchChild {
  readonly #start = performance.now();
  readonly #process: Deno.ChildProcess;

  /** @param program its path from the root of the project */
  constructor(program: string, ...args: string[]) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--quiet", "--allow-all", new URL(`../${program}`, import.meta.url).href, ...args],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
  }

  /** Waits until it says something. @returns how long after its start it did, in milliseconds */
  async told(): Promise<number> {
    const reader = this.#process.stdout.getReader();
    const { done } = await reader.read();
    const ms = performance.now() - this.#start;
    reader.releaseLock();
    if (done) throw new Error("The process ended before it said anything");
    return ms;
  }

  /** Kills it. */
  async kill(): Promise<void> {
    this.#process.kill("SIGKILL");
    await this.#process.stdout.cancel();
    await this.#process.status;
  }

  /** Waits for its end. @returns what it has printed, and how long it took, in milliseconds */
  async output(): Promise<{ text: string; ms: number }> {
    const { success, stdout } = await this.#process.output();
    if (!success) throw new Error("The process failed");
    return { text: new TextDecoder().decode(stdout), ms: performance.now() - this.#start };
  }
}
