/** Holds the files that configure the project to each other. */
import { assertEquals } from "@std/assert";

type Config = Record<string, unknown> & { imports: Record<string, string>; links: string[]; version: string };

Deno.test("jsr.json is deno.json without what only a checkout needs", async () => {
  const { links: _, tasks: __, ...published } = await readConfig("deno.json");

  assertEquals<unknown>(await readConfig("jsr.json"), published);
});

Deno.test("each package under offline/ has a name and a version that deno.json asks for", async () => {
  const { imports, links } = await readConfig("deno.json");
  for (const link of links) {
    const { name, version } = await readConfig(`${link}/deno.json`);

    assertEquals(imports[name as string], `jsr:${name}@^${version.split(".")[0]}`);
  }
});

Deno.test("jsr.json publishes the engine and the kit for tests, and nothing else", async () => {
  const dryRun = new Deno.Command(Deno.execPath(), {
    args: ["publish", "--config", "jsr.json", "--dry-run", "--allow-dirty"],
    cwd: new URL("../", import.meta.url),
    env: { NO_COLOR: "1" },
    stdout: "piped",
    stderr: "piped",
  });

  const { success, stderr } = await dryRun.output();

  const text = new TextDecoder().decode(stderr);
  assertEquals(success, true, text);
  const root = new URL("../", import.meta.url).href;
  const files = Array.from(text.matchAll(/^ +(file:\S+) \(/gm), ([, file]) => file!.slice(root.length));
  const outside = files.filter((file) =>
    !/^((engine|testing)\/.+|(mod|schedule)\.ts|jsr\.json|[A-Z]+(\.md)?)$/.test(file)
  );
  assertEquals(outside, []);
  for (const entry of ["mod.ts", "schedule.ts", "testing/mod.ts"]) {
    assertEquals(files.includes(entry), true, text);
  }
});

async function readConfig(path: string): Promise<Config> {
  return JSON.parse(await Deno.readTextFile(new URL(`../${path}`, import.meta.url)));
}
