/** A folder of a test's own, which is removed at the end of the block: `await using folder = temporaryFolder()`. */
export function temporaryFolder(): TemporaryFolder {
  return new TemporaryFolder(Deno.realPathSync(Deno.makeTempDirSync({ prefix: "stepwell-test-" })));
}

/** See {@linkcode temporaryFolder}. */
export class TemporaryFolder implements AsyncDisposable {
  constructor(readonly path: string) {}

  /** The path of a file in it. */
  file(name: string): string {
    return `${this.path}/${name}`;
  }

  /** The names of the files in it, in order. */
  get names(): string[] {
    return [...Deno.readDirSync(this.path)].map(({ name }) => name).sort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}
