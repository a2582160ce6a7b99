/**
 * A disk that is really full: a small one in memory, in a mount namespace of the child's own. What cannot have that
 * skips these tests; tests/engine/storage_error_test.ts has others, with a limit of SQLite's own.
 */
import { assert, assertEquals, assertGreater, assertMatch } from "@std/assert";
import { inMountNamespace, whyNoMounts } from "../mount_namespace.ts";
import { temporaryFolder } from "../temporary_folder.ts";

const SMALL_DISK = 'mount -t tmpfs -o size=1m none "$0"';
const ignore = await whyNoMounts(SMALL_DISK, ["/tmp"]) !== undefined;

Deno.test({
  name: "a workflow that fills the disk is not failed by it, and goes on once there is room",
  ignore,
  async fn() {
    const lines = await onSmallDisk(`
      Deno.writeFileSync("ballast", new Uint8Array(400_000));
      const calls = [];
      const filling = workflow("filling", async (ctx) => {
        let bytes = 0;
        for (let i = 0; i < 20; i++) {
          bytes += (await ctx.step("fill", () => (calls.push(i), "x".repeat(20_000)))).length;
        }
        return bytes;
      });
      const engine = await Engine.open("a.db");
      const error = await engine.run(filling, { id: "f" }).catch((error) => error);
      say({ error: error.name + ": " + error.message, status: await engine.handle("f").status(), calls: calls.length });
      const again = await engine.run(filling, { id: "f" }).catch((error) => error);
      say({ error: again.name, calls: calls.length });
      Deno.removeSync("ballast");
      say({ output: await engine.run(filling, { id: "f" }), calls });
      await engine.close();
      const reopened = await Engine.open("a.db");
      say({ status: await reopened.handle("f").status() });
      await reopened.close();`);
    const [first, second, third, fourth] = lines as [Said, Said, Said, Said];
    assertMatch(first.error!, /^StoreError: Cannot use "a\.db": .*full/);
    assertEquals(first.status, "running");
    assert(first.calls as number > 1 && first.calls as number < 20, `${first.calls} calls`);
    // What was committed before is not run again; the step that found no room is, each time it comes to that.
    assertEquals(second.error, "StoreError");
    const again = second.calls as number - (first.calls as number);
    // There may be no room for so much as taking the workflow up.
    assert(again === 0 || again === 1, `${again} more calls`);
    assertEquals(third.output, 400_000);
    const calls = third.calls as number[];
    assertEquals([...new Set(calls)], Array.from({ length: 20 }, (_, i) => i));
    assertEquals(calls.length, 21 + again);
    assertEquals(fourth.status, "completed");
  },
});

Deno.test({
  name: "a store cannot be made on a disk that is full, and can once there is room",
  ignore,
  async fn() {
    const [full, later] = await onSmallDisk(`
      try {
        Deno.writeFileSync("ballast", new Uint8Array(10_000_000));
      } catch {
        // That is the aim.
      }
      const error = await Engine.open("a.db").catch((error) => error);
      say({ error: error.name + ": " + error.message });
      Deno.removeSync("ballast");
      const engine = await Engine.open("a.db");
      say({ output: await engine.run(workflow("quick", (ctx) => ctx.step("step", () => "done"))) });
      await engine.close();`) as [Said, Said];
    assertMatch(full.error!, /^StoreOpenError: Cannot open "a\.db": .*(full|disk I\/O error)/);
    assertEquals(later.output, "done");
  },
});

Deno.test({
  name: "other workflows go on when one finds no room for a large result",
  ignore,
  async fn() {
    const [said] = await onSmallDisk(`
      const large = workflow("large", (ctx) => ctx.step("large", () => "x".repeat(5_000_000)));
      const small = workflow("small", async (ctx) => {
        for (let i = 0; i < 10; i++) await ctx.step("small", () => i);
        return "done";
      });
      const engine = await Engine.open("a.db");
      const results = await Promise.allSettled([
        engine.run(small, { id: "s1" }), engine.run(large, { id: "l" }), engine.run(small, { id: "s2" }),
      ]);
      say({ results: results.map(({ value, reason }) => value ?? reason.name) });
      await engine.close();`) as [Said];
    assertEquals(said.results, ["done", "StoreError", "done"]);
  },
});

interface Said {
  readonly error?: string;
  readonly status?: string;
  readonly calls?: unknown;
  readonly output?: unknown;
  readonly results?: unknown;
}

/** Runs a program in a folder that is a disk of one megabyte. @returns what it says */
async function onSmallDisk(program: string): Promise<unknown[]> {
  await using folder = temporaryFolder();
  const source = folder.file("program.ts");
  await Deno.mkdir(folder.file("disk"));
  await Deno.writeTextFile(
    source,
    `import { Engine, workflow } from "${import.meta.resolve("@stepwell/stepwell")}";
     const say = (what) => console.log(JSON.stringify(what));
     ${program}`,
  );
  const config = new URL("../../deno.json", import.meta.url).pathname;
  const options = ["run", "--quiet", "--no-check", "--no-lock", "--config", config, "--allow-all", source];
  const lines = await inMountNamespace(
    `${SMALL_DISK} && cd "$0" && exec "$@"`,
    [folder.file("disk"), Deno.execPath(), ...options],
  );
  assertGreater(lines.length, 0);
  return lines.map((line) => JSON.parse(line));
}
