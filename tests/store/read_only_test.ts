/**
 * Files and folders that cannot be written to. They are bound read-only in a mount namespace of the child's own, where
 * nobody can write to them, an administrator neither. What cannot do that skips these tests.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { Engine, workflow } from "@stepwell/stepwell";
import { temporaryFolder } from "../temporary_folder.ts";

/** A shell that may mount, and whose mounts end with it. */
const NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"];

const reason = await whyNot();
if (reason !== undefined) console.log(`Tests of read-only files are skipped: ${reason}`);

const quick = workflow("quick", (ctx) => ctx.step("step", () => "done"));

Deno.test({
  name: "Engine.open() of a new file in a read-only folder is a StoreOpenError that says so",
  ignore: reason !== undefined,
  async fn() {
    await using folder = temporaryFolder();
    const [error] = await useReadOnly(folder.path, folder.file("a.db"));
    assertMatch(
      error!,
      /^StoreOpenError: Cannot open ".*a\.db": the file cannot be opened or made; the folder ".*" may be read-only \(.*\)$/,
    );
    assertEquals(folder.names, []);
  },
});

Deno.test({
  name: "Engine.open() of a store in a read-only folder is a StoreOpenError, and leaves it as it is",
  ignore: reason !== undefined,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    {
      await using engine = await Engine.open(file);
      await engine.run(quick, { id: "q" });
    }
    const before = Deno.readFileSync(file);
    const [error] = await useReadOnly(folder.path, file);
    assertMatch(error!, /^StoreOpenError: Cannot open ".*a\.db": .*read-?only/);
    assertEquals([folder.names, Deno.readFileSync(file)], [["a.db"], before]);
  },
});

Deno.test({
  name: "a read-only file in a folder that is not can be read, and what would write to it is a StoreError",
  ignore: reason !== undefined,
  async fn() {
    await using folder = temporaryFolder();
    const file = folder.file("a.db");
    {
      await using engine = await Engine.open(file);
      await engine.run(quick, { id: "q" });
    }
    const before = Deno.readFileSync(file);
    const lines = await useReadOnly(file, file);
    assertEquals(lines.slice(0, 2), ["opened", "completed"]);
    assertMatch(lines[2]!, /^StoreError: Cannot use ".*a\.db": .*readonly/);
    assertEquals(Deno.readFileSync(file), before);
    await using engine = await Engine.open(file);
    assertEquals((await engine.list()).map(({ id }) => id), ["q"]);
    assertEquals(await engine.run(quick, { id: "r" }), "done");
  },
});

/** Uses a store while a path is read-only. @returns the lines that tell of it */
async function useReadOnly(path: string, file: string): Promise<string[]> {
  const script = `
    import { Engine, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
    try {
      const engine = await Engine.open(${JSON.stringify(file)});
      console.log("opened");
      console.log(await engine.handle("q").status());
      await engine.run(workflow("quick", () => {}), { id: "r" });
    } catch (error) {
      console.log(error.name + ": " + error.message);
    }`;
  const source = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(source, script);
    const config = new URL("../../deno.json", import.meta.url).pathname;
    const options = ["--quiet", "--no-check", "--no-lock", "--config", config, "--allow-all"];
    return await inNamespace(
      'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"',
      [path, Deno.execPath(), "run", ...options, source],
    );
  } finally {
    await Deno.remove(source);
  }
}

/** Runs a line of shell in a namespace of its own. @returns the lines it prints */
async function inNamespace(shell: string, args: string[]): Promise<string[]> {
  const [command, ...options] = NAMESPACE;
  const { success, stdout, stderr } = await new Deno.Command(command!, {
    args: [...options, "sh", "-c", shell, ...args],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trimEnd().split("\n");
}

/** Why nothing can be made read-only here; undefined if it can. */
async function whyNot(): Promise<string | undefined> {
  await using folder = temporaryFolder();
  try {
    const shell = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && ! touch "$0/file"';
    await inNamespace(shell, [folder.path]);
    return undefined;
  } catch (error) {
    return `a folder cannot be bound read-only (${(error as Error).message.trim()})`;
  }
}
