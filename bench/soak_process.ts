const WORKER = import.meta.resolve("./soak_worker.ts");

/** A process of the soak. It does nothing before {@linkcode SoakProcess.begin}. */
export class SoakProcess {
  readonly #child: Deno.ChildProcess;
  readonly #stderr: Promise<string>;
  #killed = false;

  private constructor(child: Deno.ChildProcess) {
    this.#child = child;
    this.#stderr = new Response(child.stderr).text();
  }

  /** Starts a process, and waits until it is ready to begin. */
  static async start(file: string, ledger: string, workflows: number): Promise<SoakProcess> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--quiet",
        "--no-check",
        "--allow-read",
        "--allow-write",
        WORKER,
        file,
        ledger,
        String(workflows),
      ],
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const process = new SoakProcess(child);
    const reader = child.stdout.getReader();
    const { done } = await reader.read();
    if (done) await process.completed();
    await reader.cancel();
    return process;
  }

  /** Has it begin. */
  async begin(): Promise<void> {
    const writer = this.#child.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
  }

  /** Kills it, and waits for its end. @throws {Error} if it had failed by itself before */
  async kill(): Promise<void> {
    this.#killed = true;
    try {
      this.#child.kill("SIGKILL");
    } catch (error) {
      if (!(error instanceof TypeError)) throw error; // It has ended already.
    }
    await this.completed();
  }

  /** Waits for its end. @throws {Error} if it failed */
  async completed(): Promise<void> {
    const [{ code, signal }, stderr] = await Promise.all([this.#child.status, this.#stderr]);
    if (code !== 0 && !(this.#killed && signal === "SIGKILL")) {
      throw new Error(`A process ended with ${signal ?? code}:\n${stderr}`);
    }
  }
}
