import { assertEquals, assertStringIncludes } from "@std/assert";
import { Ledger } from "../examples/onboarding/mod.ts";
import { inFolder, run, runJson } from "./cli/program.ts";

const STEPS = ["create_record", "provision_laptop", "provision_access", "send_welcome_email"];
const MOMENTS = ["before", "during", "after"];
const OUTPUT = {
  employee: "E0001",
  laptop: "LT-0001",
  accounts: ["mail:ada.lovelace", "vpn:E0001"],
  welcome: "M0001",
};

for (const step of STEPS) {
  for (const moment of MOMENTS) {
    Deno.test(`onboarding has each effect once after a crash at ${step}:${moment}`, () =>
      inFolder(async (cwd) => {
        const crashed = await run(["--workflow-id", "emp", "--crash", `${step}:${moment}`], { cwd });
        assertEquals(crashed.signal, "SIGKILL");

        const { code, json } = await runJson(["resume", "emp"], { cwd });
        assertEquals({ code, output: json.output }, { code: 0, output: OUTPUT });
        await assertEachEffectOnce(cwd);
      }));
  }
}

Deno.test("onboarding has each effect once after a crash at every point, one after the other", () =>
  inFolder(async (cwd) => {
    let crashes = 0;
    for (const step of STEPS) {
      for (const moment of MOMENTS) {
        const { signal } = await run(["--workflow-id", "emp", "--crash", `${step}:${moment}`], { cwd });
        if (signal === "SIGKILL") crashes++;
      }
    }
    const { json } = await runJson(["--workflow-id", "emp"], { cwd });
    assertEquals(json.output, OUTPUT);
    assertEquals(crashes >= STEPS.length, true);
    await assertEachEffectOnce(cwd);
  }));

for (const left of [0, 1, 60, -1]) {
  Deno.test(`onboarding sends the mail again where only ${left} bytes of its effect were written`, () =>
    inFolder(async (cwd) => {
      const crashed = await run(["--workflow-id", "emp", "--crash", "send_welcome_email:during"], { cwd });
      assertEquals(crashed.signal, "SIGKILL");
      await tearLastLine(ledgerOf(cwd), left);

      const { code, json } = await runJson(["resume", "emp"], { cwd });
      assertEquals({ code, output: json.output }, { code: 0, output: OUTPUT });
      await assertEachEffectOnce(cwd);
    }));
}

Deno.test("onboarding gives two employees two of everything", () =>
  inFolder(async (cwd) => {
    const input = (name: string) => ["--input", JSON.stringify({ name, role: "analyst" })];
    const [ada, grace] = await Promise.all([
      runJson(["--workflow-id", "1", ...input("Ada Lovelace")], { cwd }),
      runJson(["--workflow-id", "2", ...input("Grace Hopper")], { cwd }),
    ]);
    assertEquals([ada.code, grace.code], [0, 0]);
    assertEquals([ada.json.output.employee, grace.json.output.employee].sort(), ["E0001", "E0002"]);
    assertEquals([ada.json.output.laptop, grace.json.output.laptop].sort(), ["LT-0001", "LT-0002"]);
    assertEquals(new Set((await ledgerOf(cwd).entries()).map((entry) => entry.key)).size, 8);
  }));

Deno.test("onboarding refuses an input that names nobody", () =>
  inFolder(async (cwd) => {
    const { code, stdout } = await run(["--input", '{"nme":"Ada"}'], { cwd });
    assertEquals(code, 1);
    assertStringIncludes(stdout, 'wanted {"name": string, "role": string}, found {"nme":"Ada"}');
  }));

Deno.test("the onboarding demo shows a crash and what is replayed, and removes its folder", async () => {
  const demo = import.meta.resolve("../examples/onboarding/demo.ts");
  const permissions = ["--allow-read", "--allow-write", "--allow-run"];
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", ...permissions, demo],
  }).output();
  const text = new TextDecoder().decode(stdout);
  assertEquals(success, true, new TextDecoder().decode(stderr));
  assertStringIncludes(text, "It is gone: SIGKILL, exit status 137");
  assertStringIncludes(
    text,
    "Replayed from their checkpoints: create_record#000001, provision_laptop#000001",
  );
  assertStringIncludes(text, "Effects in the ledger, each once: access, laptop, mail, record");
});

function ledgerOf(cwd: string): Ledger {
  return new Ledger(`${cwd}/stepwell.db.onboarding/ledger.jsonl`);
}

async function assertEachEffectOnce(cwd: string): Promise<void> {
  const keys = (await ledgerOf(cwd).entries()).map((entry) => entry.key).sort();
  assertEquals(keys, STEPS.map((step) => `emp/${step}#000001`).sort());
  const folder = `${cwd}/stepwell.db.onboarding`;
  assertEquals(JSON.parse(await Deno.readTextFile(`${folder}/records/E0001.json`)).name, "Ada Lovelace");
  assertStringIncludes(
    await Deno.readTextFile(`${folder}/outbox/M0001.txt`),
    "Subject: Welcome, Ada Lovelace",
  );
}

/** Leaves so many bytes of the last line; counted from its end where negative. */
async function tearLastLine(ledger: Ledger, left: number): Promise<void> {
  const bytes = await Deno.readFile(ledger.path);
  const start = bytes.lastIndexOf(0x0a, bytes.length - 2) + 1;
  await Deno.truncate(ledger.path, left < 0 ? bytes.length + left : start + left);
}
