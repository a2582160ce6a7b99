/**
 * Runs the onboarding workflow in a process that is killed in the middle, resumes it in another, and shows which steps
 * were replayed, and that each effect happened once. Everything is in a temporary folder, which is removed.
 *
 * @module
 */
import { officeIn } from "./office.ts";

const ID = "emp-onboard-001";
const MAIN = import.meta.resolve("../../main.ts");

/** What `--json` prints of an execution, as far as it is looked at here. */
interface Report {
  readonly status: string;
  readonly steps: readonly { readonly key: string; readonly replayed: boolean }[];
}

if (import.meta.main) {
  const folder = await Deno.makeTempDir({ prefix: "stepwell-demo-" });
  try {
    await demo(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function demo(folder: string): Promise<void> {
  say(`1. Ada is onboarded. The process is killed as soon as the laptop's checkpoint is committed`);
  const first = await stepwell(folder, [
    "run",
    "onboarding",
    "--workflow-id",
    ID,
    "--crash",
    "provision_laptop:after",
  ]);
  expect(!first.success && first.stdout === "", "the process to be killed", `exit status ${first.code}`);
  say(`   It is gone: ${first.signal ?? "no signal"}, exit status ${first.code}`);

  say(`2. Another process resumes it`);
  const second = await stepwell(folder, ["resume", ID]);
  expect(second.success, "the workflow to complete", `exit status ${second.code}`);

  const { status, steps } = JSON.parse(second.stdout) as Report;
  const replayed = steps.filter((step) => step.replayed).map((step) => step.key);
  const run = steps.filter((step) => !step.replayed).map((step) => step.key);
  expect(status === "completed" && steps.length === 4, "four steps, and all done", second.stdout);
  for (const key of ["create_record#000001", "provision_laptop#000001"]) {
    expect(replayed.includes(key), `${key} to be replayed`, replayed.join(", "));
  }
  expect(
    run.includes("send_welcome_email#000001"),
    "the mail to be sent by the second process",
    run.join(", "),
  );

  const effects = await officeIn(`${folder}/demo.db.onboarding`).ledger.entries();
  const kinds = effects.map((effect) => effect.kind).sort().join(", ");
  expect(kinds === "access, laptop, mail, record", "each effect once", kinds);

  say(`3. What happened`);
  say(`   Replayed from their checkpoints: ${replayed.join(", ")}`);
  say(`   Run by the second process:       ${run.join(", ")}`);
  say(`   Effects in the ledger, each once: ${kinds}`);
}

/** Runs the command line as another process, with no more permissions than it needs; people's lines go through. */
async function stepwell(
  folder: string,
  args: string[],
): Promise<{ success: boolean; code: number; signal: Deno.Signal | null; stdout: string }> {
  say(`   $ stepwell ${args.join(" ")}`);
  const permissions = [`--allow-read=${folder}`, `--allow-write=${folder}`, "--allow-run=kill"];
  const command = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      ...permissions,
      MAIN,
      ...args,
      "--db",
      `${folder}/demo.db`,
      "--json",
    ],
    stdin: "null",
    stderr: "inherit",
  });
  const { success, code, signal, stdout } = await command.output();
  return { success, code, signal, stdout: new TextDecoder().decode(stdout) };
}

function expect(holds: boolean, wanted: string, found: string): void {
  if (!holds) throw new Error(`The demo went wrong: wanted ${wanted}, found ${found}`);
}

function say(line: string): void {
  console.log(line);
}
