/**
 * Files and folders that cannot be written to. They are bound read-only in a mount namespace of the child's own, where
 * nobody can write to them, an administrator neither. What cannot do that skips these tests.
 */
import { assertEquals, assertMatch } from "@std/assert";
import { Engine, workflow } from "@stepwell/stepwell";
import { inMountNamespace, whyNoMounts } from "../mount_namespace.ts";
import { temporaryFolder } from "../temporary_folder.ts";

/** Binds a path read-only. */
const READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"';
const ignore = await whyNoMounts(READ_ONLY, ["/tmp"]) !== undefined;

const quick = workflow("quick", (ctx) => ctx.step("step", () => "done"));

Deno.test({
  name: "Engine.open() of a new file in a read-only folder is a StoreOpenError that says so",
  ignore,
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
  ignore,
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
  ignore,
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
    return await inMountNamespace(
      `${READ_ONLY} && exec "$@"`,
      [path, Deno.execPath(), "run", ...options, source],
    );
  } finally {
    await Deno.remove(source);
  }
}
