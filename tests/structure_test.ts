/**
 * Holds the source to its layout: the reading order of the engine, who may import whom, and which words stay where.
 * Each rule is a function from texts to problems, and is tried on a bad text before it is held against the repository.
 */
import { assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url);

/** Texts of files by their path from the root of the repository, with `/` on every system. */
type Files = ReadonlyMap<string, string>;

/** The folders that hold source. */
const FOLDERS = ["bench", "cli", "dashboard", "engine", "examples", "offline", "testing", "tests"];

/** Folders whose code gets at the engine by its public API alone. */
const OUTSIDE = /^(main\.ts$|cli\/|dashboard\/|examples\/)/;

const GRAB_BAG = /(^|[/_.-])(utils?|types|common|helpers?|managers?|misc|index)\.ts$/;

const SQL =
  /\b(SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP|PRAGMA|BEGIN|COMMIT|ROLLBACK|SAVEPOINT|WHERE|VALUES)\b/;

/** The names of databases, but not `sqlite` alone: that is the option which chooses between two of them. */
const DATABASE_NAME = /(?<=[:/])sqlite|sqlite(?=\w)|(?<=\w)sqlite|Sqlite|SQLITE|postgres/;

const CLOCK =
  /\b(Date\.now\(|new Date\(\)|performance\.now\(|setTimeout\(|setInterval\(|AbortSignal\.timeout\()/;

const RANDOM = /\b(Math\.random\(|getRandomValues\(|randomUUID\()/;

Deno.test("engine/README.md lists every file of the engine once, and no other", async () => {
  const order = ["a.ts", "b.ts", "a.ts", "store/gone.ts"];
  const files = new Map([["engine/README.md", ""], ["engine/a.ts", ""], ["engine/b.ts", ""], [
    "engine/c.ts",
    "",
  ]]);
  assertEquals(listProblems(order, files), [
    "engine/README.md lists a.ts 2 times",
    "engine/README.md lists store/gone.ts, which does not exist",
    "engine/README.md does not list c.ts",
  ]);

  const repository = await readRepository();
  assertEquals(listProblems(readingOrder(repository), repository), []);
});

Deno.test("a file of the engine imports only files above it in the reading order", async () => {
  const order = ["errors.ts", "store/rows.ts", "step.ts", "engine.ts"];
  const files = new Map([
    ["engine/errors.ts", `import { Step } from "./step.ts";`],
    ["engine/store/rows.ts", `import type { E } from "../errors.ts"; // from "./later.ts"`],
    [
      "engine/step.ts",
      `export * from "./store/rows.ts";\nimport "./step.ts";\nconst later = import("./engine.ts");`,
    ],
    [
      "engine/engine.ts",
      `import {\n  run,\n} from "../cli/run.ts";\nimport { x } from "@stepwell/stepwell";`,
    ],
    ["engine/unlisted.ts", `type T = typeof import("./errors.ts");`],
    ["cli/run.ts", `import { Step } from "../engine/step.ts";`],
  ]);
  assertEquals(importProblems(order, files), [
    "engine/errors.ts imports ./step.ts, which is not above it in the reading order",
    "engine/step.ts imports ./step.ts, which is not above it in the reading order",
    "engine/step.ts imports ./engine.ts, which is not above it in the reading order",
    "engine/engine.ts imports ../cli/run.ts, which is outside the engine",
    "engine/engine.ts imports @stepwell/stepwell, which is outside the engine",
    "engine/unlisted.ts imports ./errors.ts, which is not above it in the reading order",
  ]);

  const repository = await readRepository();
  assertEquals(importProblems(readingOrder(repository), repository), []);
});

Deno.test("the command line, the dashboard and the examples use the public API alone", async () => {
  const files = new Map([
    ["main.ts", `import { main } from "./cli/main.ts";`],
    ["cli/run.ts", `import { Engine } from "../mod.ts";\nimport { Step } from "../engine/step.ts";`],
    ["examples/onboarding/mod.ts", `import { step } from "../../engine/step.ts";`],
    ["tests/step_test.ts", `import { step } from "../engine/step.ts";`],
  ]);
  assertEquals(apiProblems(files), [
    "cli/run.ts imports ../engine/step.ts, which is not the public API",
    "examples/onboarding/mod.ts imports ../../engine/step.ts, which is not the public API",
  ]);

  assertEquals(apiProblems(await readRepository()), []);
});

Deno.test("the kit for tests imports the engine and itself alone", async () => {
  const files = new Map([
    [
      "testing/a.ts",
      `import { Engine } from "../engine/engine.ts";\nimport "./b.ts";\nimport "node:timers";`,
    ],
    [
      "testing/b.ts",
      `import { main } from "../cli/main.ts";\nimport { workflow } from "@stepwell/stepwell";`,
    ],
    ["tests/testing/a_test.ts", `import { eventually } from "../eventually.ts";`],
  ]);
  assertEquals(kitProblems(files), [
    "testing/b.ts imports ../cli/main.ts, which is neither the engine nor the kit",
    "testing/b.ts imports @stepwell/stepwell, which is neither the engine nor the kit",
  ]);

  assertEquals(kitProblems(await readRepository()), []);
});

Deno.test("mod.ts, schedule.ts and testing/mod.ts only re-export", async () => {
  const files = new Map([
    [
      "mod.ts",
      `/** Docs: export const a = 1; */\nexport * from "./engine/a.ts";\nexport {\n  b,\n  type C,\n} from "./engine/b.ts";\n` +
      `export type { D } from "./cli/d.ts";\nexport const e = 1;`,
    ],
    ["testing/mod.ts", `export { a } from "./a.ts";\nexport { b } from "../engine/b.ts";`],
    ["offline/assert/mod.ts", `export function assert() {}`],
  ]);
  assertEquals(modProblems(files), [
    `mod.ts has more than re-exports: export type { D } from "./cli/d.ts"; export const e = 1;`,
    `testing/mod.ts has more than re-exports: export { b } from "../engine/b.ts";`,
  ]);

  assertEquals(modProblems(await readRepository()), []);
});

Deno.test("the engine speaks of databases in engine/store/ alone, and of time and chance in one file each", async () => {
  const files = new Map([
    [
      "engine/engine.ts",
      `// sqlite: SELECT\nimport { open } from "./store/sqlite_database.ts";\nopen({ sqlite: "builtin" });`,
    ],
    ["engine/run.ts", `db.exec("SELECT 1");\nconsole.log(Date.now(), Math.random());`],
    ["engine/step.ts", `import { DatabaseSync } from "node:sqlite";`],
    ["engine/errors.ts", `class SqliteError {}`],
    ["engine/clock.ts", `const now = Date.now();`],
    ["engine/random.ts", `const random = Math.random();`],
    ["engine/store/statements.ts", `const sql = "SELECT 1";`],
    ["cli/run.ts", `console.log(Date.now());`],
  ]);
  assertEquals(wordProblems(files), [
    'engine/run.ts says "SELECT" outside engine/store/',
    'engine/run.ts says "Date.now(" outside engine/clock.ts',
    'engine/run.ts says "Math.random(" outside engine/random.ts',
    'engine/run.ts says "console.": the engine prints nothing',
    'engine/step.ts says "sqlite" outside engine/store/',
    'engine/errors.ts says "Sqlite" outside engine/store/',
  ]);

  assertEquals(wordProblems(await readRepository()), []);
});

Deno.test("no file is a grab bag", async () => {
  const paths = [
    "cli/utils.ts",
    "engine/store/types.ts",
    "tests/test_helpers.ts",
    "mod.ts",
    "engine/retry.ts",
    "cli/index.ts",
  ];
  assertEquals(nameProblems(new Map(paths.map((path) => [path, ""]))), [
    "cli/utils.ts: a file is named after its one idea",
    "engine/store/types.ts: a file is named after its one idea",
    "tests/test_helpers.ts: a file is named after its one idea",
    "cli/index.ts: a file is named after its one idea",
  ]);

  assertEquals(nameProblems(await readRepository()), []);
});

/** The files that the README of the engine lists, in its order: lines such as "- `store/rows.ts`: what it is". */
function readingOrder(files: Files): string[] {
  const readme = files.get("engine/README.md") ?? "";
  return Array.from(readme.matchAll(/^- `([^`]+)`/gm), ([, file]) => file!);
}

function listProblems(order: readonly string[], files: Files): string[] {
  const onDisk = Array.from(files.keys(), (path) => /^engine\/(.+)$/.exec(path)?.[1])
    .filter((file) => file !== undefined && file !== "README.md") as string[];
  const listed = Array.from(new Set(order));
  return [
    ...listed.flatMap((file) => {
      const times = order.filter((other) => other === file).length;
      return times > 1 ? [`engine/README.md lists ${file} ${times} times`] : [];
    }),
    ...listed.filter((file) => !onDisk.includes(file))
      .map((file) => `engine/README.md lists ${file}, which does not exist`),
    ...onDisk.filter((file) => !listed.includes(file)).map((file) =>
      `engine/README.md does not list ${file}`
    ),
  ];
}

function importProblems(order: readonly string[], files: Files): string[] {
  return source(files, /^engine\//).flatMap(([path, text]) => {
    const above = new Set(order.slice(0, Math.max(0, order.indexOf(path.slice("engine/".length)))));
    return imports(text).flatMap((specifier) => {
      const target = resolve(specifier, path);
      if (target === undefined) {
        return specifier.startsWith("@stepwell/")
          ? [`${path} imports ${specifier}, which is outside the engine`]
          : [];
      }
      if (!target.startsWith("engine/")) return [`${path} imports ${specifier}, which is outside the engine`];
      if (above.has(target.slice("engine/".length))) return [];
      return [`${path} imports ${specifier}, which is not above it in the reading order`];
    });
  });
}

function apiProblems(files: Files): string[] {
  return source(files, OUTSIDE).flatMap(([path, text]) =>
    imports(text)
      .filter((specifier) => resolve(specifier, path)?.startsWith("engine/"))
      .map((specifier) => `${path} imports ${specifier}, which is not the public API`)
  );
}

function kitProblems(files: Files): string[] {
  return source(files, /^testing\//).flatMap(([path, text]) =>
    imports(text)
      .filter((specifier) => !/^(engine|testing)\//.test(resolve(specifier, path) ?? ""))
      .filter((specifier) => !specifier.startsWith("node:"))
      .map((specifier) => `${path} imports ${specifier}, which is neither the engine nor the kit`)
  );
}

function modProblems(files: Files): string[] {
  const reExports: [mod: RegExp, reExport: RegExp][] = [
    [/^(mod|schedule)\.ts$/, /export (?:type )?(?:\*|\{[^{}]*\}) from "\.\/engine\/[^"]+";/g],
    [/^testing\/mod\.ts$/, /export (?:type )?(?:\*|\{[^{}]*\}) from "\.\/[^"]+";/g],
  ];
  return reExports.flatMap(([mod, reExport]) =>
    source(files, mod).flatMap(([path, text]) => {
      const rest = withoutComments(text).replaceAll(reExport, "").replaceAll(/\s+/g, " ").trim();
      return rest === "" ? [] : [`${path} has more than re-exports: ${rest}`];
    })
  );
}

function wordProblems(files: Files): string[] {
  return source(files, /^engine\//).flatMap(([path, text]) => {
    const code = withoutComments(text).replaceAll(/ from "\.[^"]*"/g, "");
    const inStore = path.startsWith("engine/store/");
    const rules: [RegExp, boolean, string][] = [
      [SQL, inStore, " outside engine/store/"],
      [DATABASE_NAME, inStore, " outside engine/store/"],
      [CLOCK, path === "engine/clock.ts", " outside engine/clock.ts"],
      [RANDOM, path === "engine/random.ts", " outside engine/random.ts"],
      [/\bconsole\./, false, ": the engine prints nothing"],
    ];
    return rules.flatMap(([words, allowed, where]) => {
      const found = allowed ? null : words.exec(code);
      return found ? [`${path} says "${found[0]}"${where}`] : [];
    });
  });
}

function nameProblems(files: Files): string[] {
  return Array.from(files.keys()).filter((path) => GRAB_BAG.test(path))
    .map((path) => `${path}: a file is named after its one idea`);
}

function source(files: Files, paths: RegExp): [path: string, text: string][] {
  return Array.from(files).filter(([path]) => path.endsWith(".ts") && paths.test(path));
}

/** What a module imports or re-exports, types included, as it is written there. */
function imports(text: string): string[] {
  const statements = /\b(?:from|import)\s*\(?\s*(["'])(.+?)\1/g;
  return Array.from(withoutComments(text).matchAll(statements), (match) => match[2]!);
}

/** The path of a file that is imported by a relative specifier. */
function resolve(specifier: string, importer: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  return new URL(specifier, `file:///${importer}`).pathname.slice(1);
}

/** Blanks comments; what looks like one in a text of the program stays. */
function withoutComments(text: string): string {
  const token = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/.*|\/\*[\s\S]*?\*\//g;
  return text.replaceAll(token, (found) => /^\/[/*]/.test(found) ? " " : found);
}

async function readRepository(): Promise<Files> {
  const files = new Map<string, string>();
  for (const path of ["main.ts", "mod.ts", "schedule.ts"]) {
    files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
  for (const folder of FOLDERS) await readFolder(folder, files);
  return files;
}

async function readFolder(folder: string, files: Map<string, string>): Promise<void> {
  for (const { name, isDirectory } of await entries(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) await readFolder(path, files);
    else if (/\.(ts|md)$/.test(name)) files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
  }
}

/** What is in a folder, in the same order everywhere; nothing where a folder is not there yet. */
async function entries(folder: string): Promise<Deno.DirEntry[]> {
  try {
    const found = await Array.fromAsync(Deno.readDir(new URL(folder, ROOT)));
    return found.sort((a, b) => a.name < b.name ? -1 : 1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
