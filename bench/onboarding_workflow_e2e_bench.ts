/**
 * What does the engine add to the onboarding workflow, from its start to its result? Beside it, the same services without
 * an engine, and without one but with the commits of its rows.
 */
import { Engine } from "@stepwell/stepwell";
import {
  createRecord,
  type Office,
  officeIn,
  onboardingAt,
  provisionAccess,
  provisionLaptop,
  sendMail,
} from "../examples/onboarding/mod.ts";
import { benchFolder } from "./bench_folder.ts";
import { RawStore } from "./raw_store.ts";
import { recordRows } from "./recorded_rows.ts";

const PERSON = { name: "Ada Lovelace", role: "analyst" };
const folder = benchFolder();
/** Each time an office of its own: the ledger of one that has had visitors is longer. */
let offices = 0;
const newOffice = () => officeIn(`${folder}/office-${++offices}`);
const rows = await recordRows(onboardingAt(newOffice()), { input: PERSON });

for (const durability of ["full", "normal"] as const) {
  const group = `OnboardingWorkflowE2E, durability ${durability}`;
  const engine = await Engine.open(`${folder}/${durability}.db`, { durability });
  const raw = new RawStore(`${folder}/${durability}-raw.db`, rows, durability);

  Deno.bench("services and raw commits", { group, baseline: true }, async (bench) => {
    const office = newOffice();
    const write = raw.writer("one by one");
    bench.start();
    await serve(office);
    write();
    bench.end();
  });
  Deno.bench("services alone", { group }, async (bench) => {
    const office = newOffice();
    bench.start();
    await serve(office);
    bench.end();
  });
  Deno.bench("workflow", { group }, async (bench) => {
    const workflow = onboardingAt(newOffice());
    bench.start();
    await engine.run(workflow, { input: PERSON });
    bench.end();
  });
}

/** What the workflow does, as a program that no crash has to be feared for. */
async function serve(office: Office): Promise<void> {
  const record = await createRecord(office, PERSON, "record");
  const [laptop, access] = await Promise.all([
    provisionLaptop(office, record, "laptop"),
    provisionAccess(office, record, "access"),
  ]);
  await sendMail(office, {
    to: access.accounts[0]!,
    subject: `Welcome, ${record.name}`,
    body: `Your number is ${record.employee}, your laptop ${laptop.serial}.`,
  }, "mail");
}
